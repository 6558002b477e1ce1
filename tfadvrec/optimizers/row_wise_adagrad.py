"""Adagrad with one accumulator for each row of a table."""

import re
from typing import Any

import keras
import tensorflow as tf

from tfadvrec._row_sums import row_sums
from tfadvrec.optimizers.row_slots import Slots
from tfadvrec.optimizers.row_sparse import RowSparse


@keras.saving.register_keras_serializable(package="tfadvrec")
class RowWiseAdagrad(RowSparse, keras.optimizers.Adagrad):
    """Adagrad whose tables accumulate the *mean* squared gradient of a row, one number a row.

    Memory for a table's state falls from `(rows, width)` to `(rows,)`, and a step is cheaper.
    Other variables follow Keras's Adagrad.

    Args:
        learning_rate: As in Keras.
        tables: A regular expression; a matrix whose path contains it is a table. The default is
            the name that Keras's `Embedding` gives its matrix.
        **options: As `keras.optimizers.Adagrad`.

    Reference: the row-wise Adagrad of DLRM's embedding operators, Mudigere et al.,
    Software-Hardware Co-design for Fast and Scalable Training of Deep Learning Recommendation
    Models, ISCA 2022, section 4.1.4.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        tables: str = "embeddings$",
        name: str = "row_wise_adagrad",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.tables = tables

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the accumulators: `(rows, 1)` for a table, the variable's shape otherwise."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        start = keras.initializers.Constant(self.initial_accumulator_value)
        self._accumulators = [
            self.add_variable(
                shape=self._state_shape(v),
                initializer=start,
                dtype=v.dtype,
                name=f"{v.path.replace('/', '_')}_accumulator",
            )
            for v in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As in Keras; a table's dense gradient is accumulated by row too."""
        accumulator = self._accumulators[self._get_variable_index(variable)].value
        if isinstance(gradient, tf.IndexedSlices) or accumulator.shape == variable.shape:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient, rate = (tf.cast(part, variable.dtype) for part in (gradient, learning_rate))
        accumulator.assign_add(row_sums(tf.square(gradient)) / variable.shape[1])
        variable.assign_sub(rate * gradient * tf.math.rsqrt(accumulator + self.epsilon))

    def update_rows(
        self, variable: tf.Variable, slots: Slots, total: tf.Tensor, learning_rate: tf.Tensor
    ) -> None:
        accumulator = self._accumulators[self._get_variable_index(variable)].value
        squares = tf.square(total)
        if accumulator.shape != variable.shape:
            squares = row_sums(squares) / variable.shape[1]
        slots.add(accumulator, squares)
        scale = tf.math.rsqrt(slots.read(accumulator) + self.epsilon)
        slots.add(variable, -learning_rate * total * scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tables": self.tables}

    def _state_shape(self, variable: keras.Variable) -> tuple[int, ...]:
        table = len(variable.shape) == 2 and re.search(self.tables, variable.path)
        return (variable.shape[0], 1) if table else tuple(variable.shape)
