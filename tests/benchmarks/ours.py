"""Our side of the benchmark: a worker with the same protocol as the peers'.

python -m tests.benchmarks.ours --data log.npz
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfadvrec as tar
from tests.benchmarks.peers.protocol import System, serve
from tfadvrec import adversary, data, losses
from tfadvrec.data import Interactions
from tfadvrec.evaluation import evaluate

EPSILON, WEIGHT = 0.5, 1.0
BLOCK = 262_144  # interactions in a compiled block
# what a batch of 512, 2,048 and 8,192 learns fastest with: NDCG@10 after two epochs on one training
# interaction a user, held out at random; no test item was looked at
SUMMED = {512: 0.1, 2048: 0.2, 8192: 0.2}
ADAM = {512: 0.001, 2048: 0.003, 8192: 0.01}
# name -> where the class is, its name, its learning rate by batch
OPTIMIZERS = {
    "adagrad": ("keras.optimizers", "Adagrad", SUMMED),
    "adam": ("keras.optimizers", "Adam", ADAM),
    "sparse_adagrad": ("tfadvrec.optimizers", "SparseAdagrad", SUMMED),
    "rowwise_adagrad": ("tfadvrec.optimizers", "RowWiseAdagrad", SUMMED),
    "lazy_adam": ("tfadvrec.optimizers", "LazyAdam", ADAM),
    "sparse_sgd": ("tfadvrec.optimizers", "SparseSGD", dict.fromkeys(SUMMED, 0.05)),
}
BATCHES = (512, 2048, 8192)
FORMS = {
    "bpr": {},
    "apr": {"attack": "FastGradient", "steps": 1},
    "apr-pgd3": {"attack": "ProjectedGradient", "steps": 3},
}


def optimizer(name: str, batch: int) -> keras.Optimizer:
    """A fresh optimizer with the learning rate of a batch size."""
    module, kind, rates = OPTIMIZERS[name]
    return getattr(import_module(module), kind)(rates[batch])


def variants() -> list[dict[str, Any]]:
    """What can be measured: form, batch and optimizer, and some in other ways."""
    made = [
        _variant(f"{form}-{batch}-{name}", batch, name, **FORMS[form])
        for form in FORMS
        for batch in BATCHES
        for name in OPTIMIZERS
    ]
    # three negatives learn faster a second on the held-out training interactions
    made.append(
        _variant("bpr-8192-rowwise_adagrad-3-negatives", 8192, "rowwise_adagrad", negatives=3)
    )
    for form in ("bpr", "apr"):
        made.append(
            _variant(f"{form}-512-adagrad-unblocked", 512, "adagrad", blocked=False, **FORMS[form])
        )
    for name in OPTIMIZERS:
        in_batch = {"loss": "in-batch softmax", "negatives": "in batch"}
        made.append(_variant(f"softmax-512-{name}", 512, name, model="mf", **in_batch))
        made.append(_variant(f"two-tower-512-{name}", 512, name, model="two_tower", **in_batch))
        made.append(
            _variant(
                f"two-tower-apr-512-{name}",
                512,
                name,
                model="two_tower",
                **in_batch,
                **FORMS["apr"],
            )
        )
    return made


def _variant(name: str, batch: int, optimizer_name: str, **other: Any) -> dict[str, Any]:
    """One variant's fields."""
    return {
        "name": name,
        "model": "mf",
        "batch": batch,
        "optimizer": optimizer_name,
        "learning_rate": OPTIMIZERS[optimizer_name][2][batch],
        "loss": "bpr",
        "negatives": 1,
        "dimension": 64,
        "blocked": True,
        **other,
    }


class Ours(System):
    """Matrix factorisation and two towers, plain and against the adversary."""

    name = "tfadvrec"

    def __init__(self, log: dict[str, np.ndarray], threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        super().__init__(log, threads)

    def version(self) -> str:
        return f"{version('tfadvrec')} (Keras {keras.__version__}, TensorFlow {tf.__version__})"

    def variants(self) -> list[dict[str, Any]]:
        return variants()

    def prepare(self, variant: dict[str, Any]) -> dict[str, Any]:
        """Builds, compiles, runs one warm-up epoch, and puts initial values back."""
        self.train = self._log("train")
        self.model = self._model(variant)
        self.trainer = _trainer(self.model, variant)
        self.data = self._data(variant)
        values = [*self.trainer.variables, *self.trainer.optimizer.variables]
        values = values if variant["restore"] else []  # a copy would count as peak memory
        kept = [value.numpy() for value in values]
        started = time.perf_counter()
        self.trainer.fit(self.data, epochs=1, verbose=0)
        first = time.perf_counter() - started
        for value, initial in zip(values, kept, strict=True):
            value.assign(initial)
        return {"first_epoch_seconds": first}

    def epoch(self, fraction: float) -> dict[str, Any]:
        steps = int(self.data.cardinality())
        wanted = max(1, round(steps * fraction))
        chosen = self.data if wanted == steps else self.data.take(wanted)
        self.trainer.fit(chosen, epochs=1, verbose=0)
        return {"fraction": wanted / steps}

    def evaluate(self) -> dict[str, Any]:
        test = self._log("test")
        metrics = ["precision", "map", "ndcg", "auc"]
        evaluate(self.model, self.train, test, metrics=metrics)  # compiles
        started = time.perf_counter()
        evaluate(self.model, self.train, test, metrics=metrics)
        return {
            "seconds": time.perf_counter() - started,
            "users": len(np.unique(test.user)),
            "computes": "precision, map, ndcg, auc @10",
        }

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        users, items = np.arange(self.n_users), np.arange(self.n_items)
        return self.model.embed_users(users).numpy(), self.model.embed_items(items).numpy()

    def _log(self, part: str) -> Interactions:
        return Interactions(
            user=self.log[f"{part}_user"].astype(np.int32),
            item=self.log[f"{part}_item"].astype(np.int32),
            user_ids=np.arange(self.n_users),
            item_ids=np.arange(self.n_items),
            name=part,
        )

    def _model(self, variant: dict[str, Any]) -> tar.models.Recommender:
        sizes = {"n_users": self.n_users, "n_items": self.n_items}
        kind = tar.TwoTower if variant["model"] == "two_tower" else tar.MatrixFactorization
        return kind(**sizes, dimension=variant["dimension"], seed=0).bind(self.train)

    def _data(self, variant: dict[str, Any]) -> tf.data.Dataset:
        batch = min(variant["batch"], len(self.train))
        block = max(1, BLOCK // batch) if variant["blocked"] else None
        if variant["negatives"] == "in batch":
            return data.in_batch(self.train, batch_size=batch, block=block)
        return data.pairs(self.train, batch_size=batch, negatives=variant["negatives"], block=block)


def _trainer(model: tar.models.Recommender, variant: dict[str, Any]) -> keras.Model:
    """The compiled model, or the model against the variant's attack."""
    attack = variant.get("attack")
    trainer: keras.Model = model
    if attack == "FastGradient":
        trainer = adversary.AdversarialTraining(
            model, adversary.FastGradient(EPSILON), weight=WEIGHT
        )
    elif attack:
        perturbation = adversary.ProjectedGradient(EPSILON, steps=variant["steps"])
        trainer = adversary.AdversarialTraining(model, perturbation, weight=WEIGHT)
    loss = losses.InBatchSoftmax() if "softmax" in variant["loss"] else None
    trainer.compile(
        optimizer(variant["optimizer"], variant["batch"]),
        loss=loss or losses.BayesianPersonalizedRanking(),
    )
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


if __name__ == "__main__":
    serve(Ours)
