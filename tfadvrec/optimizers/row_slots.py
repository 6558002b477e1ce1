"""Repeated rows of a batch: which occurrence stands for its row, and sums over them."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from tfadvrec import _replicas

# A table with fewer rows than this many for each row that a batch looks up is swept whole: one
# pass over a small table costs less than scattering rows into it one by one. Measured on two CPU
# cores at width 64 (`python -m tests.benchmarks --part crossover`).
WHOLE_BELOW = 1.5


@dataclass(frozen=True)
class Slots:
    """Where the look-ups of a batch are summed, row by row.

    A slot is a place for one row's sum. Either every row of the table has one (`whole`), or every
    look-up has one, of which the row's last look-up uses its own and the others stay zero; on
    several replicas, every distinct row has one.

    Attributes:
        rows: int32, the row of each slot where not `whole`.
        owner: int32 `(n,)`, the slot of each look-up's row.
        count: How many slots there are.
        used: bool `(count,)`, whether the slot stands for a row.
        whole: Whether slot r is row r of the table.
    """

    rows: tf.Tensor
    owner: tf.Tensor
    count: int | tf.Tensor
    used: tf.Tensor
    whole: bool

    def total(self, values: tf.Tensor) -> tf.Tensor:
        """Sums `(n, ...)` over the look-ups of a row: `(count, ...)`, zero in unused slots."""
        return tf.math.unsorted_segment_sum(values, self.owner, self.count)

    def spread(self, slots: tf.Tensor) -> tf.Tensor:
        """What each look-up's row has in its slot: `(n, ...)`."""
        return tf.gather(slots, self.owner)

    def where_used(self, change: tf.Tensor) -> tf.Tensor:
        """`(count, ...)` with zeros in unused slots."""
        used = tf.reshape(self.used, [-1] + [1] * (len(change.shape) - 1))
        return tf.where(used, change, 0)

    def read(self, variable: tf.Variable) -> tf.Tensor:
        """The rows of a variable, `(count, ...)`; unused slots hold some row of the batch."""
        return tf.convert_to_tensor(variable) if self.whole else tf.gather(variable, self.rows)

    def add(self, variable: tf.Variable, change: tf.Tensor) -> None:
        """Adds `(count, ...)` to the rows of a variable; unused slots must hold zeros."""
        if self.whole:
            variable.assign_add(change)
        else:
            variable.scatter_add(tf.IndexedSlices(change, self.rows))


class RowSlots:
    """Finds the slots of a batch, without a sort: the last look-up of a row is its slot.

    It is found by writing every look-up's place into an integer for each row of the table and
    reading it back, which costs nothing beside the arithmetic, works under XLA with static shapes
    (`tf.unique` does not) and never has to be cleared. 8 bytes a row; no weights.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[tf.Variable, tf.Variable]] = {}

    def find(self, variable: keras.Variable | tf.Variable, rows: tf.Tensor) -> Slots:
        """The slots of the rows that a batch has looked up in a table.

        Args:
            variable: The table, `(rows, ...)`.
            rows: Integer `(n,)`.
        """
        table = variable.value if isinstance(variable, keras.Variable) else variable
        rows = tf.cast(rows, tf.int32)
        size, n = table.shape[0], rows.shape[0]
        if n is not None and size <= WHOLE_BELOW * n:
            hit = tf.scatter_nd(rows[:, None], tf.ones_like(rows), [size])
            return Slots(rows, rows, size, hit > 0, whole=True)
        if _replicas.count() > 1:  # where no variable can be made, and nothing is compiled
            unique, owner = tf.unique(rows)
            used = tf.ones_like(unique, tf.bool)
            return Slots(unique, owner, tf.size(unique), used, whole=False)
        count = tf.shape(rows)[0] if n is None else n
        places, here = self._of(table), tf.range(count)
        places.scatter_update(tf.IndexedSlices(tf.cast(here, tf.int64), rows))
        owner = tf.cast(tf.gather(places, rows), tf.int32)
        return Slots(rows, owner, count, owner == here, whole=False)

    def _of(self, table: tf.Variable) -> tf.Variable:
        if id(table) not in self._places:
            with tf.init_scope():  # 64 bits: TensorFlow keeps variables of int32 off the GPU
                places = tf.Variable(tf.zeros([table.shape[0]], tf.int64), trainable=False)
            self._places[id(table)] = (table, places)
        return self._places[id(table)][1]
