"""Part `large_logs`: a log prepared with Apache Beam and trained on from disk, within 8 GB.

Every step runs in a process of its own, which is watched: the peak is that of all its processes
together, and beyond the limit it is stopped. It needs an environment with the extra [beam].
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tests.benchmarks.context import Context
from tests.benchmarks.workers import here

LIMIT = 8 * 2**30
SIZE = {"interactions": 28_000_000, "users": 200_000, "items": 100_000, "files": 28}
TRIAL = {"interactions": 60_000, "users": 2_000, "items": 1_000, "files": 4}
GROUPS, OWN = 50, 0.6
K, BATCH, BLOCK, EPOCHS, SAMPLE = 5, 8192, 32, 1, 2000


def run(context: Context) -> dict[str, Any]:
    """Generates the log, prepares it, trains on it, and does the same in memory."""
    if importlib.util.find_spec("apache_beam") is None:
        raise RuntimeError("this part needs Apache Beam: pip install 'tfadvrec[beam]'")
    size, rows = TRIAL if context.quick else SIZE, []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for what in ("generate", "prepare", "train", "memory", "compare"):
            context.say(f"{what}: {size}")
            rows.append({"step": what, **watched(what, folder, json.dumps(size))})
            context.say(str(rows[-1]))
    return {
        "rows": rows,
        "columns": ("step", "seconds", "cpu_seconds", "peak_mb", "found"),
        "size": size,
        "note": "GENERATED log, not real: text ids, users of uneven activity, items by a Zipf law, "
        f"of which a user of {GROUPS} groups takes {OWN:.0%} among the group's own; "
        f"{size['files']} Parquet files. `prepare`: checked, numbered, repeated pairs dropped, "
        f"{K}-core, split by time, in Beam's direct runner, one process. `train`: "
        f"MatrixFactorization of 64 columns, BPR, batches of {BATCH:,}, one epoch from disk. "
        "`memory`: the same with Interactions. `compare`: both logs are equal in every row. "
        "Peaks are of resident memory, of all processes of a step; seconds are of a machine that "
        "others used as well, processor seconds are not. NDCG@10 is of "
        f"{SAMPLE:,} users of the test part.",
    }


def watched(what: str, folder: str, size: str) -> dict[str, Any]:
    """Runs a step, and stops it where it takes more memory than the limit."""
    command = [sys.executable, "-m", "tests.benchmarks.large_logs", what, folder, size]
    before, started, peak = _children(), time.perf_counter(), 0
    with subprocess.Popen(command, cwd=here(), stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            peak = max(peak, sum(map(_resident, _tree(child.pid))))
            if peak > LIMIT:
                child.kill()
                raise MemoryError(f"{what}: more than {LIMIT / 2**30:.0f} GiB; stopped")
            time.sleep(0.1)
        said = child.stdout.read()
    if child.returncode:
        raise RuntimeError(f"{what}: ended with {child.returncode}")
    answer = json.loads(said.splitlines()[-1])
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(_children() - before, 1),
        "peak_mb": round(max(peak / 2**20, answer.pop("peak_mb"))),
        "found": ", ".join(f"{key} {value}" for key, value in answer.items()),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in _tree(int(child))]
        except OSError:  # it has just ended
            continue
    return found


def _resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


# -- in the child ---------------------------------------------------------------------------------


def generate(folder: Path, size: dict[str, int]) -> dict[str, Any]:
    """Writes the log, a file after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    users, items = size["users"], size["items"]
    activity = np.cumsum(rng.lognormal(sigma=1.0, size=users))
    share = np.cumsum(1 / np.arange(1, items + 1) ** 0.9)
    number = rng.permutation(items)
    names = pa.array([f"user-{n:06d}@example.org" for n in rng.permutation(users)])
    things = pa.array([f"B00{n:06d}XQ" for n in range(items)])
    rows = size["interactions"] // size["files"]
    (folder / "parts").mkdir()
    for file in range(size["files"]):
        user = np.searchsorted(activity, rng.random(rows) * activity[-1])
        rank = np.searchsorted(share, rng.random(rows) * share[-1])
        own = rng.random(rows) < OWN
        rank[own] = np.minimum(rank[own] - rank[own] % GROUPS + user[own] % GROUPS, items - 1)
        table = {
            "user": names.take(pa.array(user)),
            "item": things.take(pa.array(number[rank])),
            "rating": rng.integers(1, 11, rows) / 2,
            "time": 1_500_000_000 + rng.integers(0, 100_000_000, rows),
        }
        pq.write_table(pa.table(table), folder / "parts" / f"part-{file:03d}.parquet")
    written = sum(path.stat().st_size for path in (folder / "parts").iterdir())
    return {"interactions": rows * size["files"], "MB": round(written / 2**20)}


def prepare(folder: Path, size: dict[str, int]) -> dict[str, Any]:
    """Prepares it with Beam."""
    from tfadvrec import data

    log = data.prepare(
        str(folder / "parts" / "*.parquet"), folder / "made", k_core=K, split="by_time"
    )
    about = log.describe()
    return {
        **about["interactions"],
        "users": log.n_users,
        "items": log.n_items,
        "shards": log.shards,
        "MB": round(about["bytes"] / 2**20),
    }


def train(folder: Path, size: dict[str, int]) -> dict[str, Any]:
    """Trains on it from disk."""
    from tfadvrec import data

    log = data.ShardedLog(folder / "made")
    test = data.ShardedLog(folder / "made", "test")
    users = np.random.default_rng(0).permutation(np.flatnonzero(test.activity()))[:SAMPLE]
    return _trained(log, log.load(users), test.load(users), users)


def memory(folder: Path, size: dict[str, int]) -> dict[str, Any]:
    """The same with the whole log in memory."""
    log, _, test = _loaded(folder)
    users = np.flatnonzero(np.bincount(test.user, minlength=log.n_users))
    return _trained(log, log, test, np.random.default_rng(0).permutation(users)[:SAMPLE])


def compare(folder: Path, size: dict[str, int]) -> dict[str, Any]:
    """Compares the prepared parts with those of the split in memory, row for row."""
    from tfadvrec import data
    from tfadvrec.data.ordering import stable_sort

    rows = 0
    for name, part in zip(("train", "validation", "test"), _loaded(folder), strict=True):
        found, order = data.ShardedLog(folder / "made", name).load(), stable_sort(part.user)[1]
        for key in ("user", "item", "rating", "time"):
            np.testing.assert_array_equal(getattr(found, key), getattr(part, key)[order])
        np.testing.assert_array_equal(found.user_ids, part.user_ids)
        np.testing.assert_array_equal(found.item_ids, part.item_ids)
        if found.dropped != part.dropped:
            raise AssertionError(f"{found.dropped} is not {part.dropped}")
        rows += len(part)
    return {"equal rows": rows, "dropped": sum(found.dropped.values())}


def _loaded(folder: Path) -> Any:
    from tfadvrec import data

    log = data.Interactions.from_parquet(str(folder / "parts" / "*.parquet"))
    return data.by_time(data.k_core(log, K))


def _trained(log: Any, known: Any, test: Any, users: np.ndarray) -> dict[str, Any]:
    """An epoch, and how well the sampled users are served after it."""
    import tfadvrec as tar

    model = tar.MatrixFactorization(n_users=log.n_users, n_items=log.n_items, dimension=64, seed=0)
    model.compile(tar.optimizers.RowWiseAdagrad(0.2), loss=tar.losses.BayesianPersonalizedRanking())
    batch = min(BATCH, len(log) // 100)
    wall, cpu = time.perf_counter(), time.process_time()
    blocks = tar.data.pairs(log, batch_size=batch, block=BLOCK, seed=0)
    model.fit(blocks, epochs=EPOCHS, verbose=0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    means = tar.evaluate(model, known, test, users=users, metrics=["ndcg"]).means
    return {
        "training seconds": round(wall, 1),
        "of processor": round(cpu, 1),
        "NDCG@10": round(means["ndcg@10"], 4),
    }


if __name__ == "__main__":
    from tests.benchmarks.peers.protocol import peak_mb

    parser = argparse.ArgumentParser(description="Does one step, in a process of its own.")
    parser.add_argument("what", choices=("generate", "prepare", "train", "memory", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=json.loads)
    asked = parser.parse_args()
    answer = globals()[asked.what](asked.folder, asked.size)
    print(json.dumps({**answer, "peak_mb": peak_mb()}))
