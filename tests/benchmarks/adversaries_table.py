"""Which adversary: matrix factorisation on MovieLens-100K against each of them.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.adversaries_table

Data, split, model and clean training are those of the zoo's `mf_apr_ml_100k`: 80 epochs of BPR,
which all rows of a seed share, then 40 more with a fresh optimizer against the adversary (none: 40
plain ones). Each adversary's epsilon is chosen on the validation items, from two or three, by the
mean of nDCG@10 as it is and under an attack of relative size 0.3, after 20 epochs of another seed;
the adversary's weight is 0.5 throughout (1 for the virtual one, whose divergence is small). The
test items are read once a seed, as they are and under attack: projected gradient, 20 steps on the
tables, scores divided by the typical margin, sizes relative to the model's own mean row norm. Cost
is processor time an epoch over that of plain training. Writes `results/adversaries_table.json`
after each row.
"""

import argparse
import functools
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfadvrec as tar
from tests.benchmarks.coat_table import gap
from tests.benchmarks.memory import Averaged, Memory, mean_and_sd
from tfadvrec.adversary import (
    FastGradient,
    FreeLB,
    LossBasedEpsilon,
    Magnitude,
    NormBasedEpsilon,
    ProjectedGradient,
    RandomNoise,
    RelativeEpsilon,
    VirtualAdversarial,
    WarmUp,
    outputs_of,
)
from tfadvrec.audit.attacker import Attacker
from tfadvrec.audit.triples import training_triples
from tfadvrec.data import Interactions, Split
from tfadvrec.evaluation import evaluate
from tfadvrec.recipes.measuring import ATTACK_SEED

PLAIN, DEFENDED, TRIAL, TRIAL_SEED = 80, 40, 20, 100
SIZES = (0.2, 0.4)  # of the test's attacks
SHOWN = ("clean", *(f"attacked {size:g}" for size in SIZES))
EACH = outputs_of("embedding")


class Held(Magnitude):
    """A size in a variable, so that another size needs no other compiled step."""

    def __init__(self) -> None:
        self.size = tf.Variable(0.0, trainable=False)

    def sizes(self, scene: Any) -> list[Any]:
        return [self.size.value()] * len(scene.sets)

    def get_config(self) -> dict[str, Any]:
        return {}


def _msap(epsilon: float) -> ProjectedGradient:
    return ProjectedGradient(epsilon, steps=5, step_size=epsilon / 4, projection="linf")


# name -> perturbation of a size (a number where the last is False), sizes, target, weight
ADVERSARIES: dict[str, tuple[Callable[[Any], Any], tuple[float, ...], Any, float, bool]] = {
    "none": (lambda e: None, (0.0,), None, 0.0, True),
    "random noise": (RandomNoise, (0.6, 1.2), None, 0.5, True),
    "one step (APR)": (FastGradient, (0.3, 0.6, 1.0), None, 0.5, True),
    "3 steps (PGD)": (lambda e: ProjectedGradient(e, steps=3), (0.3, 0.6, 1.0), None, 0.5, True),
    "5 steps, box (as MSAP)": (_msap, (0.05, 0.1), None, 0.5, False),
    "3 steps, averaged (FreeLB)": (lambda e: FreeLB(e, steps=3), (0.6, 1.0), None, 0.5, True),
    "virtual adversarial": (VirtualAdversarial, (0.6, 1.2), None, 1.0, True),
    "one step, relative epsilon": (
        lambda e: FastGradient(RelativeEpsilon(e)), (0.2, 0.4), None, 0.5, False,
    ),
    "one step, warm-up": (
        lambda e: FastGradient(WarmUp(e, over=20, unit="epoch")), (0.6, 1.0), None, 0.5, True,
    ),
    "one step, example by example": (FastGradient, (0.3, 0.6), EACH, 0.5, True),
    "the same, by the user's loss": (
        lambda e: FastGradient(LossBasedEpsilon(e)), (0.3, 0.6), EACH, 0.5, True,
    ),
    "the same, by the user's norm": (
        lambda e: FastGradient(NormBasedEpsilon(e)), (0.3, 0.6), EACH, 0.5, True,
    ),
}  # fmt: skip


class Attacked(Attacker):
    """An attacker of one model object whose weights change."""

    def renew(self) -> None:
        """Takes the tables as they are for the clean ones."""
        self.clean = [variable.numpy() for variable in self.variables]
        self.scale = self._typical_margin()


class Stand:
    """The model that every row trains, its starts, and its measurement."""

    def __init__(self, split: Split, seeds: int, folder: pathlib.Path | None) -> None:
        self.split = split
        rows = {"n_users": split.train.n_users, "n_items": split.train.n_items}
        self.model = tar.MatrixFactorization(**rows).bind(split.train)
        self.starts = {}
        trainer = Trainer(self.model, None, 0.0, None)
        for seed in (TRIAL_SEED, *range(seeds)):
            kept = folder and folder / f"start_{seed}.npz"
            if kept and kept.exists():
                self.starts[seed] = list(np.load(kept).values())
                continue
            trainer.begin(tar.MatrixFactorization(**rows, seed=seed).get_weights())
            trainer.fit(split.train, seed, PLAIN)
            self.starts[seed] = self.model.get_weights()
            if kept:
                np.savez(kept, *self.starts[seed])
        triples = training_triples(split.train, seed=ATTACK_SEED)
        loss = tar.losses.BayesianPersonalizedRanking()
        tables = self.model.trainable_variables
        self.attacker = Attacked(self.model, triples, loss, variables=tables)

    def rank(self, part: str) -> list[float]:
        seen, test = (self.split.validation,) if part == "test" else (), getattr(self.split, part)
        found = evaluate(self.model, self.split.train, test, seen=seen, k=(10,), metrics=("ndcg",))
        return found.values("ndcg@10").tolist()

    def measure(self, part: str, sizes: tuple[float, ...]) -> dict[str, list[float]]:
        """Each user's nDCG@10, clean and attacked, of the model as it is."""
        found = {"clean": self.rank(part)}
        self.attacker.renew()
        for size in sizes:
            climb = ProjectedGradient(size * self.attacker.norms["all"], steps=20)
            deltas, _ = self.attacker.attack(climb, seed=ATTACK_SEED, scale=self.attacker.scale)
            with self.attacker.moved(deltas):
                found[f"attacked {size:g}"] = self.rank(part)
        return found


class Trainer:
    """One compiled training, begun anew with other weights and sizes."""

    def __init__(self, model: keras.Model, perturbation: Any, weight: float, target: Any) -> None:
        self.model = self.trained = model
        if perturbation is not None:
            self.trained = tar.AdversarialTraining(model, perturbation, weight, target=target)
        optimizer = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1)
        loss = tar.losses.BayesianPersonalizedRanking()
        self.trained.compile(optimizer, loss=loss, jit_compile=True)
        self.optimizer = self.trained.optimizer
        self.optimizer.build(model.trainable_variables)
        self.fresh = [v.numpy() for v in self.optimizer.variables]

    def begin(self, weights: list[np.ndarray]) -> None:
        """Puts these weights and a fresh optimizer in place."""
        self.model.set_weights(weights)
        for variable, value in zip(self.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)

    def fit(self, log: Interactions, seed: int, epochs: int) -> float:
        """Trains; gives processor seconds an epoch, the first left out."""
        times: list[float] = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: times.append(time.process_time())
        )
        data = tar.data.pairs(log, batch_size=512, seed=seed, block=10_000)
        self.trained.fit(data, epochs=epochs, verbose=0, callbacks=[watch])
        return float(np.median(np.diff(times)))


class Row:
    """An adversary, its trainer (compiled when it is first needed), and its measurements."""

    def __init__(self, stand: Stand, name: str) -> None:
        self.stand, self.name = stand, name
        self.make, self.sizes, self.target, self.weight, self.held = ADVERSARIES[name]
        self.holder, self.trainers = Held(), {}

    def trainer(self, size: float) -> Trainer:
        self.holder.size.assign(size)
        key = "any" if self.held else size
        if key not in self.trainers:
            perturbation = self.make(self.holder if self.held else size)
            trainer = Trainer(self.stand.model, perturbation, self.weight, self.target)
            self.trainers = {key: trainer}  # one at a time: they share the model
        return self.trainers[key]

    def tried(self, size: float) -> dict[str, float]:
        """A candidate's nDCG@10 on the validation items."""
        trainer = self.trainer(size)
        trainer.begin(self.stand.starts[TRIAL_SEED])
        trainer.fit(self.stand.split.train, TRIAL_SEED, TRIAL)
        found = self.stand.measure("validation", (0.3,))
        means = {key: float(np.mean(values)) for key, values in found.items()}
        return {"epsilon": size, **means, "mean": float(np.mean(list(means.values())))}

    def on_test(self, size: float, seed: int) -> dict[str, Any]:
        """One seed's figures of each user on the test items, and its cost."""
        trainer = self.trainer(size)
        trainer.begin(self.stand.starts[seed])
        seconds = trainer.fit(self.stand.split.train, seed, DEFENDED)
        return {"values": self.stand.measure("test", SIZES), "seconds": seconds}


def measured(
    stand: Stand, name: str, seeds: int, memory: Memory
) -> tuple[dict[str, Any], Averaged]:
    """Chooses an adversary's size, trains against it, and reads the test items once a seed."""
    one = Row(stand, name)
    candidates = [
        memory.get(functools.partial(one.tried, size), "tried", name, size)
        for size in (one.sizes if len(one.sizes) > 1 else ())
    ]
    best = max(candidates, key=lambda c: c["mean"])["epsilon"] if candidates else one.sizes[0]
    found = [
        memory.get(functools.partial(one.on_test, best, seed), "tested", name, best, seed)
        for seed in range(seeds)
    ]
    values = [each["values"] for each in found]
    figures = {key: mean_and_sd(values, key) for key in SHOWN}
    print(name, best, {key: round(f["mean"], 4) for key, f in figures.items()}, flush=True)
    setting = {"epsilon": best, "weight": one.weight, "seeds": seeds, "candidates": candidates}
    seconds = min(each["seconds"] for each in found)
    return {"adversary": name, **setting, **figures, "seconds an epoch": seconds}, Averaged(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resume", type=pathlib.Path, help="folder of what is measured so far")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    began = time.time()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "ml-100k"
    split = tar.data.leave_last_out(tar.data.movielens("100k", path=folder), validation=True)
    if arguments.resume:
        arguments.resume.mkdir(parents=True, exist_ok=True)
    stand = Stand(split, arguments.seeds, arguments.resume)
    memory = Memory(arguments.resume and arguments.resume / "measured.json")
    rows, differences, final = [], {}, {}
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in ADVERSARIES:
        found, final[name] = measured(stand, name, arguments.seeds, memory)
        rows.append(found)
        for other in {"none", "one step (APR)"} & set(final) - {name}:
            differences[f"{name} - {other}"] = {
                key: gap(final[name], final[other], key) for key in SHOWN
            }
        report = {
            "data": "ml-100k",
            "split": "leave-last-out, the last but one as validation",
            "metric": "ndcg@10, full ranking",
            "command": "python -m tests.benchmarks.adversaries_table",
            "date": time.strftime("%Y-%m-%d"),
            "seconds": round(time.time() - began),
            "rows": rows,
            "paired differences": differences,
        }
        path = arguments.output / "adversaries_table.json"
        path.write_text(json.dumps(report, indent=1) + "\n")
    show(report)


def show(report: dict[str, Any]) -> None:
    print("| adversary | epsilon | " + " | ".join(SHOWN) + " | cost |")
    print("|---|---|" + "---|" * len(SHOWN) + "---|")
    plain = report["rows"][0]["seconds an epoch"]
    for one in report["rows"]:
        cells = [f"{one[key]['mean']:.4f} ± {one[key]['sd']:.4f}" for key in SHOWN]
        cost = f"{one['seconds an epoch'] / plain:.1f}"
        print(f"| {one['adversary']} | {one['epsilon']} | " + " | ".join([*cells, cost]) + " |")
    for name, parts in report["paired differences"].items():
        gaps = [
            f"{k} {g['difference']:+.4f} [{g['low']:+.4f}, {g['high']:+.4f}]"
            for k, g in parts.items()
        ]
        print(name, *gaps)


if __name__ == "__main__":
    main()
