"""What every training of a model inside another one shares: its loss, its metrics, its files."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.training.blocks import BlockTraining, batch_rows
from tfadvrec.training.inner_files import InnerFiles


class ModelTraining(InnerFiles, BlockTraining, keras.Model):
    """Trains the model inside: calls, evaluates, saves and exports as that model does.

    A subclass overrides `train_on`. Metrics of its own go into `trackers`; they are logged in
    training and left out of evaluation.

    Args:
        model: The model to train, compiled or not.
        name: The Keras model name.
    """

    def __init__(self, model: keras.Model, *, name: str | None = None) -> None:
        super().__init__(name=name)
        # made where the model was made, wherever that was
        self._distribute_strategy = model._distribute_strategy
        self.model = model
        self.trackers: list[keras.metrics.Metric] = []
        self.built = model.built

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.model._call_has_training_arg:
            return self.model(inputs, training=training)
        return self.model(inputs)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        """As in Keras; loss and metrics are compiled into the model inside."""
        self.model.compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **options,
        )
        # the precision of the model inside has decided whether the loss is scaled
        options["auto_scale_loss"] = False
        super().compile(optimizer=self.model.optimizer, **options)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ) -> tf.Tensor:
        """The loss of the model inside, its own `compute_loss` included."""
        return self.model._compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict[str, Any]:
        """The metrics of the model inside, with this model's loss."""
        inner = self.model.compute_metrics(x, y, y_pred, sample_weight)
        return {**inner, "loss": self._loss_tracker.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss, the metrics of this training, and those of the model inside."""
        if not self.compiled:
            return []
        inner = [m for m in self.model.metrics if m is not self.model._loss_tracker]
        return [self._loss_tracker, *self.trackers, *inner]

    def build_on(self, data: Any) -> None:
        """Builds the model inside, which holds layers, loss and metrics."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        if any(
            isinstance(part, tf.RaggedTensor | tf.SparseTensor) for part in keras.tree.flatten(x)
        ):
            _traced(self.model, x)  # Keras's own way takes inputs for dense
        else:
            self.model._symbolic_build(data_batch=data)
        self.built = True

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluation of the model inside."""
        trackers = [*self.trackers, *getattr(self.model, "trackers", ())]
        logs, own = super().test_step(data), {tracker.name for tracker in trackers}
        return {key: value for key, value in logs.items() if key not in own}

    def test_on(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluates the model inside on one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self.call(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(_replicas.unscaled(loss), sample_weight=batch_rows(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)


def _traced(model: keras.Model, x: Any) -> None:
    """Makes a model's variables by a call in a graph that never runs."""
    specs = tf.nest.map_structure(tf.type_spec_from_value, x)
    tf.function(model.__call__).get_concrete_function(specs)


def with_callback(given: Any, added: keras.callbacks.Callback) -> Any:
    """`fit`'s callbacks, none or one or several, and one more."""
    if isinstance(given, keras.callbacks.CallbackList):
        if added not in given.callbacks:
            given.callbacks.append(added)
        return given
    if given is None:
        return [added]
    return [*(given if isinstance(given, list | tuple) else [given]), added]
