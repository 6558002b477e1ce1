"""Part `evaluation`: users ranked a second over the whole catalogue, beside the bare product.

Vectors are random, or the truncated SVD of the log (lists of a real recommender repeat the popular
items, those of random vectors show every item: the hard case for diversity). The peers' own
evaluators are measured by part `training`, which has trained them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tests.benchmarks import logs
from tests.benchmarks.context import Context
from tests.benchmarks.peers.protocol import peak_mb
from tests.benchmarks.workers import here

DIMENSION, CUTS = 64, (10, 50, 100)
RANKS, LISTS = ("hr", "ndcg", "mrr", "auc"), ("coverage", "ild", "novelty")
MEASURED: dict[str, tuple[str, ...] | None] = {
    "rank metrics": RANKS,
    "coverage and novelty": ("coverage", "novelty"),
    "list metrics": LISTS,
    "all metrics": None,
}
# items -> (users, interactions): catalogues beyond the standard log's, generated
LARGER = {100_000: (1_500, 150_000), 1_000_000: (150, 15_000)}
PREPARED = (10**5, 10**6, 10**7)  # interactions
FLOOR, SPLIT, TENSORFLOW = (
    "bare product",
    "bare product, split by NumPy",
    "bare product, TensorFlow",
)


def run(context: Context) -> dict[str, Any]:
    """Measures every catalogue, each in processes of its own."""
    log, described = logs.standard(context)
    rows = []
    with logs.on_disk(log) as file:
        for vectors in ("svd", "random"):
            rows += _catalogue(context, file, vectors, described)
    for items, (users, interactions) in {} if context.quick else LARGER.items():
        log = logs.generated(interactions=interactions, users=users, items=items)
        with logs.on_disk(log) as file:
            rows += _catalogue(context, file, "random", f"generated, {items:,} items")
    sizes = PREPARED[:1] if context.quick else PREPARED
    prepared = [_child(context, "prepare", str(size)) for size in sizes]
    return {
        "rows": rows,
        "tables": {"preparation": prepared},
        "note": f"Vectors of {DIMENSION} numbers, seen items masked, cuts {CUTS}. Medians of "
        f"{context.rounds} rounds in which everything takes its turn; `times_product` is the "
        "median ratio to the bare product of the same round: the scores alone, by the same blocks "
        f"and {context.threads} threads as ours, never looked at. The same product in blocks "
        "of up to 1,024 users, split by NumPy or by TensorFlow, stands below it. The task is "
        "prepared and the items' cosines are known, as from the second evaluation on; `first` is "
        "the first evaluation, with the cosines. `peak_mb_more` is by how much one evaluation, "
        "the first in a process of its own, raises the resident size. Peers' own "
        "evaluators: part training.",
    }


def _catalogue(context: Context, file: Path, vectors: str, described: str) -> list[dict[str, Any]]:
    context.say(f"{described}, {vectors} vectors")
    rows = _child(context, "measure", str(file), vectors)
    for row in rows:
        if row["what"] in MEASURED:
            row |= _child(context, "memory", str(file), vectors, row["what"])
    return [{"catalogue": described.split(":")[0], "vectors": vectors, **row} for row in rows]


def _child(context: Context, *words: str) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.evaluation", *words]
    command += ["--threads", str(context.threads), "--rounds", str(context.rounds)]
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        command, cwd=here(), env=variables, stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


# -- in the child ---------------------------------------------------------------------------------


def measure(file: str, vectors: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All ways in turn, round after round."""
    import tensorflow as tf

    from tfadvrec.evaluation.catalogue import block_users
    from tfadvrec.evaluation.threads import one_blas_thread

    task, model, prepared = _task(file, vectors)
    users = np.asarray(model.embed_users(task.users.astype(np.int32)))
    items = np.asarray(model.embed_items(np.arange(model.n_items)))
    size = block_users(len(items), options.threads)
    pieces = [users[start : start + size] for start in range(0, len(users), size)]
    pool, split = ThreadPoolExecutor(options.threads), max(1, min(1024, 16_000_000 // len(items)))
    large = [users[start : start + split] for start in range(0, len(users), split)]
    spare = [np.empty((size, len(items)), np.float32) for _ in range(options.threads)]

    def product(piece: np.ndarray) -> None:
        out = spare.pop()
        np.matmul(piece, items.T, out=out[: len(piece)])
        spare.append(out)

    def bare() -> None:
        with one_blas_thread():
            list(pool.map(product, pieces))

    ways: dict[str, Callable[[], Any]] = {
        FLOOR: bare,
        SPLIT: lambda: [piece @ items.T for piece in large],
        TENSORFLOW: lambda: [tf.matmul(piece, items, transpose_b=True) for piece in large],
    }
    for what, names in MEASURED.items():
        ways[what] = lambda names=names: task.evaluate(
            model, k=CUTS, metrics=names, threads=options.threads
        )
    first = {what: _timed(way)[0] for what, way in ways.items()}
    records: dict[str, list[tuple[float, float]]] = {what: [] for what in ways}
    for turn in range(options.rounds):
        for what in list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]:
            records[what].append(min(_timed(ways[what]) for _ in range(3)))
    floor = records[FLOOR]
    return [
        {
            "what": what,
            "users_per_second": round(len(users) / median(wall for wall, _ in record)),
            "users_per_cpu_second": round(len(users) / median(cpu for _, cpu in record)),
            "times_product": _ratio(record, floor, 0),
            "times_product_cpu": _ratio(record, floor, 1),
            "seconds": round(median(wall for wall, _ in record), 4),
            "first": round(first[what], 3) if what in MEASURED else None,
            "prepare": round(prepared, 3) if what in MEASURED else None,
        }
        for what, record in records.items()
    ]


def memory(file: str, vectors: str, what: str, options: argparse.Namespace) -> dict[str, Any]:
    """By how much the first evaluation raises the peak."""
    task, model, _ = _task(file, vectors)
    before = _peak_from_now()
    task.evaluate(model, k=CUTS, metrics=MEASURED[what], threads=options.threads)
    more = peak_mb() - before
    scores = len(task.users) * model.n_items * 4
    return {"peak_mb_more": round(more), "all_scores_mb": scores // 2**20}


def prepare(interactions: str, options: argparse.Namespace) -> dict[str, Any]:
    """A task of so many interactions, a tenth as many users, one held-out item each."""
    from tfadvrec.data import Interactions
    from tfadvrec.evaluation import RankingTask

    rng, count = np.random.default_rng(0), int(interactions)
    n_users, n_items = count // 10, 100_000
    ids = {"user_ids": np.arange(n_users), "item_ids": np.arange(n_items)}
    user = rng.integers(0, n_users, count, dtype=np.int32)
    item = (n_items * rng.random(count) ** 2).astype(np.int32)
    train = Interactions(user=user, item=item, **ids)
    rows = np.arange(n_users, dtype=np.int32)
    test = Interactions(user=rows, item=rng.integers(0, n_items, n_users, np.int32), **ids)
    before = _peak_from_now()
    wall, cpu = min(_timed(lambda: RankingTask(train, test)) for _ in range(options.rounds))
    more = peak_mb() - before
    return {
        "interactions": count,
        "users": n_users,
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "peak_mb_more": round(more),
    }


def _task(file: str, vectors: str) -> tuple[Any, Any, float]:
    from scipy.sparse.linalg import svds

    from tfadvrec.data import Interactions
    from tfadvrec.evaluation import RankingTask
    from tfadvrec.models import MatrixFactorization

    with np.load(file) as log:
        sizes = {side: int(log[f"n_{side}s"]) for side in ("user", "item")}
        ids = {f"{side}_ids": np.arange(size) for side, size in sizes.items()}
        train, test = (
            Interactions(user=log[f"{part}_user"], item=log[f"{part}_item"], **ids)
            for part in ("train", "test")
        )
    tables = [
        np.random.default_rng(0).normal(size=(size, DIMENSION)).astype(np.float32)
        for size in sizes.values()
    ]
    if vectors == "svd":
        left, strength, right = svds(train.csr(), DIMENSION, random_state=0)
        tables = [left * strength, right.T]
    model = MatrixFactorization(n_users=sizes["user"], n_items=sizes["item"], dimension=DIMENSION)
    model.user_embedding.embeddings.assign(tables[0])
    model.item_embedding.embeddings.assign(tables[1])
    started = time.perf_counter()
    return RankingTask(train, test), model, time.perf_counter() - started


def _peak_from_now() -> float:
    """Forgets the peak of what was done before (Linux): the resident size now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_mb()


def _timed(way: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - wall, time.process_time() - cpu


def _ratio(record: list[tuple[float, float]], floor: list[tuple[float, float]], at: int) -> float:
    return round(median(a[at] / b[at] for a, b in zip(record, floor, strict=True)), 2)


def main() -> None:
    """Runs one measurement and prints it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("measure", "memory", "prepare"))
    parser.add_argument("words", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    does = {"measure": measure, "memory": memory, "prepare": prepare}[options.what]
    print(json.dumps(does(*options.words, options=options)))


if __name__ == "__main__":
    main()
