"""Adagrad on the rows of a batch."""

import keras
import tensorflow as tf

from tfadvrec.optimizers.row_slots import Slots
from tfadvrec.optimizers.row_sparse import RowSparse


@keras.saving.register_keras_serializable(package="tfadvrec")
class SparseAdagrad(RowSparse, keras.optimizers.Adagrad):
    """`keras.optimizers.Adagrad`; look-ups change only their rows.

    The result is that of Keras's Adagrad with a dense gradient: a row without a gradient keeps its
    value and its accumulator there too. (Keras's Adagrad with the *sparse* gradient of a batch
    with repeated rows squares the occurrences one by one, which is another, wrong, rule.)

    Args: as `keras.optimizers.Adagrad`.

    Example:

    >>> import keras, numpy as np, tfadvrec as tar
    >>> layer = keras.layers.Embedding(5, 2, embeddings_initializer="zeros")
    >>> model = keras.Sequential([layer])
    >>> optimizer = tar.optimizers.SparseAdagrad(1.0, initial_accumulator_value=0.0)
    >>> model.compile(optimizer, loss=lambda y, x: -keras.ops.sum(x))
    >>> _ = model.fit(np.array([3, 3, 1]), np.zeros(3), verbose=0)
    >>> layer.embeddings.numpy().round(3).tolist()
    [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]

    Reference: Duchi, Hazan and Singer, Adaptive Subgradient Methods, JMLR 2011.
    """

    def update_rows(
        self, variable: tf.Variable, slots: Slots, total: tf.Tensor, learning_rate: tf.Tensor
    ) -> None:
        accumulator = self._accumulators[self._get_variable_index(variable)].value
        slots.add(accumulator, tf.square(total))
        squares = slots.read(accumulator)
        slots.add(variable, -learning_rate * total / tf.sqrt(squares + self.epsilon))
