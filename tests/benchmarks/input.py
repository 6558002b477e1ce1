"""Part `input`: logs loaded from text files and Parquet, and what is done with them first.

Every load runs in a process of its own, after one of a hundred rows, so that neither the imports
nor the libraries' own memory count. pandas and polars read the same columns and number the ids;
they check nothing, look for no repeated pairs and do not sort the vocabulary unless that is free.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tests.benchmarks.context import Context
from tests.benchmarks.peers.protocol import peak_mb
from tests.benchmarks.workers import here

SIZES = (100_000, 1_000_000, 10_000_000)
READERS = ("tfadvrec", "pandas", "polars")
FORMATS = ("csv", "parquet")
IDS = ("integer", "text")
ONCE = 1_000_000  # larger logs are loaded once


def run(context: Context) -> dict[str, Any]:
    """Measures every size, format and reader; then the splits of the largest log."""
    rows, steps = [], []
    sizes = SIZES[:2] if context.quick else SIZES
    readers = [name for name in READERS if importlib.util.find_spec(name)]
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            for ids in IDS:
                context.say(f"{size:,} interactions, {ids} ids")
                generate(Path(folder), size, ids)
                repeats = 1 if size > ONCE else min(3, context.rounds)
                for form in FORMATS:
                    rows += _loads(Path(folder), size, ids, form, readers, repeats)
                if size == sizes[-1]:
                    steps += [{"ids": ids, **row} for row in _child("steps", folder, "parquet")]
                for file in Path(folder).iterdir():
                    file.unlink()
    return {
        "rows": rows,
        "tables": {f"steps at {sizes[-1]:,} interactions": steps},
        "note": "GENERATED logs, not real: a tenth as many users as interactions, a hundredth as "
        "many items (Zipf popularity), with ratings and times; text ids have 23 and 11 "
        "characters, Parquet row groups a million rows. `peak_mb` is what loading adds to the "
        "peak of the resident size, `bytes_a_row` the same for a row. tfadvrec checks every value, "
        "drops repeated pairs and sorts the vocabularies; the others only read and number the "
        "ids, pandas on one thread, polars on all. Medians of at most three loads, one beyond a "
        "million interactions.",
    }


def generate(folder: Path, size: int, ids: str) -> None:
    """Writes the log of a size, and one of a hundred rows, in both formats."""
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    users, items = size // 10, size // 100
    share = np.cumsum(1 / np.arange(1, items + 1) ** 0.9)
    user = rng.integers(0, users, size)
    item = rng.permutation(items)[np.searchsorted(share, rng.random(size) * share[-1])]
    names: dict[str, Any] = {"user": pa.array(user), "item": pa.array(item)}
    if ids == "text":
        names["user"] = pa.array([f"user-{n:06d}@example.org" for n in range(users)]).take(
            names["user"]
        )
        names["item"] = pa.array([f"B00{n:06d}XQ" for n in range(items)]).take(names["item"])
    rating = rng.integers(1, 11, size) / 2
    seconds = rng.integers(1_500_000_000, 1_600_000_000, size)
    table = pa.table({**names, "rating": rating, "time": seconds})
    for name, part in (("large", table), ("small", table.slice(0, 100))):
        pacsv.write_csv(part, folder / f"{name}.csv")
        pq.write_table(part, folder / f"{name}.parquet", row_group_size=1 << 20)


def _loads(
    folder: Path, size: int, ids: str, form: str, readers: list[str], repeats: int
) -> list[dict[str, Any]]:
    """Each reader in turn, round after round."""
    found: dict[str, list[dict[str, float]]] = {reader: [] for reader in readers}
    for _ in range(repeats):
        for reader in readers:
            found[reader].append(_child("load", str(folder), form, reader))
    rows = []
    for reader, records in found.items():
        middle = {key: statistics.median(r[key] for r in records) for key in records[0]}
        rows.append(
            {
                "interactions": size,
                "ids": ids,
                "format": form,
                "reader": reader,
                "file_mb": round((folder / f"large.{form}").stat().st_size / 2**20, 1),
                "seconds": round(middle["seconds"], 3),
                "cpu_seconds": round(middle["cpu_seconds"], 3),
                "rows_a_second": round(size / middle["seconds"]),
                "peak_mb": round(middle["peak"] / 2**20, 1),
                "bytes_a_row": round(middle["peak"] / size, 1),
            }
        )
    return rows


def _child(*words: str) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.input", *words]
    done = subprocess.run(command, cwd=here(), stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


# -- in the child ---------------------------------------------------------------------------------


def load(folder: str, form: str, reader: str) -> dict[str, float]:
    """Loads the large file after the small one."""
    read = {"tfadvrec": _ours, "pandas": _pandas, "polars": _polars}[reader]
    read(Path(folder, f"small.{form}"))
    before = peak_mb()
    kept, record = timed(lambda: read(Path(folder, f"large.{form}")))
    del kept
    return record | {"peak": round((peak_mb() - before) * 2**20)}


def steps(folder: str, form: str) -> list[dict[str, Any]]:
    """What is done with a log after it is loaded."""
    from tfadvrec import data

    log = _ours(Path(folder, f"large.{form}"))
    split = data.leave_last_out(log)
    todo: dict[str, Callable[[], Any]] = {
        "leave_last_out": lambda: data.leave_last_out(log),
        "by_time": lambda: data.by_time(log),
        "by_ratio": lambda: data.by_ratio(log),
        "k_core(5)": lambda: data.k_core(log, 5),
        "csr": log.csr,
        "popularity": log.popularity,
        "fingerprint": log.fingerprint,
        "describe": log.describe,
        "Split.describe": split.describe,
        "lookup of 1,000,000 users": lambda: log.lookup_users(log.user_ids[log.user[:1_000_000]]),
    }
    rows = []
    for name, step in todo.items():
        _, record = timed(step)
        rows.append({"step": name, **{key: round(value, 3) for key, value in record.items()}})
    return rows


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Returns what the work returned, and its seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    record = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return result, record


def _ours(path: Path) -> Any:
    from tfadvrec.data import Interactions

    read = Interactions.from_csv if path.suffix == ".csv" else Interactions.from_parquet
    return read(path)


def _pandas(path: Path) -> Any:
    import pandas

    frame = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    for side in ("user", "item"):
        codes, _ = pandas.factorize(frame[side])
        frame[side] = codes
    return frame


def _polars(path: Path) -> Any:
    import polars

    frame = polars.read_csv(path) if path.suffix == ".csv" else polars.read_parquet(path)
    number = {
        side: polars.col(side).cast(polars.Categorical).to_physical()
        if frame[side].dtype == polars.String
        else polars.col(side).rank("dense")
        for side in ("user", "item")
    }
    return frame.with_columns(**number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures one thing, in a process of its own.")
    parser.add_argument("what", choices=("load", "steps"))
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    print(json.dumps({"load": load, "steps": steps}[asked.what](*asked.words)))
