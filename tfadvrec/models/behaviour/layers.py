"""Networks of a behaviour generator, with their weights made at once."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class Stack(keras.layers.Layer):
    """Hidden layers whose outputs are appended to their inputs, and a linear output.

    Args:
        inputs: Width of the input.
        widths: Widths of the hidden layers.
        out: Width of the output.
        seed: Seed of the initial values.
        name: The layer's name.
        zero: Whether the output starts at 0, so that what is added to it speaks first.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        out: int,
        *,
        seed: int,
        name: str,
        zero: bool = False,
    ) -> None:
        super().__init__(name=name)
        self.hidden = []
        for depth, width in enumerate(widths):
            self.hidden.append(_dense(inputs, width, 100 * seed + depth, f"{name}_hidden_{depth}"))
            inputs += width
        self.out = _dense(inputs, out, 100 * seed + 99, f"{name}_out", zero=zero)
        self.built = True

    def call(self, values: tf.Tensor) -> tf.Tensor:
        for layer in self.hidden:
            values = tf.concat([tf.nn.leaky_relu(layer(values), 0.2), values], axis=-1)
        return self.out(values)


def _dense(
    inputs: int, width: int, seed: int, name: str, *, zero: bool = False
) -> keras.layers.Dense:
    start = "zeros" if zero else keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(width, kernel_initializer=start, name=name)
    layer.build((None, inputs))
    return layer
