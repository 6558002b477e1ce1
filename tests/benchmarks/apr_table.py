"""Table A: matrix factorisation plain (BPR) and adversarial (APR) on `apr-ml100k`.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.apr_table

Full ranking, leave-one-out by time, the protocol of Anelli et al. (The Idiosyncratic Effects of
Adversarial Training on Bias in Personalized Recommendation Learning, RecSys 2021). Settings and
the number of epochs are chosen on the last training interaction of each user, BPR and APR with
the same number of candidates (APR's grid was narrowed by earlier runs on the same validation
items, about ten settings that BPR did not get); then each is fitted anew on all training data
with five seeds and the test item is read once. Writes `results/apr_ml_100k.json`.
"""

import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfadvrec as tar
from tfadvrec.data import Interactions, Split, leave_last_out, pairs
from tfadvrec.evaluation import compare, evaluate, over_seeds

CUTS = (10, 50, 100)
SHOWN = [f"{m}@{k}" for k in CUTS for m in ("hr", "ndcg")] + ["popularity@10", "aplt@10"]
CHECKPOINTS = (80, 120, 160, 200, 240)
BPR_GRID = [{"regularization": r} for r in (0.0, 30.0, 100.0, 300.0)]
APR_GRID = [
    {"epsilon": e, "weight": w, "plain": 80}
    for e, w in ((0.3, 1.0), (0.5, 0.3), (0.5, 1.0), (0.8, 0.1))
]
CLOSED_GRIDS = {
    "MostPopular": [{}],
    "ItemKNN": [{"neighbours": n, "shrink": h} for n in (50, 100, 200) for h in (10.0, 50.0)],
    "PureSVD": [{"rank": r} for r in (10, 20, 30, 40)],
    "EASE": [{"regularization": r} for r in (50.0, 100.0, 200.0, 400.0)],
}


def load(folder: pathlib.Path) -> Split:
    """The published train and test files, which share one vocabulary."""
    columns = {"user": 0, "item": 1, "rating": 2, "time": 3}
    return tar.data.published_split(
        folder / "trainingset.tsv", folder / "testset.tsv", header=False, **columns
    )


class Factors:
    """Matrix factorisation under training, plain or against the adversary."""

    def __init__(self, log: Interactions, setting: dict, seed: int) -> None:
        self.setting, self.epoch = setting, 0
        self.model = tar.MatrixFactorization(
            n_users=log.n_users,
            n_items=log.n_items,
            regularization=setting.get("regularization", 0.0),
            seed=seed,
        ).bind(log)
        self.data = pairs(log, batch_size=512, seed=seed, block=10_000)
        self._compile(self.model)

    def _compile(self, trainer: keras.Model) -> None:
        optimizer = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1)
        trainer.compile(optimizer, loss=tar.losses.BayesianPersonalizedRanking(), jit_compile=True)
        self.trainer = trainer

    def fit_to(self, epoch: int) -> None:
        """Trains on to an epoch: plainly first, then with a fresh optimizer against the attack."""
        plain = self.setting.get("plain")
        while self.epoch < epoch:
            if self.epoch == plain:
                attack = tar.FastGradient(self.setting["epsilon"])
                weight = self.setting["weight"]
                self._compile(tar.AdversarialTraining(self.model, attack, weight=weight))
            stop = epoch if plain is None or self.epoch >= plain else min(epoch, plain)
            self.trainer.fit(self.data, epochs=stop - self.epoch, verbose=0)
            self.epoch = stop


def choose(split: Split, grid: list[dict]) -> tuple[dict, list[dict]]:
    """The setting and epoch with the best validation nDCG@10, and every candidate's value."""
    tried = []
    for setting in grid:
        run = Factors(split.train, setting, seed=100)
        for epoch in CHECKPOINTS:
            run.fit_to(epoch)
            found = evaluate(run.model, split.train, split.test, k=(10,), metrics=["hr", "ndcg"])
            tried.append({**setting, "epochs": epoch, "ndcg@10": found.means["ndcg@10"]})
            print(tried[-1], flush=True)
    return max(tried, key=lambda one: one["ndcg@10"]), tried


def choose_closed(split: Split, name: str) -> dict:
    tried = []
    for setting in CLOSED_GRIDS[name]:
        model = closed(split.train, name, setting)
        found = evaluate(model, split.train, split.test, k=(10,), metrics=["ndcg"])
        tried.append((found.means["ndcg@10"], setting))
    return max(tried, key=lambda one: one[0])[1]


def closed(log: Interactions, name: str, setting: dict) -> keras.Model:
    model = getattr(tar, name)(n_users=log.n_users, n_items=log.n_items, **setting)
    model.fit(log)
    return model


def row(name: str, setting: dict, results: list) -> dict:
    return {
        "model": name,
        "setting": {k: v for k, v in setting.items() if k != "ndcg@10"},
        "seeds": len(results),
        **{metric: over_seeds(results)[metric] for metric in SHOWN},
        "interval over users": {m: list(results[0].interval(m)) for m in ("hr@10", "ndcg@10")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    began = time.time()
    split = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "apr-ml100k")
    inner = leave_last_out(split.train, validation=False)
    rows, candidates, final = [], {}, {}
    for name in CLOSED_GRIDS:
        setting = choose_closed(inner, name)
        result = evaluate(closed(split.train, name, setting), split.train, split.test, k=CUTS)
        rows.append(row(name, setting, [result]))
        final[name] = [result] * arguments.seeds
    for name, grid in (("BPR-MF", BPR_GRID), ("APR", APR_GRID)):
        setting, candidates[name] = choose(inner, grid)
        final[name] = []
        for seed in range(arguments.seeds):
            run = Factors(split.train, setting, seed)
            run.fit_to(setting["epochs"])
            final[name].append(evaluate(run.model, split.train, split.test, k=CUTS))
            print(name, seed, final[name][-1].means["ndcg@10"], flush=True)
        rows.append(row(name, setting, final[name]))
    differences = {
        f"{a} - {b}": {metric: paired(final[a], final[b], metric) for metric in SHOWN[:6]}
        for a, b in (("APR", "BPR-MF"), ("APR", "EASE"), ("BPR-MF", "EASE"))
    }
    report = {
        "data": "apr-ml100k",
        "split": "published leave-one-out; selection on the last training interaction per user",
        "command": "python -m tests.benchmarks.apr_table",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "rows": rows,
        "paired differences": differences,
        "candidates": candidates,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "apr_ml_100k.json").write_text(json.dumps(report, indent=1) + "\n")
    show(report)


def paired(a: list, b: list, metric: str) -> dict:
    """The paired difference over users, each user's value averaged over the seeds."""
    gap = compare(_Averaged(a), _Averaged(b), metric)
    return {"difference": gap.difference, "low": gap.low, "high": gap.high, "p": gap.p_value}


class _Averaged:
    """Several seeds' results as one: each user's value is the mean over the seeds."""

    def __init__(self, results: list) -> None:
        self.results, self.users = results, results[0].users

    def values(self, metric: str) -> np.ndarray:
        return np.mean([result.values(metric) for result in self.results], axis=0)


def show(report: dict) -> None:
    print("| model | " + " | ".join(SHOWN) + " |")
    print("|---|" + "---|" * len(SHOWN))
    for one in report["rows"]:
        cells = [
            f"{one[m]['mean']:.4f}" + (f" ± {one[m]['sd']:.4f}" if one[m]["sd"] else "")
            for m in SHOWN
        ]
        print(f"| {one['model']} | " + " | ".join(cells) + " |")
    for name, metrics in report["paired differences"].items():
        for metric, gap in metrics.items():
            print(
                f"{name}  {metric}: {gap['difference']:+.4f} "
                f"[{gap['low']:+.4f}, {gap['high']:+.4f}]"
            )


if __name__ == "__main__":
    main()
