"""Which epoch of `fit` it is, as a variable that a compiled step can read."""

from typing import Any

import keras
import tensorflow as tf


class EpochCount(keras.callbacks.Callback):
    """Keeps the number of the epoch, from 0.

    Attributes:
        now: int64 variable.
    """

    def __init__(self) -> None:
        super().__init__()
        with tf.init_scope():
            self.now = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now.assign(epoch)
