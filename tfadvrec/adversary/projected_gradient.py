"""Several small steps along the gradient, drawn back into the ball."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.magnitude import Magnitude
from tfadvrec.adversary.perturbation import NORMS, Perturbation, direction, project


@keras.saving.register_keras_serializable(package="tfadvrec")
class ProjectedGradient(Perturbation):
    """Several steps along each row's gradient at the perturbed point, projected after each.

    Args:
        epsilon: The radius, in the units of the rows.
        steps: How many steps.
        step_size: The size of a step; `2.5 * epsilon / steps` where None.
        norm: The size of a step is measured in `"l2"` or `"linf"`.
        projection: The set that rows stay in: the ball of `"l2"` or of `"linf"`; `norm`'s own
            where None. `norm="l2", projection="linf"` with `step_size=epsilon / 4` and 25 steps
            is MSAP, whose rows may be `sqrt(width)` times longer than `epsilon`: never compare
            it with the l2 ball at equal `epsilon`.

    Reference: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks,
    ICLR 2018; MSAP: Anelli et al., FLAIRS 2021.
    """

    def __init__(
        self,
        epsilon: float | Magnitude,
        *,
        steps: int = 3,
        step_size: float | None = None,
        norm: str = "l2",
        projection: str | None = None,
    ) -> None:
        super().__init__(epsilon, norm=norm)
        if steps < 1:
            raise ValueError(f"steps must be 1 or more. Received: {steps}")
        if step_size is not None and step_size <= 0:
            raise ValueError(f"step_size must be above 0. Received: {step_size}")
        if projection not in (None, *NORMS):
            raise ValueError(f"projection must be one of {NORMS}. Received: {projection!r}")
        self.steps, self.step_size, self.projection = steps, step_size, projection

    def step(self, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        size = 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size
        moved = delta + size * direction(gradient, self.norm)
        return project(moved, self.epsilon, self.projection or self.norm)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "steps": self.steps,
            "step_size": self.step_size,
            "projection": self.projection,
        }
