"""Click-through on Frappe: cross network plain and adversarial, beside what it must beat.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.click_table [--seeds 5]

Frappe (Baltrunas et al., 2015): 96,203 uses of 4,082 apps by 957 users in a context of eight
fields. The usual protocol of the field: beside each use two apps that the user has not used in
that context, drawn uniformly, so 288,609 rows; 70% train, 20% validation, 10% test at random. The
negatives are drawn here (seed 0), so figures of others are near, not equal. Settings are chosen by
the validation AUC of seed 0, with three candidates for each model; in every run the epoch is
chosen by it too (training stops after two epochs without a better one). The test part is read
once. Nothing is fitted anew on train and validation together: the field does not either. The
adversarial network has its twin's chosen setting, and its epsilon is chosen: nothing else differs.
No model drops anything out: in compiled steps on a CPU, drawing what to drop takes most of a step.

Attacked: each test row's field vectors are moved by 10 steps of projected gradient to raise that
row's loss, all fields together within 0.1, 0.2 and 0.4 of the model's own mean length of a row's
vectors; random moves of the same size stand beside. Writes `results/click_table.json`.
"""

import argparse
import io
import json
import os
import pathlib
import time
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfadvrec as tar
from tfadvrec.adversary import outputs_of
from tfadvrec.data import ClickLog, with_negatives
from tfadvrec.evaluation import evaluate_clicks
from tfadvrec.losses import Logistic

CONTEXT = ("daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
FIELDS = ("user", "item", *CONTEXT)
BATCH, EPOCHS, PATIENCE, DIMENSION = 2048, 40, 2, 10
RELATIVE = (0.1, 0.2, 0.4)
MACHINE, CROSS = "DeepFactorizationMachine", "CrossNetwork"
PLAIN, ADVERSARIAL = "DCN-v2", "adversarial DCN-v2"
GRIDS = {
    "logistic regression": [
        {"class": MACHINE, "hidden": [], "interactions": False, "learning_rate": rate}
        for rate in (0.01, 0.03, 0.1)
    ],
    "factorisation machine": [
        {"class": MACHINE, "hidden": [], "learning_rate": rate} for rate in (0.001, 0.003, 0.01)
    ],
    "DeepFM": [
        {"class": MACHINE, "hidden": [128, 64], "learning_rate": rate}
        for rate in (0.001, 0.002, 0.004)
    ],
    PLAIN: [
        {"class": CROSS, "hidden": [128, 64], "learning_rate": rate}
        for rate in (0.001, 0.002, 0.004)
    ],
    ADVERSARIAL: [{"epsilon": size} for size in (0.1, 0.2, 0.4)],  # and the plain one's setting
}


def load(folder: pathlib.Path, seed: int = 0) -> ClickLog:
    """Every use beside two apps that the user did not use in the same context."""
    archive = zipfile.ZipFile(folder / "frappe" / "Mobile_Frappe.zip")
    lines = io.TextIOWrapper(archive.open("Mobile_Frappe/frappe/frappe.csv"), "utf-8")
    names = next(lines).rstrip("\n").split("\t")
    rows = [line.rstrip("\n").split("\t") for line in lines]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    column = {name: np.array(columns[name]) for name in FIELDS}
    uses = ClickLog.from_frame(column, label=None, fields=FIELDS, name="frappe")
    return with_negatives(uses, "item", seed=seed)


class BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the best validation AUC, and stops after it."""

    def __init__(self, model, validation: ClickLog) -> None:
        super().__init__()
        self.judged, self.validation, self.best, self.epoch = model, validation, 0.0, 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        value = evaluate_clicks(self.judged, self.validation).means["auc"]
        if value > self.best:
            self.best, self.epoch, self.weights = value, epoch + 1, self.judged.get_weights()
        elif epoch + 1 - self.epoch >= PATIENCE:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        self.judged.set_weights(self.weights)


def fitted(train: ClickLog, validation: ClickLog, setting: dict, seed: int):
    """A trained model, its validation AUC, its epochs and the seconds they took."""
    setting, began = dict(setting), time.time()
    rate, size = setting.pop("learning_rate"), setting.pop("epsilon", None)
    weight = setting.pop("weight", 1.0)
    make = getattr(tar.models, setting.pop("class"))
    model = make.for_log(train, dimension=DIMENSION, seed=seed, **setting)
    trainer = model
    if size is not None:
        target = outputs_of("field_vectors", per="example")
        attack = tar.FastGradient(size)
        trainer = tar.AdversarialTraining(model, attack, weight, target=target, seed=seed)
    best = BestEpoch(model, validation)
    trainer.compile(keras.optimizers.Adam(rate), loss=Logistic(reduction="mean_with_sample_weight"))
    data = model.batches(train, batch_size=BATCH, seed=seed, block=200)
    trainer.fit(data, epochs=EPOCHS, callbacks=[best], verbose=0)
    return model, best.best, best.epoch, time.time() - began


def measured(model, log: ClickLog, train: ClickLog) -> dict:
    """Part -> `ClickResult`: clean, attacked and with noise of the same size."""
    results = {"clean": evaluate_clicks(model, log, owner="user")}
    if model.field_embedding is None:
        return results
    norm = model.field_norm(train)
    for relative in RELATIVE:
        attack = tar.ProjectedGradient(relative * norm, steps=10)
        results[f"attacked {relative}"] = evaluate_clicks(model, log, attack=attack, owner="user")
        noise = tar.RandomNoise(relative * norm)
        results[f"noise {relative}"] = evaluate_clicks(model, log, attack=noise, owner="user")
    return results


def spread(values: list[float]) -> dict:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": sd, "values": values}


def row(name: str, setting: dict, runs: list[dict], facts: list[dict]) -> dict:
    """A model's figures over seeds, with the bootstrap interval (over users) of the first."""
    parts = {
        part: {m: spread([run[part].means[m] for run in runs]) for m in runs[0][part].means}
        for part in runs[0]
    }
    first = runs[0]["clean"]
    intervals = {m: list(first.interval(m, resamples=300)) for m in ("auc", "log_loss")}
    return {"model": name, "setting": setting, "runs": facts, "interval": intervals, **parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", choices=list(GRIDS), action="append", help="all by default")
    parser.add_argument("--chosen", action="store_true", help="keep the last chosen settings")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    log = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]))
    train, validation, test = log.by_ratio(validation=0.2, test=0.1, seed=0)
    print(log, [len(part) for part in (train, validation, test)], flush=True)
    path = arguments.output / "click_table.json"
    report = json.loads(path.read_text()) if path.exists() else {"rows": {}, "candidates": {}}
    finals: dict[str, list[dict]] = {}
    for name in arguments.model or GRIDS:
        found, first = report["candidates"].get(name) if arguments.chosen else None, None
        if not found:
            twin = report["candidates"].get(PLAIN) if name == ADVERSARIAL else None
            if name == ADVERSARIAL and not twin:
                raise SystemExit(f"{ADVERSARIAL} has the setting of {PLAIN}: run that first.")
            found, first = tried(name, chosen(twin) if twin else {}, train, validation)
        report["candidates"][name] = found
        setting = chosen(found)
        finals[name], facts = [], []
        for seed in range(arguments.seeds):
            again = first if first and seed == 0 else fitted(train, validation, setting, seed)
            model, auc, epoch, seconds = again
            facts.append({"seed": seed, "validation auc": auc, "epoch": epoch, "seconds": seconds})
            finals[name].append(measured(model, test, train))
            print(name, seed, facts[-1], finals[name][-1]["clean"].means, flush=True)
        report["rows"][name] = row(name, setting, finals[name], facts)
        report["date"] = time.strftime("%Y-%m-%d")
        report["command"] = "python -m tests.benchmarks.click_table"
        path.write_text(json.dumps(report, indent=1) + "\n")
    show(report["rows"])
    compared(finals)


def chosen(found: list[dict]) -> dict:
    """The setting with the best validation AUC."""
    return max(found, key=lambda one: one["validation auc"])["setting"]


def tried(name: str, given: dict, train: ClickLog, validation: ClickLog):
    """Every candidate's validation AUC with seed 0, and the best one's run."""
    found, first, best = [], None, 0.0
    for candidate in GRIDS[name]:
        setting = {**given, **candidate}
        run = fitted(train, validation, setting, 0)
        found.append({"setting": setting, "validation auc": run[1], "epoch": run[2]})
        print(name, found[-1], f"{run[3]:.0f} s", flush=True)
        if run[1] > best:
            first, best = run, run[1]
    return found, first


def compared(finals: dict[str, list[dict]]) -> None:
    """Seed by seed: the adversarial network's AUC minus each other model's."""
    own = finals.get(ADVERSARIAL)
    for name, runs in finals.items():
        if own and runs is not own:
            pairs = zip(own, runs, strict=True)
            gaps = [a["clean"].means["auc"] - b["clean"].means["auc"] for a, b in pairs]
            low, high = own[0]["clean"].difference(runs[0]["clean"], "auc", resamples=300)[1:]
            print(f"AUC, adversarial DCN-v2 - {name}: {np.mean(gaps):+.4f}, each {gaps}; "
                  f"users of seed 0: [{low:+.4f}, {high:+.4f}]")  # fmt: skip


def show(rows: dict[str, dict]) -> None:
    names = ("auc", "log_loss", "normalised_entropy", "calibration_error")
    print("| model | " + " | ".join(names) + " | AUC attacked " + " | ".join(map(str, RELATIVE)))
    for name, one in rows.items():
        cells = [f"{one['clean'][m]['mean']:.4f} ± {one['clean'][m]['sd']:.4f}" for m in names]
        parts = [one.get(f"attacked {relative}") for relative in RELATIVE]
        cells += ["" if p is None else f"{p['auc']['mean']:.4f}" for p in parts]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
