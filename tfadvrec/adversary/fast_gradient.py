"""One step of full size along the gradient."""

import keras
import tensorflow as tf

from tfadvrec.adversary.perturbation import Perturbation, direction


@keras.saving.register_keras_serializable(package="tfadvrec")
class FastGradient(Perturbation):
    """One step of length `epsilon` along each row's gradient.

    Args:
        epsilon: The radius, in the units of the rows.
        norm: `"l2"`: each row moves by `epsilon` along its unit gradient; `"linf"`: each
            coordinate moves by `epsilon` along its sign.

    Example:

    >>> from tfadvrec.adversary import FastGradient
    >>> import numpy as np
    >>> FastGradient(0.5).step(np.zeros((1, 2)), np.array([[3.0, 4.0]])).numpy().round(2).tolist()
    [[0.3, 0.4]]

    Reference: Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015; for
    embedding rows: He et al., Adversarial Personalized Ranking, SIGIR 2018, equation 9.
    """

    def step(self, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return self.epsilon * direction(gradient, self.norm)
