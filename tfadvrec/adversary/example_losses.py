"""The compiled loss example by example, for sizes that depend on it."""

import copy
from typing import Any

import keras
import tensorflow as tf


def example_losses(model: keras.Model, y: Any, y_pred: Any) -> tf.Tensor:
    """What each example adds to the compiled loss, before sample weights: `(examples,)`.

    Args:
        model: A compiled model with one output and one loss.
        y: The labels.
        y_pred: The model's output.

    Raises:
        ValueError: The model's loss is not one compiled loss of one output.
    """
    loss = getattr(model, "loss", None)
    own = type(model).compute_loss is not keras.Model.compute_loss
    single = isinstance(y_pred, tf.Tensor) and not isinstance(loss, dict | list | tuple)
    if own or loss is None or not single:
        raise ValueError(
            f"sizes by loss need one compiled loss of one output, and {model.name!r} has "
            f"{'a compute_loss of its own' if own else repr(loss)}. Compile the model with a "
            "loss, or use another magnitude."
        )
    found = keras.losses.get(loss)
    if isinstance(found, keras.losses.Loss):
        found = copy.copy(found)
        found.reduction = None
        values = found(y, y_pred)
    else:
        values = found(y, y_pred)
    values = tf.stop_gradient(tf.convert_to_tensor(values))
    if values.shape.rank == 0:
        raise ValueError(f"the loss {loss!r} of {model.name!r} gives no value for each example")
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)
