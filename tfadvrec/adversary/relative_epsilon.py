"""A size in shares of the rows' own length."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.adversary.magnitude import Magnitude, Scene, checked


@keras.saving.register_keras_serializable(package="tfadvrec")
class RelativeEpsilon(Magnitude):
    """A share of the mean length of the rows that move, table by table and batch by batch.

    A model that makes its vectors longer makes the adversary longer too, so it cannot escape an
    epsilon by growing. With `norm="linf"` the length is divided by the root of the width, which
    is the typical coordinate.

    Args:
        fraction: The share, 0 or more.

    Example:

    >>> from tfadvrec.adversary import FastGradient, RelativeEpsilon
    >>> FastGradient(RelativeEpsilon(0.3))
    FastGradient(epsilon=RelativeEpsilon(fraction=0.3), norm='l2')
    """

    def __init__(self, fraction: float) -> None:
        if isinstance(fraction, Magnitude):
            raise ValueError(f"fraction must be a number. Received: {fraction!r}")
        self.fraction = checked(fraction)

    def sizes(self, scene: Scene) -> list[tf.Tensor]:
        found = []
        for rows in scene.sets:
            length = tf.sqrt(row_sums(tf.square(tf.cast(rows.values, tf.float32))))
            moving = tf.cast(rows.moving, tf.float32)
            sums = tf.stack([tf.reduce_sum(moving * length), tf.reduce_sum(moving)])
            sums = _replicas.total(sums) if rows.per_example else sums  # tables have them all
            mean = tf.math.divide_no_nan(sums[0], sums[1])
            if scene.norm == "linf":
                mean /= tf.sqrt(tf.cast(tf.shape(rows.values)[1], tf.float32))
            found.append(self.fraction * mean)
        return found

    def get_config(self) -> dict[str, Any]:
        return {"fraction": self.fraction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RelativeEpsilon":
        return cls(**config)
