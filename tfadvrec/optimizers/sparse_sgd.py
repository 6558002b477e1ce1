"""Stochastic gradient descent on the rows of a batch."""

import keras
import tensorflow as tf

from tfadvrec.optimizers.row_sparse import RowSparse


@keras.saving.register_keras_serializable(package="tfadvrec")
class SparseSGD(RowSparse, keras.optimizers.SGD):
    """`keras.optimizers.SGD` without momentum; look-ups change only their rows.

    The result is that of Keras's SGD for every gradient. Momentum would move untouched rows too,
    so it is not offered.

    Args:
        learning_rate: As in Keras.
        **options: Options of every Keras optimizer, such as `clipnorm`.

    Example:

    >>> import keras, numpy as np, tfadvrec as tar
    >>> layer = keras.layers.Embedding(5, 2, embeddings_initializer="zeros")
    >>> model = keras.Sequential([layer])
    >>> model.compile(tar.optimizers.SparseSGD(0.5), loss=lambda y, x: -keras.ops.sum(x))
    >>> _ = model.fit(np.array([3, 3]), np.zeros(2), verbose=0)
    >>> layer.embeddings.numpy().tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, learning_rate: float = 0.01, *, name: str = "sparse_sgd", **options) -> None:
        for key in ("momentum", "nesterov"):  # in configs of the Keras class
            if options.pop(key, None):
                raise ValueError(f"SparseSGD has no {key}: it would move rows without a gradient.")
        super().__init__(learning_rate=learning_rate, name=name, **options)

    def update_step(self, gradient, variable, learning_rate) -> None:
        """As in Keras; the sum of repeated rows is the addition itself."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rate = tf.cast(learning_rate, variable.dtype)
        change = -rate * tf.cast(gradient.values, variable.dtype)
        variable.scatter_add(tf.IndexedSlices(change, gradient.indices))
