"""Fine-tuning zoo presets on other catalogues, against training from scratch.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.fine_tuning

`mf_apr_ml_100k` on MovieLens-latest-small and `two_tower_apr_ml_100k` on MovieTweetings-100K:
items are aligned by normalised title and year, users are new. Both models have the same class,
settings, batches and optimizer; only the starting values differ. The number of epochs is counted
on the validation part (leave-last-out, last but one); the test part is read once, at the epoch
that the validation part chose. Writes `results/fine_tuning_<preset>.json`.
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
from tfadvrec.data import Interactions, Split, in_batch, leave_last_out, match_titles, pairs
from tfadvrec.evaluation import over_seeds

HERE = pathlib.Path(__file__).parent
EPOCHS = (1, 2, 3, 5, 8, 12, 16, 20, 30, 40, 60)


def titles(log: Interactions) -> dict:
    return dict(zip(log.item_ids.tolist(), log.item_features["title"].tolist(), strict=True))


def latest_small(folder: pathlib.Path) -> Interactions:
    return tar.data.movielens("latest-small", path=folder / "ml-latest-small")


def movietweetings(folder: pathlib.Path) -> Interactions:
    """MovieTweetings-100K with titles, years and genres; ids are text (they begin with zeros)."""
    raw = folder / "movietweetings" / "100K"
    log = Interactions.from_csv(
        raw / "ratings.dat", separator="::", header=False, user=0, item=1, rating=2, time=3
    )
    lines = [line.split("::") for line in (raw / "movies.dat").read_text("utf-8").splitlines()]
    known = {parts[0]: parts for parts in lines}
    rows = [known.get(item, [item, "", ""]) for item in log.item_ids.tolist()]
    years = [row[1].rstrip(")").rpartition("(")[2] for row in rows]
    return log.with_features(
        items={
            "item": log.item_ids,
            "title": np.array([row[1] for row in rows]),
            "year": np.array([float(y) if y.isdigit() else np.nan for y in years]),
            "genre": [tuple(part for part in row[2].split("|") if part) for row in rows],
        }
    )


def curve(model: keras.Model, split: Split, data, last: int) -> dict:
    """Validation and test nDCG@10 by epoch."""
    found = {}
    for epoch in range(last + 1):
        if epoch:
            model.fit(data, epochs=1, verbose=0)
        if epoch in (0, *EPOCHS):
            inner = tar.evaluate(model, split.train, split.validation, k=(10,), metrics=["ndcg"])
            outer = tar.evaluate(
                model, split.train, split.test, seen=(split.validation,), k=(10,), metrics=["ndcg"]
            )
            found[epoch] = (inner.means["ndcg@10"], outer.means["ndcg@10"])
    return found


def compiled(model: keras.Model, loss: keras.losses.Loss, rate: float) -> keras.Model:
    optimizer = keras.optimizers.Adagrad(rate, initial_accumulator_value=0.1)
    model.compile(optimizer, loss=loss, jit_compile=True)
    return model


def run(
    preset: str, log: Interactions, arguments: argparse.Namespace, *, rate: float, softmax: bool
) -> dict:
    """Both starts on one log, seed by seed."""
    split = leave_last_out(log, validation=True)
    source = tar.data.movielens("100k")
    id_map = match_titles(titles(source), titles(log), years=1)
    curves = {"preset": [], "scratch": []}
    for seed in range(arguments.seeds):
        tuned = tar.Recommender.from_preset(
            preset, item_ids=log.item_ids, user_ids=log.user_ids, id_map=id_map, seed=seed
        )
        matched = tuned.matched
        fresh = type(tuned).from_config({**tuned.get_config(), "seed": seed})
        loss = tar.losses.InBatchSoftmax() if softmax else tar.losses.BayesianPersonalizedRanking()
        for name, model in (("preset", tuned), ("scratch", fresh)):
            make = in_batch if softmax else pairs
            data = make(split.train, batch_size=512, seed=seed, block=10_000)
            model.bind(split.train)
            curves[name].append(curve(compiled(model, loss, rate), split, data, arguments.epochs))
            print(preset, name, seed, curves[name][-1], flush=True)
    return {"preset": preset, "data": about(log), "matched": matched, **summary(curves)}


def about(log: Interactions) -> dict:
    """What the log holds, without where it lies."""
    return {key: value for key, value in log.describe().items() if key != "origin"}


def summary(curves: dict) -> dict:
    """Epochs to reach scratch's best validation value, and test values at each one's best."""
    mean = {
        name: {e: np.mean([one[e] for one in runs], axis=0) for e in runs[0]}
        for name, runs in curves.items()
    }
    goal = max(value[0] for value in mean["scratch"].values())
    reached = {
        name: next((e for e, value in values.items() if value[0] >= goal), None)
        for name, values in mean.items()
    }
    test = {}
    for name, runs in curves.items():
        best = max(mean[name], key=lambda e: mean[name][e][0])
        test[name] = {"epoch": best, **over_seeds([{"ndcg@10": r[best][1]} for r in runs])}
    return {
        "goal: scratch's best validation ndcg@10": goal,
        "epochs to the goal": reached,
        "test at the best validation epoch": test,
        "validation by epoch": {n: {e: v[0] for e, v in vs.items()} for n, vs in mean.items()},
    }


CASES = {
    "mf_apr_ml_100k": (latest_small, {"rate": 0.05, "softmax": False}),
    "two_tower_apr_ml_100k": (movietweetings, {"rate": 0.05, "softmax": True}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS[-1], help="the last checkpoint")
    parser.add_argument("--preset", choices=CASES, action="append", help="all by default")
    arguments = parser.parse_args()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    for preset in arguments.preset or CASES:
        began = time.time()
        read, settings = CASES[preset]
        report = {
            "command": f"python -m tests.benchmarks.fine_tuning --preset {preset} "
            f"--seeds {arguments.seeds} --epochs {arguments.epochs}",
            "split": "leave-last-out, last but one as validation (leaks time)",
            "date": time.strftime("%Y-%m-%d"),
            "seeds": arguments.seeds,
            **run(preset, read(folder), arguments, **settings),
        }
        report["seconds"] = round(time.time() - began)
        (HERE / "results").mkdir(exist_ok=True)
        target = HERE / "results" / f"fine_tuning_{preset}.json"
        target.write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
