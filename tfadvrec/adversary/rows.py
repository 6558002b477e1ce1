"""What an attack moves, as rows: tables, looked-up rows of them, weights, inputs, outputs."""

from typing import Any, Protocol

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.adversary.outputs import Called
from tfadvrec.optimizers.row_slots import RowSlots


class Rows(Protocol):
    """A set of rows that can be moved and put back.

    On several replicas, rows of tables and variables are those of all replicas, with their
    gradients summed, and move alike in each; rows of examples are a replica's own.

    Attributes:
        before: The rows before the attack, `(n, width)`.
        name: What they are the rows of.
        per_example: Whether they belong to the examples of the batch, in their order.
    """

    before: tf.Tensor
    name: str
    per_example: bool

    def flat(self, gradient: Any) -> tf.Tensor:
        """A gradient of these rows as a matrix `(n, width)`."""

    def shift(self, delta: tf.Tensor) -> None:
        """Sets the rows to `before + delta`."""

    def restore(self) -> None:
        """Puts the rows back, bit for bit."""


class VariableRows:
    """The rows of a variable, moved in place.

    Args:
        variable: The variable.
        whole: Whether the variable counts as one row.
    """

    def __init__(self, variable: keras.Variable, *, whole: bool) -> None:
        self.variable, self.whole = variable, whole
        self.name, self.per_example = variable.path, False
        self.values = tf.identity(variable.value)
        self.before = self._matrix(self.values)

    def flat(self, gradient: Any) -> tf.Tensor:
        return self._matrix(_replicas.total(tf.convert_to_tensor(gradient)))

    def shift(self, delta: tf.Tensor) -> None:
        moved = self.values + tf.reshape(delta, tf.shape(self.values))
        _replicas.own(self.variable).assign(moved)

    def restore(self) -> None:
        _replicas.own(self.variable).assign(self.values)

    def _matrix(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [1 if self.whole else tf.shape(values)[0], -1])


class LookUpRows:
    """The rows of a table that a batch looks up, moved where they are looked up.

    The table is never written to: a pass adds `shifts[id(table)]` to its look-ups.

    Args:
        table: The table.
        looked_up: Its rows, look-up by look-up, `(n,)`.
        row_slots: Finds the repeated ones.
        shifts: Where the shift of each look-up is put.
    """

    def __init__(
        self,
        table: keras.Variable,
        looked_up: tf.Tensor,
        row_slots: RowSlots,
        shifts: dict[int, tf.Tensor],
    ) -> None:
        self.key, self.shifts = id(table), shifts
        self.name, self.per_example = table.path, False
        self.count = tf.shape(looked_up)[0]
        everywhere, self.first = _replicas.gathered(looked_up)
        self.slots = row_slots.find(table, everywhere)
        self.before = self.slots.read(table.value)

    def flat(self, gradient: tf.IndexedSlices) -> tf.Tensor:
        return self.slots.total(_replicas.gathered(gradient.values)[0])

    def shift(self, delta: tf.Tensor) -> None:
        here = self.slots.spread(delta)
        if _replicas.count() > 1:
            here = here[self.first : self.first + self.count]
        self.shifts[self.key] = here

    def restore(self) -> None:
        self.shifts.pop(self.key, None)


class InputRows:
    """The examples of one floating-point input.

    Args:
        inputs: The flattened inputs of a batch; the list is changed in place.
        position: Which of them.
    """

    def __init__(self, inputs: list[Any], position: int) -> None:
        self.inputs, self.position = inputs, position
        self.name, self.per_example = f"input {position}", True
        self.values = inputs[position]
        self.before = self.flat(self.values)

    def flat(self, gradient: Any) -> tf.Tensor:
        return tf.reshape(gradient, [tf.shape(gradient)[0], -1])

    def shift(self, delta: tf.Tensor) -> None:
        self.inputs[self.position] = self.values + tf.reshape(delta, tf.shape(self.values))

    def restore(self) -> None:
        self.inputs[self.position] = self.values


class OutputRows:
    """The vectors, or the examples, of one output of a layer; in float32 at least.

    Args:
        called: The output in the clean pass.
        per: `"vector"` or `"example"`.
        shifts: Where the output's shift is put.
    """

    def __init__(self, called: Called, per: str, shifts: dict[int, tf.Tensor]) -> None:
        self.place, self.shifts = called.place, shifts
        self.name, self.per_example = called.layer, True
        shape = called.value.shape
        if shape.rank is None or shape.rank < (2 if per == "vector" else 1):
            raise ValueError(
                f"outputs_of(per={per!r}) needs outputs of shape (batch, ..., width). "
                f"{called.layer!r} gives {shape}. Name another layer, or use per='example'."
            )
        self.width = shape[-1] if per == "vector" else shape[1:].num_elements()
        self.before = tf.stop_gradient(self.flat(called.value))

    def flat(self, gradient: Any) -> tf.Tensor:
        values = tf.convert_to_tensor(gradient)
        if values.dtype.size < 4:
            values = tf.cast(values, tf.float32)
        width = [tf.shape(values)[0], -1] if self.width is None else [-1, self.width]
        return tf.reshape(values, width)

    def shift(self, delta: tf.Tensor) -> None:
        self.shifts[self.place] = delta

    def restore(self) -> None:
        self.shifts.pop(self.place, None)
