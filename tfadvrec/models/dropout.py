"""Dropout whose masks are cheap to draw in compiled blocks too."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfadvrec")
class Dropout(keras.layers.Dropout):
    """Keras's dropout with masks of the Philox generator.

    Under XLA on a CPU TensorFlow's default generator draws numbers one by one, which makes a step
    with dropout many times slower than the same without. Philox is fast everywhere and gives the
    same bits compiled and uncompiled, so that blocks of batches drop what plain batches drop.

    Args: as for `keras.layers.Dropout`; `noise_shape` stays None.

    Example:

    >>> import numpy as np
    >>> layer = Dropout(0.5, seed=0)
    >>> kept = layer(np.ones((1, 1000)), training=True).numpy()
    >>> sorted(set(kept[0].tolist())), bool(450 < (kept > 0).sum() < 550)
    ([0.0, 2.0], True)
    """

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        if not training or not self.rate:
            return inputs
        bits = tf.random.stateless_uniform(
            tf.shape(inputs),
            seed=tf.cast(self.seed_generator.next(), tf.int64),
            minval=None,
            maxval=None,
            dtype=tf.uint32,  # XLA makes other floating-point numbers of the same bits
            alg="philox",
        )
        kept = tf.cast(bits >= tf.constant(int(self.rate * 2**32), tf.uint32), inputs.dtype)
        return inputs * kept / (1.0 - self.rate)
