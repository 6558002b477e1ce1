"""A step that makes variables and changes nothing."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class Rehearsal(keras.Operation):
    """Something done symbolically: the variables that it needs are made, none is changed.

    Args:
        step: What is done with a batch; gives a tensor.
    """

    def __init__(self, step: Callable[[Any], tf.Tensor]) -> None:
        super().__init__()
        self._step = step
        self._error: Exception | None = None

    def hold(self, batch: Any) -> None:
        """Does it.

        Args:
            batch: Arrays or tensors, nested.

        Raises:
            Exception: What the step raised.
        """
        try:
            self.compute_output_spec(keras.tree.map_structure(tf.convert_to_tensor, batch))
        except Exception as error:  # which Keras has wrapped in advice to authors of layers
            raise self._error or error from None

    def call(self, batch: Any) -> tf.Tensor:
        """The step, remembering what it raised."""
        try:
            return self._step(batch)
        except Exception as error:
            self._error = error
            raise


def unwrapped(data: Any) -> Any:
    """What a dataset yields, out of the tuple of one that Keras wraps around arrays."""
    return data[0] if isinstance(data, tuple) and len(data) == 1 else data


def shaped_like(x: Any, rows: int) -> Any:
    """Zeros of the shapes of a dataset's elements, or of the first rows of arrays.

    Args:
        x: A `tf.data.Dataset`, or arrays, nested.
        rows: The length of axes that the dataset leaves open, and how many rows of arrays.
    """
    if isinstance(x, tf.data.Dataset):
        return keras.tree.map_structure(
            lambda spec: tf.zeros([rows if s is None else s for s in spec.shape], spec.dtype),
            x.element_spec,
        )
    return keras.tree.map_structure(lambda value: tf.zeros_like(value[:rows]), x)
