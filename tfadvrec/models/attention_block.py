"""One block of a transformer: attention to what came before, then a perceptron."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfadvrec.models.dropout import Dropout

MASKED = -1e9


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
        self.dimension, self.heads, self.seed = dimension, heads, seed
        self.normalize = [
            keras.layers.LayerNormalization(epsilon=1e-8, name=f"norm_{part}")
            for part in ("attention", "perceptron")
        ]
        self.query, self.key, self.value, self.mix, self.inner, self.outer = (
            keras.layers.Dense(
                dimension,
                "relu" if name == "inner" else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=self._seed(number)),
                name=name,
            )
            for number, name in enumerate(("query", "key", "value", "mix", "inner", "outer"))
        )
        self.drops = [
            Dropout(dropout, seed=self._seed(6 + place), name=f"drop_{place}") for place in range(4)
        ]

    def _seed(self, number: int) -> int | None:
        return None if self.seed is None else 16 * self.seed + number

    def build(self, shape: Any) -> None:
        """Makes all variables."""
        dense = (self.query, self.key, self.value, self.mix, self.inner, self.outer)
        for layer in (*self.normalize, *dense, *self.drops):
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
        read = self._read(self.normalize[0](values), mask, training)
        values = values + self.drops[0](read, training=training)
        inner = self.drops[1](self.inner(self.normalize[1](values)), training=training)
        return values + self.drops[2](self.outer(inner), training=training)

    def _read(self, values: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """What each event finds: `(batch, length, dimension)`."""
        query, key, value = (
            self._by_head(layer(values)) for layer in (self.query, self.key, self.value)
        )
        width = self.dimension // self.heads
        logits = ops.matmul(query, ops.swapaxes(key, -1, -2)) * width**-0.5
        logits = ops.where(mask[:, None], ops.cast(logits, "float32"), MASKED)
        shares = ops.cast(ops.softmax(logits, axis=-1), value.dtype)
        found = ops.matmul(self.drops[3](shares, training=training), value)
        together = ops.reshape(ops.swapaxes(found, 1, 2), [-1, *values.shape[1:]])
        return self.mix(together)

    def _by_head(self, vectors: tf.Tensor) -> tf.Tensor:
        """`(batch, length, dimension)` as `(batch, heads, length, dimension / heads)`."""
        shape = [-1, vectors.shape[1], self.heads, self.dimension // self.heads]
        return ops.swapaxes(ops.reshape(vectors, shape), 1, 2)
