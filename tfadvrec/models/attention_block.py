"""One block of a transformer: attention to what came before, then a perceptron."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops


class AttentionBlock(keras.layers.Layer):
    """Adds to each event what it finds among those before it, then what a perceptron makes of it.

    x + D(attention(N(x))), then y + D(perceptron(N(y))), where N normalises a vector and D drops
    out. An event attends to itself and to those before it; padding is attended to by none.

    Args:
        dimension: Width of the vectors.
        heads: Attention heads; they share the width out.
        dropout: Share that training drops.
        seed: Seed of initial values and dropout, or None.
        name: Name of the layer.

    Reference: Kang, McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section III-B.
    """

    def __init__(
        self,
        *,
        dimension: int,
        heads: int,
        dropout: float,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.dimension, self.seed = dimension, seed
        self.normalize = [
            keras.layers.LayerNormalization(epsilon=1e-8, name=f"norm_{part}")
            for part in ("attention", "perceptron")
        ]
        self.attention = keras.layers.MultiHeadAttention(
            heads, dimension // heads, dropout=dropout, seed=seed, name="attention"
        )
        self.inner = keras.layers.Dense(
            dimension, "relu", kernel_initializer=self._start(4), name="inner"
        )
        self.outer = keras.layers.Dense(dimension, kernel_initializer=self._start(5), name="outer")
        self.drops = [
            keras.layers.Dropout(dropout, seed=self._seed(6 + place), name=f"drop_{place}")
            for place in range(3)
        ]

    def _seed(self, number: int) -> int | None:
        return None if self.seed is None else 16 * self.seed + number

    def _start(self, number: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=self._seed(number))

    def build(self, shape: Any) -> None:
        """Makes all variables."""
        self.attention.build(shape, shape, shape)
        # of one seed Keras starts queries, keys and values alike, and as kernels of convolutions
        kernels = [weight for weight in self.attention.weights if weight.path.endswith("kernel")]
        for number, kernel in enumerate(kernels):
            square = self._start(number)((self.dimension, int(np.prod(kernel.shape[1:]))))
            if number == 3:  # from the heads back
                square = self._start(number)((int(np.prod(kernel.shape[:-1])), self.dimension))
            kernel.assign(ops.reshape(square, kernel.shape))
        for layer in (*self.normalize, self.inner, self.outer, *self.drops):
            layer.build(shape)
        self.built = True

    def call(self, values: tf.Tensor, mask: tf.Tensor, training: bool | None = None) -> Any:
        """Reads events.

        Args:
            values: `(batch, length, dimension)`.
            mask: bool `(batch, length, length)`: whether event i reads event j.
            training: Whether dropout is on.

        Returns:
            `(batch, length, dimension)`.
        """
        normal = self.normalize[0](values)
        read = self.attention(normal, normal, attention_mask=mask, training=training)
        values = values + self.drops[0](read, training=training)
        inner = self.drops[1](self.inner(self.normalize[1](values)), training=training)
        return values + self.drops[2](self.outer(inner), training=training)
