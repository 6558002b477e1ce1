"""What every row-sparse optimizer does with the gradient of a look-up."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfadvrec.optimizers.row_slots import RowSlots, Slots


class RowSparse:
    """Mixed into a Keras optimizer: gradients of look-ups change only the rows looked up.

    A `tf.IndexedSlices` gradient has its repeated rows summed and goes to the subclass's
    `update_rows`, in time and memory of the batch, not of the table; any other gradient follows
    the Keras optimizer's own rule. It works in plain `fit`, under XLA and inside compiled blocks
    alike.

    What Keras itself does to whole variables stays as it is and costs a sweep of the table:
    `weight_decay`, `use_ema` and `gradient_accumulation_steps` (whose sums are dense, so that the
    dense rule applies). `clipnorm` and `global_clipnorm` see summed rows.
    """

    _row_slots: RowSlots | None = None

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """As in Keras; rows are summed before anything is clipped."""
        clips = (self.clipnorm, self.clipvalue, self.global_clipnorm)
        if any(clip is not None for clip in clips):
            known = self._trainable_variables if self.built else ()
            trainable_variables = list(
                known if trainable_variables is None else trainable_variables
            )
            grads = [
                self._merged(g, v) if isinstance(g, tf.IndexedSlices) else g
                for g, v in zip(grads, trainable_variables, strict=True)
            ]
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As in Keras; a sparse gradient updates its rows alone."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        slots = self._slots().find(variable, gradient.indices)
        total = slots.total(tf.cast(gradient.values, variable.dtype))
        rate = tf.cast(learning_rate, variable.dtype)
        self.update_rows(variable, slots, total, rate)

    def update_rows(
        self, variable: tf.Variable, slots: Slots, total: tf.Tensor, learning_rate: tf.Tensor
    ) -> None:
        """Updates the rows that a batch has looked up.

        Args:
            variable: The table.
            slots: Which rows.
            total: `(slots.count, ...)`, the gradient of each row; zero in unused slots.
            learning_rate: A scalar of the table's dtype.
        """
        raise NotImplementedError

    def _merged(self, gradient: tf.IndexedSlices, variable: Any) -> tf.IndexedSlices | tf.Tensor:
        slots = self._slots().find(variable, gradient.indices)
        total = slots.total(gradient.values)
        if slots.whole:
            rows = tf.range(slots.count)
            return tf.IndexedSlices(total, rows, gradient.dense_shape)
        return tf.IndexedSlices(total, slots.rows, gradient.dense_shape)

    def _slots(self) -> RowSlots:
        if self._row_slots is None:
            self._row_slots = RowSlots()
        return self._row_slots
