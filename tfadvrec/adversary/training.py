"""Training against an adversary: minimum over the weights, maximum over the perturbation."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.adversary.batch import Batch, Pass
from tfadvrec.adversary.climb import climb
from tfadvrec.adversary.epoch_count import EpochCount
from tfadvrec.adversary.magnitude import Magnitude, Scene
from tfadvrec.adversary.model_training import ModelTraining, with_callback
from tfadvrec.adversary.own_steps import check_own_steps
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.adversary.target import Target, embedding_tables
from tfadvrec.optimizers.row_slots import RowSlots
from tfadvrec.training.blocks import batch_rows
from tfadvrec.training.gradients import add_gradients, ready


@keras.saving.register_keras_serializable(package="tfadvrec")
class AdversarialTraining(ModelTraining):
    """Trains any Keras model on its loss plus its loss under a perturbation.

    A step is: a clean pass, whose gradient is the attack's first step; the target moves; a pass
    at the moved point; the target moves back, bit for bit (an embedding table never moves: its
    look-ups are shifted, as are outputs of layers); one update with
    `gradient + weight * adversarial gradient`. Saving or exporting this model saves or exports
    the model inside; the perturbation is never part of it.

    The attack follows the gradient of the compiled loss, without what `add_loss` and weight
    regularisers add to it; a model that has no compiled loss, or a `compute_loss` of its own, is
    attacked on all of its loss. Both passes use one dropout mask, and batch statistics and metrics
    are what the clean pass left. Repeated rows of a
    batch are one row: their gradients are summed before the attack normalises them and before
    the optimizer sees them. `weight=0` is plain training.

    Args:
        model: The model to train, compiled or not. A `train_step` of its own is not run: its
            `compute_loss` is, and without one the model is refused. `compile` of this model gives
            it the same optimizer, loss and metrics.
        perturbation: How the target is moved.
        weight: The weight of the loss under attack, 0 or more (lambda in the literature).
        target: What is moved; every embedding table where None.
        seed: What random perturbations are drawn from.
        name: The Keras model name.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=4, n_items=6, dimension=8, seed=0)
    >>> robust = tar.AdversarialTraining(model, tar.FastGradient(epsilon=0.5), weight=1.0)
    >>> robust.compile("sgd", loss=tar.losses.BayesianPersonalizedRanking())
    >>> inputs = {"user_id": np.array([0, 1]), "item_id": np.array([[0, 1], [2, 3]])}
    >>> history = robust.fit(inputs, np.array([[1.0, 0.0], [1.0, 0.0]]), verbose=0)
    >>> sorted(history.history)
    ['adversarial_loss', 'loss']

    Reference: He et al., Adversarial Personalized Ranking for Recommendation, SIGIR 2018,
    equation 8 and algorithm 1.
    """

    def __init__(
        self,
        model: keras.Model,
        perturbation: Perturbation,
        weight: float = 1.0,
        *,
        target: Target | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(model, name=name)
        if not weight >= 0 or weight == float("inf"):
            raise ValueError(f"weight must be a finite number, 0 or more. Received: {weight!r}")
        check_own_steps(model)
        self.perturbation, self.weight = perturbation, float(weight)
        self.target, self.seed = target or embedding_tables(), seed
        self._row_slots = RowSlots()
        counts = getattr(perturbation.epsilon, "counts_epochs", False)
        self._epochs = EpochCount() if counts else None
        with self.distribute_strategy.scope():
            self._adversarial_tracker = keras.metrics.Mean(name="adversarial_loss")
        self.trackers = [self._adversarial_tracker]

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; sizes that grow with the epochs are told which one it is."""
        if self._epochs is not None:
            options["callbacks"] = with_callback(options.get("callbacks"), self._epochs)
        return super().fit(x, y, *positional, **options)

    def train_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """One step on a batch: clean pass, attack, pass under attack, one update."""
        if self.weight == 0:
            return self._plain(data)
        if not self.model.built:
            self.build_on(data)
        batch = Batch(self.model, data, self.target, self._row_slots)
        seeds = {
            id(v): tf.identity(v.value)
            for v in self.model.non_trainable_variables
            if "seed_generator_state" in v.path
        }
        clean = batch.first_pass()
        state = [*self.model.non_trainable_variables, *self.model.metrics_variables]
        after = [tf.identity(v.value) for v in state]
        # the adversarial passes draw the clean pass's dropout masks
        same = [seeds.get(id(v), value) for v, value in zip(state, after, strict=True)]
        try:
            renew = functools.partial(_assign, state, same)
            scene = self._scene(batch, clean)
            moved = climb(self.perturbation, batch, clean, renew, self._seed(), scene)
        finally:
            for rows in batch.rows:
                rows.restore()
            _assign(state, after)
        self._update(clean, moved)
        return self._log(batch, clean, moved)

    def get_config(self) -> dict[str, Any]:
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "perturbation": keras.saving.serialize_keras_object(self.perturbation),
            "weight": self.weight,
            "target": {
                "kind": self.target.kind,
                "pattern": self.target.pattern,
                "names": self.target.names and list(self.target.names),
                "per": self.target.per,
            },
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdversarialTraining":
        config = dict(config)
        target = dict(config.pop("target"))
        target["names"] = target["names"] and tuple(target["names"])
        restore = keras.saving.deserialize_keras_object
        return cls(
            restore(config.pop("model")),
            restore(config.pop("perturbation")),
            target=Target(**target),
            **config,
        )

    def _plain(self, data: Any) -> Mapping[str, tf.Tensor]:
        logs = dict(super().train_on(data))
        clean = [v.value for v in self._loss_tracker.variables]
        _assign(self._adversarial_tracker.variables, clean)
        return {**logs, "adversarial_loss": self._adversarial_tracker.result()}

    def _scene(self, batch: Batch, clean: Pass) -> Scene | None:
        if not isinstance(self.perturbation.epsilon, Magnitude):
            return None
        steps = tf.convert_to_tensor(self.optimizer.iterations)
        epoch = None if self._epochs is None else self._epochs.now.value()
        return batch.scene(clean, self.perturbation.norm, step=steps, epoch=epoch)

    def _seed(self) -> tf.Tensor:
        return tf.cast(self.optimizer.iterations, tf.int32) + self.seed * 1_000_003 % 2**30

    def _update(self, clean: Pass, moved: Pass) -> None:
        gradients = [
            add_gradients(g, a, weight=self.weight)
            for g, a in zip(clean.update, moved.update, strict=True)
        ]
        gradients = [ready(g, self.optimizer, compiled=self.compiled_by_xla) for g in gradients]
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _log(self, batch: Batch, clean: Pass, moved: Pass) -> Mapping[str, tf.Tensor]:
        rows = batch_rows(batch.x)
        for tracker, loss in (
            (self._loss_tracker, clean.loss),
            (self._adversarial_tracker, moved.loss),
        ):
            tracker.update_state(_replicas.unscaled(loss), sample_weight=rows)
        logs = self.compute_metrics(batch.x, batch.y, clean.y_pred, batch.sample_weight)
        return {**logs, "adversarial_loss": self._adversarial_tracker.result()}


def _assign(variables: list[keras.Variable], values: list[tf.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
