"""Table D: CFGAN, the same network without its discriminator, and baselines on `cfgan-ml100k`.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.cfgan_table

The published split of Chae et al. (CIKM 2018): every rating a positive, full ranking outside the
training items. Settings and the number of epochs are chosen by the mean NDCG@5 over three draws of
a tenth of each user's training interactions; then everything is fitted anew on the whole training
part, the trained models with five seeds, and the test part is read once. Both trained models end
with an average of their weights. The autoencoder is the same game with `adversarial_weight=0` and
squared reconstruction in the discriminator's place. Writes `results/cfgan_table.json`.
"""

import argparse
import json
import os
import pathlib
import time
from statistics import fmean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import tfadvrec as tar
from tests.benchmarks.apr_table import paired
from tfadvrec.data import Interactions, Split, by_ratio, published_split
from tfadvrec.evaluation import evaluate, over_seeds
from tfadvrec.games.collaborative import CollaborativeGame

CUTS = (5, 20)
METRICS = ["precision", "recall", "ndcg", "mrr"]
SHOWN = [f"{metric}@{k}" for k in CUTS for metric in METRICS]
PUBLISHED = {  # from memory of the paper, whose own selection read the test part
    "precision@5": 0.444,
    "recall@5": 0.152,
    "ndcg@5": 0.476,
    "mrr@5": 0.681,
    "precision@20": 0.294,
    "recall@20": 0.360,
    "ndcg@20": 0.433,
    "mrr@20": 0.693,
}
CFGAN = {"learning_rate": 1e-3, "generator_steps": 2, "adversarial_weight": 1.0, "alpha": 0.03}
PLAIN = {
    "learning_rate": 5e-4,
    "generator_steps": 1,
    "adversarial_weight": 0.0,
    "reconstruction": 1.0,
}
GRIDS = {
    "CFGAN": [{**CFGAN, "generator_l2": weight} for weight in (1e-3, 5e-4)],
    "Autoencoder": [
        {**PLAIN, "alpha": alpha, "corruption": share}
        for alpha, share in ((0.5, 0.0), (0.5, 0.5), (1.0, 0.5))
    ],
}
FOLDS = 3
CHECKPOINTS = {"CFGAN": range(48, 97, 12), "Autoencoder": range(16, 49, 8)}
CLOSED_GRIDS = {
    "MostPopular": [{}],
    "ItemKNN": [{"neighbours": n, "shrink": h} for n in (50, 100, 200) for h in (10.0, 50.0)],
    "PureSVD": [{"rank": r} for r in (10, 20, 30, 40)],
    "EASE": [{"regularization": r} for r in (200.0, 500.0, 1000.0)],
}


def load(folder: pathlib.Path) -> Split:
    """The published train and test files, which share one vocabulary."""
    columns = {"user": 0, "item": 1, "rating": 2}
    return published_split(
        folder / "ML100K.train", folder / "ML100K.test", header=False, separator=" ", **columns
    )


class Run:
    """A game under training, with the discriminator or without."""

    def __init__(self, log: Interactions, setting: dict, seed: int) -> None:
        settings, self.epoch = dict(setting), 0
        rate = settings.pop("learning_rate")
        options = {key: settings.pop(key) for key in ("generator_steps", "adversarial_weight")}
        self.game = CollaborativeGame.for_log(log, seed=seed, **settings)
        averaged = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.99)
        self.game.compile(averaged, keras.optimizers.Adam(rate), **options)
        self.data = self.game.batches(log, batch_size=64, seed=seed, block=10_000)

    def fit_to(self, epoch: int) -> keras.Model:
        """Trains on to an epoch, and gives the recommender: its weights are the averages."""
        self.game.fit(self.data, epochs=epoch - self.epoch, verbose=0)
        self.epoch = epoch
        return self.game.product


def choose(folds: list[Split], name: str) -> tuple[dict, list[dict]]:
    """The setting and epoch with the best validation NDCG@5, and every candidate's means."""
    tried = []
    for setting in GRIDS[name]:
        runs = [Run(fold.train, setting, seed=100 + n) for n, fold in enumerate(folds)]
        for epoch in CHECKPOINTS[name]:
            pairs = zip(runs, folds, strict=True)
            found = [measure(run.fit_to(epoch), fold).means for run, fold in pairs]
            means = {metric: fmean(one[metric] for one in found) for metric in SHOWN}
            tried.append({**setting, "epochs": epoch, **means})
            print(name, setting, epoch, *shown(means), flush=True)
    best = max(tried, key=lambda one: one["ndcg@5"])
    return {key: value for key, value in best.items() if key not in SHOWN}, tried


def closed(log: Interactions, name: str, setting: dict) -> keras.Model:
    return getattr(tar, name)(n_users=log.n_users, n_items=log.n_items, **setting).fit(log)


def choose_closed(folds: list[Split], name: str) -> dict:
    tried = []
    for setting in CLOSED_GRIDS[name]:
        found = [measure(closed(fold.train, name, setting), fold).means for fold in folds]
        tried.append((fmean(one["ndcg@5"] for one in found), setting))
        print(name, setting, tried[-1][0], flush=True)
    return max(tried, key=lambda one: one[0])[1]


def measure(model: keras.Model, split: Split):
    return evaluate(model, split.train, split.test, k=CUTS, metrics=METRICS)


def shown(means: dict) -> list[str]:
    return [f"{metric} {means[metric]:.4f}" for metric in ("precision@5", "ndcg@5")]


def row(name: str, setting: dict, results: list, seconds: float) -> dict:
    return {
        "model": name,
        "setting": setting,
        "seeds": len(results),
        "seconds a seed": round(seconds / len(results), 1),
        **{metric: over_seeds(results)[metric] for metric in SHOWN},
        "interval over users": {m: list(results[0].interval(m)) for m in ("precision@5", "ndcg@5")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    began = time.time()
    split = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "cfgan-ml100k")
    folds = [by_ratio(split.train, validation=0, test=0.1, seed=n) for n in range(FOLDS)]
    rows, candidates, final = [], {}, {}
    for name in CLOSED_GRIDS:
        setting, start = choose_closed(folds, name), time.time()
        model = closed(split.train, name, setting)
        seconds = time.time() - start
        result = measure(model, split)
        rows.append(row(name, setting, [result], seconds))
        final[name] = [result] * arguments.seeds
    for name in ("Autoencoder", "CFGAN"):
        setting, candidates[name] = choose(folds, name)
        final[name], seconds = [], 0.0
        for seed in range(arguments.seeds):
            start = time.time()
            given = {key: value for key, value in setting.items() if key != "epochs"}
            run = Run(split.train, given, seed)
            for epoch in CHECKPOINTS[name]:  # as when the number of epochs was chosen
                if epoch <= setting["epochs"]:
                    model = run.fit_to(epoch)
            seconds += time.time() - start
            final[name].append(measure(model, split))
            print(name, "seed", seed, *shown(final[name][-1].means), flush=True)
        rows.append(row(name, setting, final[name], seconds))
    differences = {
        f"{a} - {b}": {metric: paired(final[a], final[b], metric) for metric in SHOWN[:4]}
        for a, b in (("CFGAN", "Autoencoder"), ("CFGAN", "EASE"), ("Autoencoder", "EASE"))
    }
    report = {
        "data": "cfgan-ml100k",
        "split": f"published; selection on {FOLDS} draws of a tenth of each user's training part",
        "command": "python -m tests.benchmarks.cfgan_table",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "published, from memory": PUBLISHED,
        "rows": rows,
        "paired differences": differences,
        "candidates": candidates,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "cfgan_table.json").write_text(json.dumps(report, indent=1) + "\n")
    show(report)


def show(report: dict) -> None:
    print("| model | " + " | ".join(SHOWN) + " |")
    print("|---|" + "---|" * len(SHOWN))
    print("| published CFGAN | " + " | ".join(f"{PUBLISHED[m]:.4f}" for m in SHOWN) + " |")
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
