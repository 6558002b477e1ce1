"""The control: a move of the same size in no particular direction."""

import keras
import tensorflow as tf

from tfadvrec.adversary.perturbation import Perturbation, direction


@keras.saving.register_keras_serializable(package="tfadvrec")
class RandomNoise(Perturbation):
    """A random move of size `epsilon` a row: what an attack must hurt more than.

    Args:
        epsilon: The radius, in the units of the rows.
        norm: `"l2"`: a direction drawn uniformly, of length `epsilon`; `"linf"`: each
            coordinate moves by `epsilon` with a random sign.
    """

    steps = 0

    def start(self, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_normal(tf.shape(rows), seed, dtype=rows.dtype, alg="philox")
        return self.epsilon * direction(drawn, self.norm)

    def step(self, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return delta
