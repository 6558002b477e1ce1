"""Whose epoch it is, as a variable that a compiled step can read."""

from typing import Any

import keras
import tensorflow as tf


class HardnessTurns(keras.callbacks.Callback):
    """Gives an adversary every `interval`-th epoch, at most so many of them.

    Epochs are counted over all calls of `fit`.

    Args:
        interval: Every how many epochs the adversary has its turn.
        most: How many turns it has.

    Attributes:
        adversary: bool variable; False outside epochs.
    """

    def __init__(self, interval: int, most: int) -> None:
        super().__init__()
        self.interval, self.most, self.epochs = interval, most, 0
        with tf.init_scope():
            self.adversary = tf.Variable(False, dtype=tf.bool, trainable=False)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1
        turn, rest = divmod(self.epochs, self.interval)
        self.adversary.assign(rest == 0 and turn <= self.most)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.adversary.assign(False)
