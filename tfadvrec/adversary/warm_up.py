"""A size that grows with the progress of the training."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.magnitude import Magnitude, Scene, checked, sizes_of, stored


@keras.saving.register_keras_serializable(package="tfadvrec")
class WarmUp(Magnitude):
    """Grows in equal steps from nothing to a full size, after a delay.

    After n counted units the size is `min(1, max(0, (n + 1 - after) / over))` of the full one.
    A size of 0 is not plain training: the loss then counts `1 + weight` times.

    Args:
        epsilon: The full size: a number, or another `Magnitude`.
        over: How many units the growth takes, 1 or more; 1 is a jump.
        after: How many units pass before it.
        unit: `"step"`: updates as the optimizer counts them; `"epoch"`: epochs as `fit` does.

    Example:

    >>> from tfadvrec.adversary import FastGradient, RelativeEpsilon, WarmUp
    >>> robust = FastGradient(WarmUp(RelativeEpsilon(0.3), over=10, unit="epoch"))
    """

    def __init__(
        self, epsilon: float | Magnitude, *, over: int, after: int = 0, unit: str = "step"
    ) -> None:
        if over < 1 or after < 0 or unit not in ("step", "epoch"):
            raise ValueError(
                'over must be 1 or more, after 0 or more and unit "step" or "epoch". Received: '
                f"over={over!r}, after={after!r}, unit={unit!r}"
            )
        self.epsilon, self.over, self.after, self.unit = checked(epsilon), over, after, unit

    @property
    def counts_epochs(self) -> bool:
        return self.unit == "epoch" or getattr(self.epsilon, "counts_epochs", False)

    def sizes(self, scene: Scene) -> list[Any]:
        count = scene.step if self.unit == "step" else scene.epoch
        if count is None:
            raise ValueError(f"{self!r} counts {self.unit}s, which only training has.")
        grown = (tf.cast(count, tf.float32) + 1.0 - self.after) / self.over
        share = tf.clip_by_value(grown, 0.0, 1.0)
        return [share * tf.cast(size, tf.float32) for size in sizes_of(self.epsilon, scene)]

    def get_config(self) -> dict[str, Any]:
        return {
            "epsilon": stored(self.epsilon),
            "over": self.over,
            "after": self.after,
            "unit": self.unit,
        }
