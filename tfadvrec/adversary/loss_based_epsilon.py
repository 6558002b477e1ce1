"""Larger sizes for users that the model fits well."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.adversary.magnitude import Magnitude, Scene
from tfadvrec.adversary.user_epsilon import UserEpsilon


@keras.saving.register_keras_serializable(package="tfadvrec")
class LossBasedEpsilon(UserEpsilon):
    """Vulnerability-aware: a user of small loss moves further than one of large loss.

    With the loss of user u summed over the batch, `a = mean over users(loss) / loss(u)`, and all
    vectors of u's examples move by `epsilon * scale * sigmoid(a - 1)`. For targets that belong
    to examples: `outputs_of(...)`, `input_features()`.

    Args:
        epsilon: The size of a user whose loss is the mean, at `scale=2`; a number or a
            `Magnitude`.
        scale: The factor; sizes are below `scale * epsilon`.
        user: Name of the input that says whose an example is; None makes each its own.

    Reference: Zhang et al., Improving the Shortest Plank: Vulnerability-Aware Adversarial
    Training for Robust Recommender System, RecSys 2024.
    """

    def __init__(
        self, epsilon: float | Magnitude, *, scale: float = 2.0, user: str | None = "user_id"
    ) -> None:
        super().__init__(epsilon, scale=scale)
        self.user = user

    def ratios(self, scene: Scene) -> tf.Tensor:
        here = tf.cast(scene.losses(), tf.float32)
        losses, first = _replicas.gathered(here)
        if self.user is None:
            return tf.reduce_mean(losses) / (here + 1e-9)
        if not isinstance(scene.inputs, Mapping) or self.user not in scene.inputs:
            raise ValueError(
                f"LossBasedEpsilon needs an input {self.user!r} that says whose an example is. "
                "Give the name of that input, or user=None where each example is its own."
            )
        users = _replicas.gathered(tf.reshape(scene.inputs[self.user], [-1]))[0]
        group, count = _groups(users)
        sums = tf.math.unsorted_segment_sum(losses, group, tf.shape(users)[0])
        mean = tf.reduce_sum(losses) / tf.cast(count, tf.float32)
        ratios = mean / (tf.gather(sums, group) + 1e-9)
        return ratios if _replicas.count() == 1 else ratios[first : first + tf.shape(here)[0]]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "user": self.user}


def _groups(users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A number from 0 for each distinct user, as each example has it, and how many there are."""
    order = tf.argsort(users)
    ordered = tf.gather(users, order)
    new = tf.cast(tf.concat([[False], ordered[1:] != ordered[:-1]], 0), tf.int32)
    number = tf.cumsum(new)
    back = tf.math.invert_permutation(order)
    return tf.gather(number, back), number[-1] + 1
