"""Sizes user by user: a share of a full size that one number a user decides."""

from typing import Any

import tensorflow as tf

from tfadvrec.adversary.magnitude import Magnitude, Scene, checked, sizes_of, stored


class UserEpsilon(Magnitude):
    """All rows of an example move by `epsilon * scale * sigmoid(a - 1)`, with the user's own a.

    Subclasses say what `a` is; it is never negative, so sizes lie between
    `epsilon * scale * sigmoid(-1)` and `epsilon * scale`.

    Args:
        epsilon: The size at `a = 1` where `scale` is 2: a number, or another `Magnitude`.
        scale: The factor (lambda in the literature).
    """

    def __init__(self, epsilon: float | Magnitude, *, scale: float = 2.0) -> None:
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be a finite number above 0. Received: {scale!r}")
        self.epsilon, self.scale = checked(epsilon), float(scale)

    @property
    def counts_epochs(self) -> bool:
        return getattr(self.epsilon, "counts_epochs", False)

    def ratios(self, scene: Scene) -> tf.Tensor:
        """The number `a` of each example, `(examples,)`."""
        raise NotImplementedError

    def sizes(self, scene: Scene) -> list[tf.Tensor]:
        if scene.inputs is None:
            raise ValueError(f"{self!r} needs the examples of a batch, which only training has.")
        share = self.scale * tf.sigmoid(tf.cast(self.ratios(scene), tf.float32) - 1.0)
        full = sizes_of(self.epsilon, scene)
        return [
            tf.cast(size, rows.values.dtype) * scene.spread(share, rows)
            for size, rows in zip(full, scene.sets, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        return {"epsilon": stored(self.epsilon), "scale": self.scale}
