"""Ratings of MovieLens-100K: factorised and neural, plain and adversarial, beside mean and biases.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.rating_table [--only "neural MF"]

10% of each user's ratings at random are the test part (seed 0). Settings and epochs are chosen on
another 10% with seed 0; then everything is fitted anew on the 90% and tested once a seed. Each
plain model has three candidates. Its adversarial twin has the plain one's setting and epochs of its
own; of three fractions of `RelativeEpsilon` it takes the largest whose validation RMSE is at most
0.5% above the plain one's, or else that with the lowest. A step of it costs about twice as much.

Attacked: one perturbation of the embedding tables by 10 steps of projected gradient up the squared
error of the test ratings themselves, each row within 0.1, 0.2 and 0.4 of the mean length of the
model's own rows; noise of the same size beside it. Predictions are clipped to 1..5 everywhere.
Writes `results/rating_table.json`; rows of other models stay.
"""

import argparse
import json
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfadvrec as tar
from tfadvrec.adversary import RelativeEpsilon
from tfadvrec.data import Interactions, by_ratio, points
from tfadvrec.evaluation import evaluate_ratings, over_seeds
from tfadvrec.evaluation.rating_attacks import mean_row_length, rating_situations
from tfadvrec.losses import SquaredError
from tfadvrec.models import BiasedMatrixFactorization, NeuralMatrixFactorization

BATCH = 512
CLIP = (1.0, 5.0)
RELATIVE = (0.1, 0.2, 0.4)
EPOCHS = range(5, 41, 5)
FRACTIONS = (0.1, 0.2, 0.4)
SLACK = 1.005
DAMPING = (2.0, 5.0, 10.0)
MODELS = {"biased MF": BiasedMatrixFactorization, "neural MF": NeuralMatrixFactorization}
GRIDS = {
    "biased MF": [
        {"dimension": 64, "regularization": penalty, "learning_rate": 0.002}
        for penalty in (0.05, 0.1, 0.2)
    ],
    "neural MF": [
        {"dimension": 32, "regularization": penalty, "learning_rate": 0.001}
        for penalty in (0.05, 0.1, 0.2)
    ],
}


class Run:
    """A model under training."""

    def __init__(self, name: str, log: Interactions, setting: dict[str, Any], seed: int) -> None:
        setting, self.epoch = dict(setting), 0
        rate, fraction = setting.pop("learning_rate"), setting.pop("fraction", None)
        self.model = MODELS[name].for_log(log, seed=seed, **setting)
        self.trainer = self.model
        if fraction is not None:
            attack = tar.FastGradient(RelativeEpsilon(fraction))
            self.trainer = tar.AdversarialTraining(self.model, attack, 1.0, seed=seed)
        self.trainer.compile(keras.optimizers.Adam(rate), loss=SquaredError())
        options = {"batch_size": BATCH, "negatives": 0, "target": "rating", "seed": seed}
        self.data = points(log, block=1000, **options)

    def fit_to(self, epoch: int) -> Any:
        """Trains on to an epoch, and gives the model."""
        self.trainer.fit(self.data, epochs=epoch - self.epoch, verbose=0)
        self.epoch = epoch
        return self.model


def rmse(model: Any, log: Interactions) -> float:
    return evaluate_ratings(model, log, clip=CLIP).means["rmse"]


def tried(name: str, train: Interactions, held: Interactions, settings: list[dict]) -> list[dict]:
    """Each setting with its best epoch and that epoch's validation RMSE (seed 0)."""
    found = []
    for setting in settings:
        began = time.time()
        run, seen = Run(name, train, setting, 0), []
        for epoch in EPOCHS:
            seen.append((rmse(run.fit_to(epoch), held), epoch))
            if len(seen) > 2 and min(seen)[1] < seen[-2][1]:
                break  # two looks without a better one
        best, epoch = min(seen)
        found.append({**setting, "epochs": epoch, "validation rmse": best})
        print(name, found[-1], f"{time.time() - began:.0f} s", flush=True)
    return found


def lowest(found: list[dict]) -> dict:
    return min(found, key=lambda one: one["validation rmse"])


def largest_within(found: list[dict], plain: float) -> dict:
    """The strongest adversary that costs at most the slack; the weakest where all cost more."""
    fine = [one for one in found if one["validation rmse"] <= SLACK * plain]
    return max(fine, key=lambda one: one["fraction"]) if fine else lowest(found)


def chosen(name: str, train: Interactions, held: Interactions) -> dict[str, dict[str, Any]]:
    """Label -> the chosen setting with its candidates, for a model and its adversarial twin."""
    plain = tried(name, train, held, GRIDS[name])
    best = lowest(plain)
    setting = {key: best[key] for key in GRIDS[name][0]}
    against = tried(name, train, held, [{**setting, "fraction": f} for f in FRACTIONS])
    strong = largest_within(against, best["validation rmse"])
    return {
        name: {"setting": best, "candidates": plain},
        f"{name}, adversarial": {"setting": strong, "candidates": against},
    }


def measured(model: Any, train: Interactions, test: Interactions) -> dict[str, Any]:
    return rating_situations(model, train, test, relative_epsilon=RELATIVE)


def row(results: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """A model's figures over seeds, with the interval over users of the first."""
    parts = {part: over_seeds([result[part] for result in results]) for part in results[0]}
    return {**facts, "interval": list(results[0]["test"].interval("rmse")), **parts}


def baselines(
    train: Interactions, held: Interactions, whole: Interactions, test: Interactions
) -> dict[str, dict[str, Any]]:
    biases = BiasedMatrixFactorization.biases_alone
    mean = biases(whole, damping=1e12)
    damping = min(DAMPING, key=lambda size: rmse(biases(train, damping=size), held))
    leanings = biases(whole, damping=damping)
    return {
        "global mean": row([measured(mean, whole, test)]),
        "user and item bias": row([measured(leanings, whole, test)], setting={"damping": damping}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[*MODELS], choices=MODELS, metavar="MODEL")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    log = tar.data.movielens("100k", path=folder / "ml-100k")
    train, held, test = by_ratio(log, validation=0.1, test=0.1, seed=0)
    whole, _, _ = by_ratio(log, validation=0.0, test=0.1, seed=0)
    assert len(whole) == len(train) + len(held)
    path = arguments.output / "rating_table.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else {}
    rows = {**kept, **baselines(train, held, whole, test)}
    for name in arguments.only:
        for label, found in chosen(name, train, held).items():
            setting = {k: v for k, v in found["setting"].items() if k != "validation rmse"}
            epochs = setting.pop("epochs")
            results, lengths, began = [], [], time.time()
            for seed in range(arguments.seeds):
                model = Run(name, whole, setting, seed).fit_to(epochs)
                results.append(measured(model, whole, test))
                lengths.append(mean_row_length(model))
                print(label, seed, *(f"{k} {v.means['rmse']:.4f}" for k, v in results[-1].items()))
            seconds = round((time.time() - began) / arguments.seeds, 1)
            facts = {"mean row length": float(np.mean(lengths)), "seconds a seed": seconds}
            rows[label] = row(results, **found, **facts)
            report = {
                "date": time.strftime("%Y-%m-%d"),
                "command": "python -m tests.benchmarks.rating_table",
                "split": [len(part) for part in (train, held, test)],
                "rows": rows,
            }
            path.write_text(json.dumps(report, indent=1) + "\n")
    show(rows)


def show(rows: dict[str, dict[str, Any]]) -> None:
    parts = ["test"] + [f"{kind} {size:g}" for kind in ("noise", "attacked") for size in RELATIVE]
    print("| model | RMSE | MAE | " + " | ".join(parts[1:]) + " |")
    for name, one in rows.items():
        sd = one["test"]["rmse"]["sd"]
        cells = [f"{one['test']['rmse']['mean']:.4f}" + (f" ± {sd:.4f}" if sd else "")]
        cells.append(f"{one['test']['mae']['mean']:.4f}")
        cells += [f"{one[p]['rmse']['mean']:.4f}" if p in one else "" for p in parts[1:]]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
