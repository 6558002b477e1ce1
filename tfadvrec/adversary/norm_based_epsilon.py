"""Larger sizes for users whose vectors are long."""

import re
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.adversary.magnitude import Magnitude, Scene
from tfadvrec.adversary.user_epsilon import UserEpsilon


@keras.saving.register_keras_serializable(package="tfadvrec")
class NormBasedEpsilon(UserEpsilon):
    """Personalised by length: a user with a long vector moves further than one with a short one.

    With user u's vector e, `a = |e|^2 / mean over examples(|e|^2)`, and all vectors of u's
    examples move by `epsilon * scale * sigmoid(a - 1)`. For targets that belong to examples:
    `outputs_of(...)`.

    Args:
        epsilon: The size of a user of mean length, at `scale=2`; a number or a `Magnitude`.
        scale: The factor; sizes are below `scale * epsilon`.
        user: A regular expression that the path of the attacked layers that give the users'
            vectors contains. Where only one output is attacked, it is that one.

    Reference: Zhang et al., Understanding and Improving Adversarial Collaborative Filtering for
    Robust Recommendation, NeurIPS 2024.
    """

    def __init__(
        self, epsilon: float | Magnitude, *, scale: float = 2.0, user: str = "user"
    ) -> None:
        super().__init__(epsilon, scale=scale)
        self.user = user

    def ratios(self, scene: Scene) -> tf.Tensor:
        chosen = [rows for rows in scene.sets if re.search(self.user, rows.name)]
        chosen = chosen or (list(scene.sets) if len(scene.sets) == 1 else [])
        if len(chosen) != 1:
            names = [rows.name for rows in scene.sets]
            raise ValueError(
                f"NormBasedEpsilon needs one attacked output that holds the users' vectors; "
                f"{self.user!r} names {len(chosen)} of {names}. Give user=, a regular expression."
            )
        (rows,) = chosen
        squares = row_sums(tf.square(tf.cast(rows.values, tf.float32)))[:, 0]
        if not rows.per_example:
            return scene.spread(squares, rows)[:, 0]  # which says why it cannot
        squares = tf.reduce_mean(tf.reshape(squares, [scene.examples, -1]), axis=1)
        return tf.math.divide_no_nan(squares, tf.reduce_mean(_replicas.gathered(squares)[0]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "user": self.user}
