"""How an adversary moves: what every perturbation can do."""

import copy
from typing import Any, Self

import tensorflow as tf

from tfadvrec._row_sums import row_sums
from tfadvrec.adversary.magnitude import Magnitude, checked, restored, stored

NORMS = ("l2", "linf")
FLOOR = 1e-12


class Perturbation:
    """Moves rows to raise a loss, each row within `epsilon`.

    A row is what has a length of its own: a table's row, an example of an input, or a whole
    weight matrix. `start` and `step` are pure and act row by row, so the same object serves
    training, attack and report, for dense rows and for the touched rows of a table alike.

    Args:
        epsilon: The radius, in the units of the rows, 0 or more; or a `Magnitude`, which gives
            each batch's rows their radii.
        norm: `"l2"` bounds a row's length, `"linf"` each coordinate.

    Attributes:
        steps: How many gradients the perturbation asks for.
        averaged: Whether training takes the mean over the points of the way, not the last alone.
        divergence: What training minimises at the moved point in place of the loss; None for
            the loss.
    """

    steps: int = 1
    averaged: bool = False
    divergence: str | None = None

    def __init__(self, epsilon: float | Magnitude, *, norm: str = "l2") -> None:
        epsilon = checked(epsilon)
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {NORMS}. Received: {norm!r}")
        self.epsilon, self.norm = epsilon, norm

    def start(self, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The perturbation before the first step.

        Args:
            rows: `(n, width)`, the rows to be moved.
            seed: int32 `(2,)`, for perturbations that draw.

        Returns:
            `(n, width)`.
        """
        return tf.zeros_like(rows)

    def step(self, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """One step up the loss.

        Args:
            delta: `(n, width)`, the perturbation so far.
            gradient: `(n, width)`, the loss's gradient at `rows + delta`. From a zero
                perturbation, a row with a zero gradient must not move.

        Returns:
            The next perturbation, `(n, width)`.
        """
        raise NotImplementedError

    def with_size(self, epsilon: tf.Tensor) -> Self:
        """The same perturbation with a radius for each row, `(n, 1)`, or a scalar tensor."""
        sized = copy.copy(self)
        sized.epsilon = epsilon
        return sized

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain JSON."""
        return {"epsilon": stored(self.epsilon), "norm": self.norm}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Perturbation":
        """The perturbation that `get_config` describes."""
        return cls(**{**config, "epsilon": restored(config["epsilon"])})

    def __repr__(self) -> str:
        config = {**self.get_config(), "epsilon": self.epsilon}
        settings = ", ".join(f"{key}={value!r}" for key, value in config.items())
        return f"{type(self).__name__}({settings})"


def direction(gradient: tf.Tensor, norm: str) -> tf.Tensor:
    """The steepest move of unit size: each row's unit vector (l2) or its signs (linf).

    Rows shorter than `FLOOR` move in proportion to their length, a zero gradient not at all.
    """
    if norm == "linf":
        return tf.sign(gradient)
    wide = tf.cast(gradient, tf.float32)
    length = tf.sqrt(row_sums(tf.square(wide)))
    return tf.cast(wide * (1.0 / tf.maximum(length, FLOOR)), gradient.dtype)


def project(delta: tf.Tensor, epsilon: float, norm: str) -> tf.Tensor:
    """The nearest perturbation whose rows lie within `epsilon`."""
    if norm == "linf":
        return tf.clip_by_value(delta, -epsilon, epsilon)
    length = tf.sqrt(row_sums(tf.square(delta)))
    return delta * tf.minimum(1.0, epsilon / tf.maximum(length, FLOOR))
