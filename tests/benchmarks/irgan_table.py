"""Table C: IRGAN, the same training without its adversary, and baselines on `irgan-ml100k`.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.irgan_table

The published split of Wang et al. (SIGIR 2017): ratings of 4 and 5 are positives, and all items
outside a user's training positives are ranked. Every generator starts from a factorisation that
was trained by dynamic negative sampling for `start` epochs; `DNS` goes on with that. `IRGAN` is
the game alone; `IRGAN + likelihood` adds the likelihood of the positives to the generator's loss,
and its twin is the same with adversarial weight 0. Settings and the number of epochs are chosen by
precision at 5 on a fifth of each user's training positives, drawn once; then everything is fitted
anew on the whole training part with five seeds, and the test part is read once. Writes
`results/irgan_table.json`.
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
from tfadvrec.data import Interactions, pairs
from tfadvrec.evaluation import compare, evaluate, over_seeds
from tfadvrec.games.policy_gradient import PolicyGradientGame
from tfadvrec.losses import DynamicNegatives

CUTS = (3, 5, 10)
SHOWN = [f"{metric}@{k}" for metric in ("precision", "ndcg") for k in CUTS]
CHECKPOINTS = (8, 16, 24, 32)
DIMENSION = 32
SOFT = {"start": 3, "likelihood": 1.0, "regularization": 0.16, "rate": 0.01}
JUDGE = {"uniform_negatives": 0.8, "negative_temperature": 1.0}
GRIDS = {
    "DNS": [{"start": 12}],
    "IRGAN": [{**JUDGE, "start": 12, "regularization": [0.01, 0.12], "rate": 0.001}],
    "IRGAN + likelihood": [{**JUDGE, **SOFT, "weight": weight} for weight in (0.3, 1.0)],
    "likelihood alone (twin)": [{**SOFT, "weight": 0.0}],
}
CLOSED_GRIDS = {
    "MostPopular": [{}],
    "ItemKNN": [{"neighbours": n, "shrink": h} for n in (50, 100, 200) for h in (10.0, 50.0)],
    "PureSVD": [{"rank": r} for r in (5, 10, 15, 20)],
    "EASE": [{"regularization": r} for r in (100.0, 200.0, 300.0, 500.0)],
}
PUBLISHED = {
    "start (DNS)": [0.3845, 0.3474, 0.2967, 0.3986, 0.3749, 0.3518],
    "generator": [0.4057, 0.3785, 0.3184, 0.4228, 0.4053, 0.3775],
}


def load(folder: pathlib.Path) -> tuple[Interactions, Interactions]:
    """Training and test positives, with one vocabulary of all items that were rated."""
    files = (folder / f"movielens-100k-{part}.txt" for part in ("train", "test"))
    split = tar.data.published_split(*files, header=False, user=0, item=1, rating=2)
    return tuple(part.take(part.rating >= 4) for part in (split.train, split.test))


def carved(log: Interactions, share: float = 0.2) -> tuple[Interactions, Interactions]:
    """A random share of each user's interactions, drawn once, held out of the others."""
    order = np.random.default_rng(0).permutation(len(log))
    order = order[np.argsort(log.user[order], kind="stable")]
    count = np.bincount(log.user, minlength=log.n_users)
    place = np.arange(len(log)) - np.repeat(np.cumsum(count) - count, count)
    held = np.zeros(len(log), bool)
    held[order[place < np.repeat((count * share).astype(int), count)]] = True
    return log.take(~held), log.take(held)


def start(log: Interactions, seed: int, epochs: int) -> tar.MatrixFactorization:
    """A factorisation trained by dynamic negative sampling."""
    model = tar.MatrixFactorization(
        n_users=log.n_users,
        n_items=log.n_items,
        dimension=DIMENSION,
        item_bias=True,
        initial_scale=0.05,
        seed=seed,
    ).bind(log)
    model.fit(sampling(model, log, seed), epochs=epochs, verbose=0)
    return model


def sampling(model: tar.MatrixFactorization, log: Interactions, seed: int):
    """Compiles dynamic negative sampling, and gives its data."""
    rate = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1)
    model.compile(rate, loss=DynamicNegatives(), jit_compile=True)
    return pairs(log, batch_size=512, negatives=5, seed=seed, block=1000)


class Training:
    """One generator after the common start: the game, its twin, or more of the start."""

    def __init__(self, log: Interactions, setting: dict, seed: int) -> None:
        given = dict(setting)
        self.model, self.epoch = start(log, seed, given.pop("start")), 0
        if not given:  # more of the start
            self.trainer, self.data = self.model, sampling(self.model, log, seed + 1)
            return
        rate, weight = given.pop("rate"), given.pop("weight", 1.0)
        self.trainer = PolicyGradientGame.for_log(
            log, self.model, seed=seed, enumerate_items=True, **given
        )
        rates = keras.optimizers.Adam(rate), keras.optimizers.Adam(0.01)
        self.trainer.compile(*rates, adversarial_weight=weight, jit_compile=True)
        self.data = self.trainer.batches(log, batch_size=118, seed=seed, block=100)

    def fit_to(self, epoch: int) -> None:
        if epoch > self.epoch:
            self.trainer.fit(self.data, epochs=epoch - self.epoch, verbose=0)
        self.epoch = epoch


def measure(model: keras.Model, train: Interactions, test: Interactions):
    return evaluate(model, train, test, k=CUTS, metrics=["precision", "ndcg"])


def choose(parts: tuple[Interactions, Interactions], grid: list[dict]) -> tuple[dict, list[dict]]:
    """The setting and epoch with the best validation precision at 5, and every candidate's."""
    tried = []
    for setting in grid:
        run = Training(parts[0], setting, seed=100)
        for epoch in (0, *CHECKPOINTS):
            run.fit_to(epoch)
            found = measure(run.model, *parts).means["precision@5"]
            tried.append({"setting": setting, "epochs": epoch, "precision@5": found})
            print(tried[-1], flush=True)
    played = [one for one in tried if one["epochs"] or set(one["setting"]) == {"start"}]
    return max(played, key=lambda one: one["precision@5"]), tried


def closed(log: Interactions, name: str, setting: dict) -> keras.Model:
    model = getattr(tar, name)(n_users=log.n_users, n_items=log.n_items, **setting)
    model.fit(log)
    return model


def row(name: str, chosen: dict, results: list, seconds: float | None = None) -> dict:
    means = over_seeds(results)
    shown = {metric: means[metric] for metric in SHOWN}
    print(name, {k: round(v["mean"], 4) for k, v in shown.items()}, flush=True)
    timed = {} if seconds is None else {"seconds a seed": round(seconds, 1)}
    return {"model": name, "chosen": chosen, "seeds": len(results), **shown, **timed}


def baselines(inner: tuple, outer: tuple) -> dict[str, dict]:
    """A row for each closed form, and for the published generator's rank."""
    rows = {}
    for name, grid in CLOSED_GRIDS.items():
        values = [measure(closed(inner[0], name, one), *inner).means[SHOWN[1]] for one in grid]
        best = grid[int(np.argmax(values))]
        rows[name] = (best, measure(closed(outer[0], name, best), *outer))
    rows["PureSVD 5"] = ({"rank": 5}, measure(closed(outer[0], "PureSVD", {"rank": 5}), *outer))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    began = time.time()
    outer = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "irgan-ml100k")
    inner = carved(outer[0])
    final = {name: (chosen, [one]) for name, (chosen, one) in baselines(inner, outer).items()}
    rows = [row(name, *found) for name, found in final.items()]
    candidates = {}
    for name, grid in GRIDS.items():
        chosen, candidates[name] = choose(inner, grid)
        results, clock = [], time.time()
        for seed in range(arguments.seeds):
            run = Training(outer[0], chosen["setting"], seed)
            run.fit_to(chosen["epochs"])
            results.append(measure(run.model, *outer))
        final[name] = (chosen, results)
        rows.append(row(name, chosen, results, (time.time() - clock) / arguments.seeds))
    report = {
        "data": "irgan-ml100k",
        "split": "published; selection on a random fifth of each user's training positives",
        "command": "python -m tests.benchmarks.irgan_table",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "dimension": DIMENSION,
        "rows": rows,
        "published (P@3/5/10, N@3/5/10)": PUBLISHED,
        "paired differences": differences(final),
        "candidates": candidates,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "irgan_table.json").write_text(json.dumps(report, indent=1) + "\n")


def differences(final: dict) -> dict:
    """Paired differences over users, each user's value averaged over the seeds."""
    found = {}
    for a, b in (
        ("IRGAN", "DNS"),
        ("IRGAN + likelihood", "likelihood alone (twin)"),
        ("IRGAN + likelihood", "EASE"),
    ):
        one, other = (_Averaged(final[name][1]) for name in (a, b))
        for metric in SHOWN[:3]:
            gap = compare(one, other, metric)
            found[f"{a} - {b}, {metric}"] = [gap.difference, gap.low, gap.high, gap.p_value]
            print(f"{a} - {b}  {metric}: {gap.difference:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
    return found


class _Averaged:
    """Several seeds' results as one: each user's value is the mean over the seeds."""

    def __init__(self, results: list) -> None:
        self.results, self.users = results, results[0].users

    def values(self, metric: str) -> np.ndarray:
        return np.mean([result.values(metric) for result in self.results], axis=0)


if __name__ == "__main__":
    main()
