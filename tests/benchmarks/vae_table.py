"""Tables C and D: the variational autoencoder plain and adversarial, beside closed-form baselines.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.vae_table [--data irgan-ml100k]

Two published splits of MovieLens-100K, full ranking outside the training items: `irgan-ml100k`
(ratings of 4 and 5 are the positives of both parts, lower ones are not used; Wang et al., SIGIR
2017) and `cfgan-ml100k` (every rating is a positive; Chae et al., CIKM 2018). Settings and the
number of epochs are chosen by the mean over three draws of a fifth of each user's training
interactions, with as many candidates for each trained model; then everything is fitted anew on the
whole training part, the trained models with five seeds, and the test part is read once.

The trained models are one network. "VAE" is the game of "Adversarial VAE (codes)" with
`adversarial_weight=0`. "Adversarial VAE (weights)" is the VAE against one gradient step on its
weight matrices. Each of the two stands beside its twin, "adversary off": the same setting, chosen
for the adversary, with the adversary's weight at 0. Only against it does a difference speak of the
adversary; "VAE" has a setting of its own. No model starts from a closed form. Writes
`results/vae_table.json`, a part for each split; `--chosen` takes the validation figures from there.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Iterator
from statistics import fmean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import tfadvrec as tar
from tests.benchmarks.apr_table import paired
from tfadvrec.adversary import variables
from tfadvrec.data import Interactions, Split, by_ratio, published_split
from tfadvrec.evaluation import evaluate, over_seeds
from tfadvrec.games.latent import LatentGame
from tfadvrec.losses import Multinomial

METRICS = ["precision", "recall", "ndcg", "mrr"]
CUTS = {"irgan-ml100k": (3, 5, 10), "cfgan-ml100k": (5, 20)}
SELECT = {"irgan-ml100k": "ndcg@10", "cfgan-ml100k": "ndcg@5"}
SHOWN = {
    "irgan-ml100k": [f"{metric}@{k}" for metric in ("precision", "ndcg") for k in (3, 5, 10)],
    "cfgan-ml100k": [f"{metric}@{k}" for k in (5, 20) for metric in METRICS],
}
BATCH = 128
FOLDS = 3
EPOCHS = range(40, 121, 20)
FIXED = {"latent": 200, "learning_rate": 2e-3}
GRIDS = {
    "VAE": [{"beta_per_item": 0.005}, {"beta_per_item": 0.01}, {"beta_per_item": 0.02}],
    "Adversarial VAE (codes)": [
        {"beta_per_item": 0.005, "adversarial_weight": 1.0},
        {"beta_per_item": 0.01, "adversarial_weight": 1.0},
        {"beta_per_item": 0.0, "adversarial_weight": 3.0},
    ],
    "Adversarial VAE (weights)": [
        {"beta_per_item": 0.005, "epsilon": 0.5, "weight": 1.0},
        {"beta_per_item": 0.01, "epsilon": 0.5, "weight": 1.0},
        {"beta_per_item": 0.01, "epsilon": 2.0, "weight": 1.0},
    ],
}
OFF = ", adversary off"
TWINS = {
    "Adversarial VAE (codes)": {"adversarial_weight": 0.0},
    "Adversarial VAE (weights)": {"weight": 0.0},
}
CLOSED_GRIDS = {
    "MostPopular": [{}],
    "ItemKNN": [{"neighbours": n, "shrink": h} for n in (50, 100, 200) for h in (10.0, 50.0)],
    "PureSVD": [{"rank": r} for r in (5, 10, 20, 30)],
    "EASE": [{"regularization": r} for r in (100.0, 200.0, 300.0, 500.0)],
}


def load(folder: pathlib.Path, data: str) -> Split:
    """The published train and test files, which share one vocabulary."""
    columns = {"user": 0, "item": 1, "rating": 2}
    if data == "cfgan-ml100k":
        files = (folder / data / "ML100K.train", folder / data / "ML100K.test")
        return published_split(*files, header=False, separator=" ", **columns)
    files = [folder / data / f"movielens-100k-{part}.txt" for part in ("train", "test")]
    split = published_split(*files, header=False, separator="\t", **columns)
    return Split(*(log and log.take(log.rating >= 4) for log in (split.train, None, split.test)))


class Run:
    """An autoencoder under training, in one of its three ways."""

    def __init__(self, log: Interactions, setting: dict, seed: int) -> None:
        setting, self.epoch = {**FIXED, **setting}, 0
        shape = {key: setting.pop(key) for key in ("latent", "beta_per_item")}
        optimizer = keras.optimizers.Adam(setting.pop("learning_rate"))
        game = LatentGame.for_log(log, seed=seed, **shape)
        self.model, self.data = (
            game.product,
            game.batches(log, batch_size=BATCH, seed=seed, block=99),
        )
        if "epsilon" in setting:
            attack, target = tar.FastGradient(setting["epsilon"]), variables("coder.*/kernel")
            self.trainer = tar.AdversarialTraining(
                self.model, attack, weight=setting["weight"], target=target, seed=seed
            )
            self.trainer.compile(optimizer, loss=Multinomial(), jit_compile=False)
            return
        self.trainer = game
        judge = keras.optimizers.Adam(1e-3, beta_1=0.5)
        weight = setting.get("adversarial_weight", 0.0)
        game.compile(optimizer, judge, adversarial_weight=weight)

    def fit_to(self, epoch: int) -> keras.Model:
        """Trains on to an epoch, and gives the recommender."""
        self.trainer.fit(self.data, epochs=epoch - self.epoch, verbose=0)
        self.epoch = epoch
        return self.model


def measure(model: keras.Model, split: Split, data: str):
    return evaluate(model, split.train, split.test, k=CUTS[data], metrics=METRICS)


def closed(log: Interactions, name: str, setting: dict) -> keras.Model:
    return getattr(tar, name)(n_users=log.n_users, n_items=log.n_items, **setting).fit(log)


def tried(folds: list[Split], name: str, data: str) -> list[dict]:
    """Every candidate's mean over validation folds."""
    found, metric = [], SELECT[data]
    for setting in CLOSED_GRIDS.get(name, []):
        values = [measure(closed(f.train, name, setting), f, data).means[metric] for f in folds]
        found.append({**setting, metric: fmean(values)})
    for setting in GRIDS.get(name, []):
        runs = [Run(fold.train, setting, seed=100 + n) for n, fold in enumerate(folds)]
        for epoch in EPOCHS:
            pairs = zip(runs, folds, strict=True)
            values = [measure(run.fit_to(epoch), fold, data).means[metric] for run, fold in pairs]
            found.append({**setting, "epochs": epoch, metric: fmean(values)})
            print(data, name, found[-1], flush=True)
    return found


def row(name: str, setting: dict, results: list, seconds: float, shown: list[str]) -> dict:
    return {
        "model": name,
        "setting": setting,
        "seeds": len(results),
        "seconds a seed": round(seconds / len(results), 1),
        **{metric: over_seeds(results)[metric] for metric in shown},
    }


def table(split: Split, data: str, seeds: int, known: dict[str, list[dict]]) -> Iterator[dict]:
    """Chooses, fits anew and tests one model after the other; the table so far after each."""
    folds = [by_ratio(split.train, validation=0, test=0.2, seed=n) for n in range(FOLDS)]
    rows, candidates, final, metric = [], {}, {}, SELECT[data]
    for name in [*CLOSED_GRIDS, *GRIDS]:
        candidates[name] = known.get(name) or tried(folds, name, data)
        best = max(candidates[name], key=lambda one: one[metric])
        setting = {key: value for key, value in best.items() if key != metric}
        pair = {name: setting}
        if name in TWINS:
            pair[name + OFF] = {**setting, **TWINS[name]}
        for label, chosen in pair.items():
            count = seeds if name in GRIDS else 1
            results, began = [], time.time()
            for seed in range(count):
                results.append(measure(fitted(split.train, name, chosen, seed), split, data))
            rows.append(row(label, chosen, results, time.time() - began, SHOWN[data]))
            final[label] = results * (seeds // count)
            print(data, label, chosen, *(f"{m} {rows[-1][m]['mean']:.4f}" for m in SHOWN[data]))
        yield {
            "selection": f"{metric} on a fifth of each user's training interactions, mean of "
            f"{FOLDS} draws",
            "rows": rows,
            "paired differences": {
                f"{a} - {b}": {m: paired(final[a], final[b], m) for m in SHOWN[data]}
                for a in GRIDS
                for b in ("EASE", "VAE", a + OFF)
                if a != b and {a, b} <= set(final)
            },
            "candidates": candidates,
        }


def fitted(log: Interactions, name: str, setting: dict, seed: int) -> keras.Model:
    if name in CLOSED_GRIDS:
        return closed(log, name, setting)
    given = {key: value for key, value in setting.items() if key != "epochs"}
    return Run(log, given, seed).fit_to(setting["epochs"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", choices=list(CUTS), action="append", help="both by default")
    parser.add_argument("--chosen", action="store_true", help="keep the last validation figures")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "vae_table.json"
    for data in arguments.data or list(CUTS):
        began = time.time()
        report = json.loads(path.read_text()) if path.exists() else {}
        known = report[data]["candidates"] if arguments.chosen else {}
        for part in table(load(folder, data), data, arguments.seeds, known):
            part["date"], part["seconds"] = time.strftime("%Y-%m-%d"), round(time.time() - began)
            report["command"] = "python -m tests.benchmarks.vae_table"
            report[data] = part
            path.write_text(json.dumps(report, indent=1) + "\n")
        show(data, part)


def show(data: str, part: dict) -> None:
    print(f"| {data} | " + " | ".join(SHOWN[data]) + " |")
    print("|---|" + "---|" * len(SHOWN[data]))
    for one in part["rows"]:
        cells = [
            f"{one[m]['mean']:.4f}" + (f" ± {one[m]['sd']:.4f}" if one[m]["sd"] else "")
            for m in SHOWN[data]
        ]
        print(f"| {one['model']} | " + " | ".join(cells) + " |")
    for name, metrics in part["paired differences"].items():
        for metric, gap in metrics.items():
            low, high = gap["low"], gap["high"]
            print(f"{name}  {metric}: {gap['difference']:+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
