"""Missing text: a multimodal model plain, with modality dropout, and against the adversary.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.multimodal_table --choose
    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.multimodal_table

Items are known by an id and a text: on `movietweetings` title and genres, on `musical-instruments`
all reviews of the training part. Leave-last-out, full ranking. `--choose` keeps, for each model and
log, epochs and learning rate (for the adversary the relative epsilon, too) by NDCG@10 on the
validation part with all texts there; then everything is trained anew on all but the test part and
ranked while 0, 10, ... 100% of the items lack their text, by the same draws for all models. Writes
`results/multimodal_table.json`.
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
import numpy as np

from tests.benchmarks.catalogues import splits
from tfadvrec import AdversarialTraining, FastGradient, losses
from tfadvrec.adversary import outputs_of
from tfadvrec.data import Split, in_batch
from tfadvrec.evaluation import missing_modality_curve
from tfadvrec.evaluation.ranking_task import RankingTask
from tfadvrec.models import EASE, ItemKNN, MostPopular, Multimodal

HERE = pathlib.Path(__file__).parent / "results"
DATA = {
    "movietweetings": {"batch": 1024, "width": 1024, "epochs": (3, 6, 9), "rates": (2e-3,)},
    "musical-instruments": {"batch": 256, "width": 2048, "epochs": (5, 10, 20), "rates": (2e-3,)},
}
PLAIN = {"modality_dropout": 0.0}
DROPPED = {"modality_dropout": 0.3}
MODELS: dict[str, list[dict]] = {
    "ids only": [{"modalities": []}],
    "plain": [PLAIN],
    "modality dropout": [DROPPED],
    "adversarial": [{**PLAIN, "epsilon": e} for e in (0.1, 0.3)],
    "adversarial, modality dropout": [{**DROPPED, "epsilon": e} for e in (0.1, 0.3)],
}
RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


def trained(
    split: Split, data: str, setting: dict, epochs: tuple[int, ...], seed: int
) -> Iterator[tuple[int, Multimodal]]:
    """The model after each of some numbers of epochs."""
    setting = dict(setting)
    rate, epsilon = setting.pop("rate"), setting.pop("epsilon", None)
    wanted = setting.pop("modalities", {"text": {"kind": "text", "width": DATA[data]["width"]}})
    model = Multimodal.for_log(split.train, wanted, dimension=64, seed=seed, **setting)
    trainer, done = model, 0
    if epsilon is not None:
        target = outputs_of("modality_", per="vector")
        trainer = AdversarialTraining(model, FastGradient(epsilon), target=target, seed=seed)
    trainer.compile(keras.optimizers.Adam(rate), loss=losses.InBatchSoftmax(), jit_compile=False)
    batches = in_batch(split.train, batch_size=DATA[data]["batch"], seed=seed)
    for epoch in epochs:
        trainer.fit(batches, epochs=epoch - done, verbose=0)
        done = epoch
        yield epoch, model


def choose(split: Split, data: str) -> dict:
    """The best setting of each model by the validation part, and all that were tried."""
    task, chosen = RankingTask(split.train, split.validation), {}
    for name, settings in MODELS.items():
        tried = []
        for setting in settings:
            for rate in DATA[data]["rates"]:
                one = {**setting, "rate": rate}
                for epoch, model in trained(split, data, one, DATA[data]["epochs"], 0):
                    means = task.evaluate(model, k=10, metrics=["ndcg"], threads=1).means
                    tried.append({"setting": {**one, "epochs": epoch}, **means})
                    print(data, name, tried[-1], flush=True)
        best = max(tried, key=lambda row: row["ndcg@10"])
        chosen[name] = {"setting": best["setting"], "tried": tried}
    return chosen


def measure(split: Split, data: str, chosen: dict, seeds: int) -> Iterator[dict]:
    """The test part; the table so far after each seed."""
    task = RankingTask(split.train, split.test)
    sizes = {"n_users": split.train.n_users, "n_items": split.train.n_items}
    closed = {
        cls.__name__: task.evaluate(
            cls(**sizes).fit(split.train), k=10, metrics=["ndcg"], threads=1
        ).means["ndcg@10"]
        for cls in (MostPopular, ItemKNN, *([EASE] if sizes["n_items"] < 5000 else []))
    }
    curves: dict[str, list[list[dict]]] = {}
    for seed in range(seeds):
        models = {}
        for name, choice in chosen.items():
            setting = dict(choice["setting"])
            epochs = (setting.pop("epochs"),)
            *_, (_, models[name]) = trained(split, data, setting, epochs, seed)
        alone = models.pop("ids only")
        for name, model in models.items():
            rows = missing_modality_curve(
                model, task, "text", rates=RATES, without=alone, seeds=[seed], threads=1
            )
            curves.setdefault(name, []).append(rows)
        yield {"baselines": closed, "seeds": seed + 1, "curves": summed(curves)}


def summed(curves: dict[str, list[list[dict]]]) -> list[dict]:
    """Means and spreads over training seeds."""
    rows = []
    for name, seeds in curves.items():
        for points in zip(*seeds, strict=True):
            values = [point["value"] for point in points]
            kept = [point["kept"] for point in points]
            rows.append(
                {
                    "model": name,
                    **{key: points[0][key] for key in ("imputation", "rate")},
                    "ndcg@10": fmean(values),
                    "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
                    "kept": fmean(kept),
                    "kept sd": float(np.std(kept, ddof=1)) if len(kept) > 1 else 0.0,
                }
            )
    return rows


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="on the validation parts")
    parser.add_argument("--data", choices=list(DATA), action="append", help="both by default")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    folder, path = (
        pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]),
        HERE / "multimodal_table.json",
    )
    for name in arguments.data or list(DATA):
        report = json.loads(path.read_text()) if path.exists() else {}
        first, whole = splits(folder, name)
        mine, began = report.setdefault(name, {}), time.time()
        if arguments.choose:
            mine["chosen"] = choose(first, name)
            path.write_text(json.dumps(report, indent=1) + "\n")
            continue
        for part in measure(whole, name, mine["chosen"], arguments.seeds):
            report["command"] = "python -m tests.benchmarks.multimodal_table"
            mine |= part | {
                "date": time.strftime("%Y-%m-%d"),
                "seconds": round(time.time() - began),
            }
            path.write_text(json.dumps(report, indent=1) + "\n")
        show(name, mine)


def show(name: str, part: dict) -> None:
    print(f"\n{name}: " + ", ".join(f"{k} {v:.4f}" for k, v in part["baselines"].items()))
    print("| model | imputation | missing | NDCG@10 | kept |\n|---|---|---|---|---|")
    for row in part["curves"]:
        print(
            f"| {row['model']} | {row['imputation']} | {row['rate']:.0%} | {row['ndcg@10']:.4f} ± "
            f"{row['sd']:.4f} | {row['kept']:.1%} ± {row['kept sd']:.1%} |"
        )


if __name__ == "__main__":
    main()
