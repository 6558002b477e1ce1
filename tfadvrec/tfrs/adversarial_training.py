"""Training a TensorFlow Recommenders model against an adversary."""

import functools
import inspect
import warnings
from typing import Any

import tensorflow as tf

from tfadvrec.adversary.batch import Pass
from tfadvrec.adversary.climb import climb
from tfadvrec.adversary.magnitude import Magnitude, Scene
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.adversary.target import Target, embedding_tables
from tfadvrec.tfrs.batch import Batch
from tfadvrec.tfrs.finding import check
from tfadvrec.tfrs.loading import tf_keras, tfrs
from tfadvrec.tfrs.state import state_of
from tfadvrec.training.gradients import add_gradients


class AdversarialTraining(tf_keras.Model):
    """Trains any `tfrs.Model` on its loss plus its loss under a perturbation.

    The Keras 2 twin of `tfadvrec.AdversarialTraining`, with the same perturbations. A step is: a
    clean pass of the model's own `compute_loss`, whose gradient is the attack's first step; the
    rows that the batch has looked up move; a pass there; they move back, bit for bit; one update
    with `gradient + weight * adversarial gradient`. Saving or exporting this model saves or
    exports the model inside.

    The attack follows the gradient of `compute_loss`, without what regularisers add. Repeated rows
    of a batch are one row. All passes use one dropout mask; batch statistics and metrics are what
    the clean pass left. `weight=0` is TFRS's own training step.

    Logs are TFRS's, of the last batch as there, and `adversarial_loss`, the loss under attack.

    Args:
        model: A `tfrs.Model`, or another Keras 2 model with `compute_loss(inputs, training)`. A
            `train_step` of its own is not run (and warned of).
        perturbation: How the target is moved. `VirtualAdversarial` cannot be used: it needs
            outputs, and `compute_loss` gives a loss.
        weight: The weight of the loss under attack, 0 or more (lambda in the literature).
        target: `embedding_tables(...)`, every trainable `tf_keras.layers.Embedding` where None, or
            `variables(pattern)`. Patterns are looked for in the names of Keras 2 variables.
        seed: What random perturbations and dropout are drawn from.
        name: The Keras model name.

    Raises:
        ValueError: An argument is none of these.

    Example:

    >>> import tensorflow as tf, tensorflow_recommenders as tfrs, tf_keras
    >>> import tfadvrec as tar
    >>> class Retrieval(tfrs.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.users = tf_keras.layers.Embedding(4, 8)
    ...         self.items = tf_keras.layers.Embedding(6, 8)
    ...         self.task = tfrs.tasks.Retrieval()
    ...     def compute_loss(self, features, training=False):
    ...         return self.task(self.users(features["user"]), self.items(features["item"]))
    >>> robust = tar.tfrs.AdversarialTraining(Retrieval(), tar.FastGradient(0.5), weight=1.0)
    >>> robust.compile(tf_keras.optimizers.Adagrad(0.1))
    >>> log = tf.data.Dataset.from_tensor_slices({"user": [0, 1, 2, 3], "item": [1, 3, 5, 1]})
    >>> sorted(robust.fit(log.batch(2), verbose=0).history)
    ['adversarial_loss', 'loss', 'regularization_loss', 'total_loss']

    Reference: He et al., Adversarial Personalized Ranking for Recommendation, SIGIR 2018,
    equation 8 and algorithm 1.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        perturbation: Perturbation,
        weight: float = 1.0,
        *,
        target: Target | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        _check_model(model)
        if not isinstance(perturbation, Perturbation) or perturbation.divergence is not None:
            raise ValueError(
                "perturbation must be one that follows a loss, such as FastGradient(0.5) or "
                f"ProjectedGradient(0.5). Received: {perturbation!r}"
            )
        if not weight >= 0 or weight == float("inf"):
            raise ValueError(f"weight must be a finite number, 0 or more. Received: {weight!r}")
        self.model, self.perturbation, self.weight = model, perturbation, float(weight)
        self.target, self.seed = check(target or embedding_tables()), seed
        counts = getattr(perturbation.epsilon, "counts_epochs", False)
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False) if counts else None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The model inside, which Keras 2 tells by itself whether this is training."""
        return self.model(inputs)

    def compile(self, optimizer: Any = "rmsprop", *positional: Any, **options: Any) -> None:
        """As in Keras 2; the model inside is compiled alike and shares the optimizer."""
        self.model.compile(optimizer, *positional, **options)
        ours = ("run_eagerly", "steps_per_execution", "jit_compile")
        super().compile(
            optimizer=self.model.optimizer, **{key: options[key] for key in ours if key in options}
        )

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras 2; sizes that grow with the epochs are told which one it is."""
        if self._epoch is not None:
            count = tf_keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: self._epoch.assign(epoch)
            )
            options["callbacks"] = [*tf.nest.flatten(options.get("callbacks") or []), count]
        return super().fit(x, y, *positional, **options)

    def train_step(self, inputs: Any) -> dict[str, tf.Tensor]:
        """One step on a batch: clean pass, attack, pass under attack, one update."""
        if self.weight == 0:
            logs = tfrs.Model.train_step(self.model, inputs)
            return {**logs, "adversarial_loss": logs["loss"]}
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "tfadvrec.tfrs.AdversarialTraining runs on one replica: a row's gradient would "
                "have to be summed over the replicas before it is normalised."
            )
        seed = tf.cast(self.model.optimizer.iterations, tf.int32) + self.seed * 1_000_003 % 2**30
        batch = Batch(self.model, inputs, self.target, seed, dense=bool(self.jit_compile))
        clean = batch.first_pass()
        state = state_of(self.model)
        put_back = functools.partial(_assign, state, [tf.identity(v) for v in state])
        try:
            scene = self._scene(batch, clean)
            moved = climb(self.perturbation, batch, clean, put_back, seed, scene)
        finally:
            put_back()
        self._update(clean, moved)
        return self._logs(batch, clean, moved)

    def test_step(self, inputs: Any) -> dict[str, tf.Tensor]:
        """Evaluation of the model inside."""
        return self.model.test_step(inputs)

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        """Those of the model inside."""
        return self.model.metrics

    def save(self, filepath: Any, *positional: Any, **options: Any) -> None:
        """Saves the model inside."""
        self.model.save(filepath, *positional, **options)

    def save_weights(self, filepath: Any, *positional: Any, **options: Any) -> Any:
        """Saves the weights of the model inside."""
        return self.model.save_weights(filepath, *positional, **options)

    def load_weights(self, filepath: Any, *positional: Any, **options: Any) -> Any:
        """Loads weights into the model inside."""
        return self.model.load_weights(filepath, *positional, **options)

    def export(self, filepath: Any) -> None:
        """Exports the model inside as Keras 2 does."""
        self.model.export(filepath)

    def _scene(self, batch: Batch, clean: Pass) -> Scene | None:
        if not isinstance(self.perturbation.epsilon, Magnitude):
            return None
        steps = tf.convert_to_tensor(self.model.optimizer.iterations)
        epoch = None if self._epoch is None else self._epoch.read_value()
        return batch.scene(clean, self.perturbation.norm, step=steps, epoch=epoch)

    def _update(self, clean: Pass, moved: Pass) -> None:
        gradients = [
            add_gradients(g, a, weight=self.weight)
            for g, a in zip(clean.update, moved.update, strict=True)
        ]
        self.model.optimizer.apply_gradients(
            zip(gradients, self.model.trainable_variables, strict=True)
        )

    def _logs(self, batch: Batch, clean: Pass, moved: Pass) -> dict[str, tf.Tensor]:
        return {
            **{metric.name: metric.result() for metric in self.metrics},
            "loss": clean.loss,
            "regularization_loss": batch.penalty,
            "total_loss": clean.loss + batch.penalty,
            "adversarial_loss": moved.loss,
        }


def _check_model(model: Any) -> None:
    """Refuses what is no Keras 2 model with TFRS's `compute_loss`, and warns of own steps."""
    keras_2 = isinstance(model, tf_keras.Model)
    if not keras_2 or "training" not in inspect.signature(model.compute_loss).parameters:
        raise ValueError(
            "tfadvrec.tfrs.AdversarialTraining needs a tfrs.Model, with compute_loss(inputs, "
            f"training). Received: {type(model).__module__}.{type(model).__name__}. A Keras 3 "
            "model goes into tfadvrec.AdversarialTraining; a Keras 2 model that is compiled with a "
            "loss becomes a tfrs.Model by a compute_loss that calls tfrs.tasks.Ranking."
        )
    if type(model).train_step not in (tfrs.Model.train_step, tf_keras.Model.train_step):
        warnings.warn(
            f"{type(model).__name__} has a train_step of its own, which AdversarialTraining does "
            "not run: it trains on the model's compute_loss.",
            stacklevel=3,
        )


def _assign(variables: list[tf.Variable], values: list[tf.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
