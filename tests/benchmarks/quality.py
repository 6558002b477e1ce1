"""Part `quality`: seconds of training until the ranking is good, from a random start.

After each epoch a system hands over its factors, and one evaluator in NumPy judges all: full
ranking, seen items taken out, NDCG@10 of the one held-out item. Only training is counted; compiling
is told beside it. Settings are each system's usual ones: this says how fast they learn, and does
not rank the models. Adversarial training is not among them: it wants a model that has learned
(from a random start an attack of its usual size drowns the vectors).
"""

import math
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmarks import logs
from tests.benchmarks.context import Context
from tests.benchmarks.systems import Wanted, prepare, split, started
from tests.benchmarks.training import ours
from tests.benchmarks.workers import Worker, WorkerFailed

GOALS = (0.030, 0.040)
SECONDS, EPOCHS, REPEATS = 30.0, 40, 3
K, CHUNK = 10, 1024
SYSTEMS = (
    Wanted("implicit", "bpr"),
    Wanted("cornac", "bpr"),
    Wanted("lightfm", "bpr"),
    Wanted("lightfm", "warp"),
    Wanted("recbole", "bpr-4096"),
    Wanted("keras-rs", "pairwise-512"),
    *ours(
        "bpr-512-adagrad",
        "bpr-512-sparse_adagrad",
        "bpr-2048-rowwise_adagrad",
        "bpr-8192-rowwise_adagrad",
        "bpr-8192-rowwise_adagrad-3-negatives",
    ),
)
TRIAL = (Wanted("implicit", "bpr"), Wanted("lightfm", "warp"), *ours("bpr-512-adagrad"))


def run(context: Context) -> dict[str, Any]:
    """Trains every system until it reaches the goals, some times over."""
    log, described = logs.standard(context)
    judge = Judge(log)
    repeats = 1 if context.quick else min(REPEATS, context.rounds)
    limits = (2.0, 3) if context.quick else (SECONDS, EPOCHS)
    with (
        logs.on_disk(log) as file,
        started(TRIAL if context.quick else SYSTEMS, file, context) as (
            workers,
            facts,
            missing,
        ),
    ):
        curves: dict[str, list[Any]] = {worker.label: [] for worker in workers}
        for repeat in range(repeats):
            for label, curve in _race(workers, judge, limits, fresh=repeat > 0).items():
                curves[label].append(curve)
            context.say(f"repetition {repeat + 1} of {repeats} is done")
        failed = {worker.label: worker.failed for worker in workers if worker.failed}
    rows = [
        {
            "system": split(label).system,
            "variant": split(label).variant,
            **_reached(curves[label]),
            "prepare": round(facts[label]["prepared"]["seconds"], 2),
            **({"problem": failed[label]} if label in failed else {}),
        }
        for label in curves
    ]
    rows += [
        {"system": split(label).system, "variant": split(label).variant, "problem": problem}
        for label, problem in missing.items()
    ]
    return {
        "rows": rows,
        "curves": curves,
        "note": f"Data: {described}. Seconds of training, evaluation and preparing (compiling) "
        f"left out, until NDCG@{K} reached a goal; the median of {repeats} runs, each at most "
        f"{limits[0]:g} s and {limits[1]} epochs, systems taking turns epoch by epoch. Empty: not "
        "reached. The others' settings are usual ones, not tuned; ours (rate by batch, and three "
        "negatives) were chosen on held-out training interactions of this log, so the race "
        "flatters us. Adversarial training starts from a trained model and has no row.",
    }


class Judge:
    """NDCG@10 from factors: full ranking, items of the training log taken out.

    Args:
        log: The log's arrays, with one test item a test user.
    """

    def __init__(self, log: logs.Log) -> None:
        n_users, self.n_items = int(log["n_users"]), int(log["n_items"])
        order = np.argsort(log["train_user"], kind="stable")
        self.seen = log["train_item"][order]
        self.start = np.searchsorted(log["train_user"][order], np.arange(n_users + 1))
        self.user, self.item = log["test_user"], log["test_item"]

    def ndcg(self, user: np.ndarray, item: np.ndarray) -> float:
        """The mean over test users; a tie counts half a place."""
        gains = []
        for first in range(0, len(self.user), CHUNK):
            rows, held = self.user[first : first + CHUNK], self.item[first : first + CHUNK]
            scores = user[rows] @ item.T
            own = scores[np.arange(len(rows)), held].copy()
            counts = self.start[rows + 1] - self.start[rows]
            places = np.repeat(self.start[rows], counts) + _ramps(counts)
            scores[np.repeat(np.arange(len(rows)), counts), self.seen[places]] = -np.inf
            scores[np.arange(len(rows)), held] = -np.inf
            above = (scores > own[:, None]).sum(1) + 0.5 * (scores == own[:, None]).sum(1)
            gains.append(np.where(above < K, 1 / np.log2(above + 2), 0.0))
        return float(np.concatenate(gains).mean())


def _ramps(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def _race(
    workers: list[Worker], judge: Judge, limits: tuple[float, int], *, fresh: bool
) -> dict[str, list[dict[str, float]]]:
    """Lets all train in turn until each has reached the goals or its limits."""
    curves: dict[str, list[dict[str, float]]] = {worker.label: [] for worker in workers}
    running = [worker for worker in workers if not worker.failed]
    with TemporaryDirectory(prefix="benchmark-") as room:
        if fresh:
            running = [worker for worker in running if _again(worker)]
        while running:
            for worker in list(running):
                curve = curves[worker.label]
                went = _epoch(worker, curve, judge, Path(room) / "factors.npz")
                if not went or _finished(curve, limits):
                    running.remove(worker)
    return curves


def _finished(curve: list[dict[str, float]], limits: tuple[float, int]) -> bool:
    """Whether the last goal or a limit is reached."""
    last = curve[-1]
    return last["ndcg"] >= GOALS[-1] or last["seconds"] >= limits[0] or len(curve) >= limits[1]


def _again(worker: Worker) -> bool:
    """Makes a fresh model; whether that worked."""
    try:
        prepare(worker, split(worker.label), restore=True)
    except WorkerFailed:
        return False
    return True


def _epoch(worker: Worker, curve: list[dict[str, float]], judge: Judge, path: Path) -> bool:
    """Trains one epoch and judges it; whether that worked."""
    try:
        record = worker.ask("epoch")
        worker.ask("factors", path=str(path))
    except WorkerFailed:
        return False
    with np.load(path) as factors:
        found = judge.ndcg(factors["user"], factors["item"])
    before = curve[-1]["seconds"] if curve else 0.0
    seconds = round(before + record["seconds"], 4)
    curve.append({"seconds": seconds, "ndcg": round(found, 5) if math.isfinite(found) else 0.0})
    return True


def _reached(curves: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Seconds and epochs to each goal, and the best value that was seen."""
    found: dict[str, Any] = {}
    for goal in GOALS:
        hits = [
            next((n for n, point in enumerate(curve) if point["ndcg"] >= goal), None)
            for curve in curves
        ]
        name = f"{goal:.3f}".lstrip("0")
        every = hits and None not in hits
        times = (
            [curve[n]["seconds"] for curve, n in zip(curves, hits, strict=True)] if every else []
        )
        found[f"seconds_to_{name}"] = round(statistics.median(times), 2) if times else None
        found[f"epochs_to_{name}"] = statistics.median_low(n + 1 for n in hits) if times else None
    found["best_ndcg"] = max((point["ndcg"] for curve in curves for point in curve), default=None)
    found["epochs"] = max((len(curve) for curve in curves), default=0)
    return found
