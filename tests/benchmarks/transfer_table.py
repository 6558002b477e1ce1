"""A two-tower without ids, trained on one catalogue and used on others.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.transfer_table --choose
    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.transfer_table

Trained on `ml-100k`; used on `ml-latest-small` and `movietweetings`, whose users are known by the
items that they took and whose items by title, genres, age and popularity in their own training
part ("attributes"), or without the last ("content"). Leave-last-out, full ranking. Zero-shot: no
weight has seen the other catalogue. Fine-tuned: one epoch on it. From scratch: the same model,
five epochs on it. `--choose` keeps the number of source epochs by the validation part of
`ml-latest-small` alone (`movietweetings` is touched by no choice of it) and each catalogue's
learning rates of fine-tuning and of training from scratch, two candidates each, by its own
validation part. Writes `results/transfer_table.json`.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from tests.benchmarks.apr_table import paired
from tests.benchmarks.catalogues import splits
from tfadvrec import losses
from tfadvrec.data import Interactions, Split, in_batch
from tfadvrec.evaluation import over_seeds
from tfadvrec.evaluation.ranking_task import RankingTask
from tfadvrec.models import ContentTwoTower, ItemKNN, MostPopular

HERE = pathlib.Path(__file__).parent / "results"
SOURCE, TARGETS = "ml-100k", ("ml-latest-small", "movietweetings")
METRICS = ("ndcg@10", "hr@10")
CONTENT = {
    "title": {"kind": "text", "width": 512},
    "genre": {"kind": "text", "width": 128},
    "age": {"kind": "number", "low": 0.0, "high": 8.0},
}
SETS = {
    "attributes": CONTENT | {"popularity": {"kind": "number", "low": 0.0, "high": 1.0}},
    "content": CONTENT,
}
SOURCE_EPOCHS, SCRATCH_EPOCHS, RATES = (1, 2, 4), 5, (1e-3, 4e-3)
BATCH = 1024


def train(model: ContentTwoTower, log: Interactions, epochs: int, rate: float, seed: int) -> None:
    """Trains on with a fresh optimizer."""
    model.compile(keras.optimizers.Adam(rate), loss=losses.InBatchSoftmax(), jit_compile=False)
    model.fit(in_batch(log, batch_size=BATCH, seed=seed), epochs=epochs, verbose=0)


def fresh(log: Interactions, kind: str, seed: int) -> ContentTwoTower:
    return ContentTwoTower.for_log(log, SETS[kind], dimension=64, seed=seed)


def sourced(split: Split, kind: str, seed: int) -> Iterator[tuple[int, ContentTwoTower]]:
    """The source's model after 1, 2 and 4 epochs."""
    model, done = fresh(split.train, kind, seed), 0
    model.compile(keras.optimizers.Adam(2e-3), loss=losses.InBatchSoftmax(), jit_compile=False)
    batches = in_batch(split.train, batch_size=BATCH, seed=seed)
    for epochs in SOURCE_EPOCHS:
        model.fit(batches, epochs=epochs - done, verbose=0)
        done = epochs
        yield epochs, model


def tuned(model: ContentTwoTower, log: Interactions, rate: float, seed: int) -> ContentTwoTower:
    other = model.transferred(log, extended=True)
    train(other, log, 1, rate, seed)
    return other


def scratch(log: Interactions, kind: str, rate: float, seed: int) -> ContentTwoTower:
    model = fresh(log, kind, seed)
    train(model, log, SCRATCH_EPOCHS, rate, seed)
    return model


def value(model: object, split: Split, part: str) -> float:
    task = RankingTask(split.train, getattr(split, part))
    return float(task.evaluate(model, k=10, metrics=["ndcg"], threads=1).means["ndcg@10"])


def choose(data: dict[str, Split]) -> dict:
    """What the validation parts prefer, with everything that was tried."""
    chosen: dict = {}
    for kind in SETS:
        tried, models = [], {}
        for epochs, model in sourced(data[SOURCE], kind, 0):
            small = model.transferred(data[TARGETS[0]].train)
            row = {
                "epochs": epochs,
                SOURCE: value(model, data[SOURCE], "validation"),
                TARGETS[0]: value(small, data[TARGETS[0]], "validation"),
            }
            tried.append(row)
            models[epochs] = model.transferred(data[SOURCE].train)
            print(kind, row, flush=True)
        best = max(tried, key=lambda row: row[TARGETS[0]])["epochs"]
        chosen[kind] = {"epochs": best, "tried": tried, "rates": {}}
        for name in TARGETS:
            split, rates = data[name], {}
            for label in ("tuned", "scratch"):
                made = [
                    tuned(models[best], split.train, rate, 0)
                    if label == "tuned"
                    else scratch(split.train, kind, rate, 0)
                    for rate in RATES
                ]
                values = [value(model, split, "validation") for model in made]
                rates[label] = RATES[values.index(max(values))]
                rates[f"{label} tried"] = dict(zip(map(str, RATES), values, strict=True))
            chosen[kind]["rates"][name] = rates
            print(kind, name, rates, flush=True)
    return chosen


def measure(data: dict[str, Split], chosen: dict, seeds: int) -> Iterator[dict]:
    """The test parts, read once; the table so far after each seed."""
    tasks = {name: RankingTask(split.train, split.test) for name, split in data.items()}

    def ranked(model: object, name: str) -> object:
        return tasks[name].evaluate(model, k=10, metrics=["ndcg", "hr"], threads=1)

    results: dict[str, dict[str, list]] = {name: {} for name in data}
    for name, split in data.items():
        for cls in (MostPopular, ItemKNN):
            model = cls(n_users=split.train.n_users, n_items=split.train.n_items).fit(split.train)
            results[name][cls.__name__] = [ranked(model, name)]
    for seed in range(seeds):
        for kind, choice in chosen.items():
            model = next(m for epochs, m in sourced(data[SOURCE], kind, seed)
                         if epochs == choice["epochs"])  # fmt: skip
            results[SOURCE].setdefault(f"{kind}, trained here", []).append(ranked(model, SOURCE))
            for name in TARGETS:
                log, rates = data[name].train, choice["rates"][name]
                made = {
                    "zero-shot": model.transferred(log),
                    "one epoch of fine-tuning": tuned(model, log, rates["tuned"], seed),
                    "five epochs from scratch": scratch(log, kind, rates["scratch"], seed),
                }
                for label, one in made.items():
                    results[name].setdefault(f"{kind}, {label}", []).append(ranked(one, name))
        yield table(results)


def table(results: dict[str, dict[str, list]]) -> dict:
    """Means, spreads and paired differences."""
    report = {}
    for name, rows in results.items():
        most = max(map(len, rows.values()))
        equal = {label: found * (most // len(found)) for label, found in rows.items()}
        pairs = [
            (f"{kind}, {a}", b if b in rows else f"{kind}, {b}")
            for kind in SETS
            for a, b in (
                ("zero-shot", "MostPopular"),
                ("one epoch of fine-tuning", "five epochs from scratch"),
                ("one epoch of fine-tuning", "MostPopular"),
            )
        ]
        report[name] = {
            "rows": {
                label: {m: over_seeds(found)[m] for m in METRICS} for label, found in rows.items()
            },
            "paired differences": {
                f"{a} - {b}": paired(equal[a], equal[b], "ndcg@10")
                for a, b in pairs
                if {a, b} <= set(equal)
            },
        }
    return report


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="on the validation parts")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    folder, path = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]), HERE / "transfer_table.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    data = {name: splits(folder, name) for name in (SOURCE, *TARGETS)}
    began = time.time()
    if arguments.choose:
        report["chosen"] = choose({name: both[0] for name, both in data.items()})
        path.write_text(json.dumps(report, indent=1) + "\n")
        return
    whole = {name: both[1] for name, both in data.items()}
    for part in measure(whole, report["chosen"], arguments.seeds):
        report |= {"command": "python -m tests.benchmarks.transfer_table", "test": part}
        report |= {"date": time.strftime("%Y-%m-%d"), "seconds": round(time.time() - began)}
        path.write_text(json.dumps(report, indent=1) + "\n")
    show(report["test"])


def show(report: dict) -> None:
    for name, part in report.items():
        print(f"\n| {name} | NDCG@10 | HR@10 |\n|---|---|---|")
        for label, row in part["rows"].items():
            cells = [f"{row[m]['mean']:.4f}" + (f" ± {row[m]['sd']:.4f}" if row[m]["sd"] else "")
                     for m in METRICS]  # fmt: skip
            print(f"| {label} | " + " | ".join(cells) + " |")
        for label, gap in part["paired differences"].items():
            print(f"{label}: {gap['difference']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]")


if __name__ == "__main__":
    main()
