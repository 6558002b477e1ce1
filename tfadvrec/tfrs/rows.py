"""What an attack moves in a Keras 2 model, as rows: the rows of a table, or a whole weight."""

from typing import Any, Protocol

import tensorflow as tf


class MovableRows(Protocol):
    """Rows that lie elsewhere while a pass runs; see `tfadvrec.adversary.rows.Rows`.

    `shift` says where they will lie, `put` writes them there, and `restore` puts back what was
    read before, bit for bit.
    """

    before: tf.Tensor
    name: str
    per_example: bool

    def flat(self, gradient: Any) -> tf.Tensor:
        """A gradient of these rows as a matrix `(n, width)`."""

    def shift(self, delta: tf.Tensor) -> None:
        """Sets where the rows will lie: `before + delta`."""

    def put(self) -> None:
        """Writes the moved rows into the variable."""

    def restore(self) -> None:
        """Puts the rows back."""


class TableRows:
    """The rows of a table that a batch has looked up; no other row is read or written.

    Args:
        table: `(rows, width)`.
        gradient: The gradient of the first pass, one slice a look-up.
    """

    def __init__(self, table: tf.Variable, gradient: tf.IndexedSlices) -> None:
        self.table, self.name, self.per_example = table, path(table), False
        self.rows = tf.sort(tf.unique(gradient.indices).y)
        self.before = tf.gather(table, self.rows)
        self.delta = tf.zeros_like(self.before)

    def flat(self, gradient: tf.IndexedSlices) -> tf.Tensor:
        """Repeated rows summed; rows that only a later pass has looked up stay out."""
        place = tf.searchsorted(self.rows, gradient.indices)
        place = tf.minimum(place, tf.size(self.rows) - 1)
        known = tf.equal(tf.gather(self.rows, place), gradient.indices)
        values = tf.where(known[:, None], gradient.values, 0)
        return tf.math.unsorted_segment_sum(values, place, tf.size(self.rows))

    def shift(self, delta: tf.Tensor) -> None:
        self.delta = delta

    def put(self) -> None:
        self.table.scatter_update(tf.IndexedSlices(self.before + self.delta, self.rows))

    def restore(self) -> None:
        self.table.scatter_update(tf.IndexedSlices(self.before, self.rows))


class WholeRows:
    """All rows of a variable, or the variable as one row.

    Args:
        variable: The variable.
        single: Whether it counts as one row.
    """

    def __init__(self, variable: tf.Variable, *, single: bool) -> None:
        self.variable, self.single = variable, single
        self.name, self.per_example = path(variable), False
        self.values = tf.identity(variable)
        self.before = self.flat(self.values)
        self.delta = tf.zeros_like(self.before)

    def flat(self, gradient: Any) -> tf.Tensor:
        values = tf.convert_to_tensor(gradient)
        return tf.reshape(values, [1 if self.single else tf.shape(values)[0], -1])

    def shift(self, delta: tf.Tensor) -> None:
        self.delta = delta

    def put(self) -> None:
        self.variable.assign(self.values + tf.reshape(self.delta, tf.shape(self.values)))

    def restore(self) -> None:
        self.variable.assign(self.values)


def path(variable: tf.Variable) -> str:
    """What a pattern is looked for in: the variable's name, `"user_table/embeddings"`."""
    return variable.name.removesuffix(":0")
