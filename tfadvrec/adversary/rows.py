"""What an attack moves, as rows: tables, touched rows of tables, weights, inputs."""

from typing import Any, Protocol

import keras
import tensorflow as tf


class Rows(Protocol):
    """A set of rows that can be moved and put back.

    Attributes:
        before: The rows before the attack, `(n, width)`.
    """

    before: tf.Tensor

    def flat(self, gradient: Any) -> tf.Tensor:
        """A gradient of these rows as a matrix `(n, width)`."""

    def shift(self, delta: tf.Tensor) -> None:
        """Sets the rows to `before + delta`."""

    def restore(self) -> None:
        """Puts the rows back, bit for bit."""


class VariableRows:
    """Rows of a variable: all of them, the touched ones, or the whole as one row.

    Args:
        variable: The variable.
        gradient: A merged gradient (see `merge_rows`); if sparse, only its rows move.
        whole: Whether the variable counts as one row.
    """

    def __init__(self, variable: keras.Variable, gradient: Any, *, whole: bool) -> None:
        self.variable, self.whole = variable, whole
        sparse = isinstance(gradient, tf.IndexedSlices)
        self.index = gradient.indices if sparse else None
        value = variable.value
        self.values = tf.gather(value, self.index) if sparse else tf.identity(value)
        self.before = self.flat(self.values)

    def flat(self, gradient: Any) -> tf.Tensor:
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        return tf.reshape(values, [1 if self.whole else tf.shape(values)[0], -1])

    def shift(self, delta: tf.Tensor) -> None:
        self._set(self.values + tf.reshape(delta, tf.shape(self.values)))

    def restore(self) -> None:
        self._set(self.values)

    def _set(self, values: tf.Tensor) -> None:
        if self.index is None:
            self.variable.assign(values)
        else:
            self.variable.value.scatter_update(tf.IndexedSlices(values, self.index))


class InputRows:
    """The examples of one floating-point input.

    Args:
        inputs: The flattened inputs of a batch; the list is changed in place.
        position: Which of them.
    """

    def __init__(self, inputs: list[Any], position: int) -> None:
        self.inputs, self.position = inputs, position
        self.values = inputs[position]
        self.before = self.flat(self.values)

    def flat(self, gradient: Any) -> tf.Tensor:
        return tf.reshape(gradient, [tf.shape(gradient)[0], -1])

    def shift(self, delta: tf.Tensor) -> None:
        self.inputs[self.position] = self.values + tf.reshape(delta, tf.shape(self.values))

    def restore(self) -> None:
        self.inputs[self.position] = self.values
