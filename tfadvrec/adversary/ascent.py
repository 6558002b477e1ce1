"""The ascent: from the clean gradient to the moved rows."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.adversary.rows import Rows


def ascend(
    perturbation: Perturbation,
    rows: Sequence[Rows],
    gradients: Sequence[tf.Tensor],
    again: Callable[[], Sequence[tf.Tensor]],
    seed: int | tf.Tensor,
) -> list[tf.Tensor]:
    """Moves the rows up the loss and leaves them there.

    Args:
        perturbation: How they move.
        rows: What moves. Rows without a gradient stay.
        gradients: The gradient at the clean rows, `(n, width)` each.
        again: Gives the gradients at the rows as they have been moved.
        seed: Keys what the perturbation draws.

    Returns:
        The perturbation of each set of rows, `(n, width)`.
    """
    if perturbation.steps == 1 and type(perturbation).start is Perturbation.start:
        deltas = [_step(perturbation, tf.zeros_like(g), g) for g in gradients]
        _shift(rows, deltas)
        return deltas
    touched = [tf.reduce_any(g != 0, axis=-1, keepdims=True) for g in gradients]
    deltas = [
        tf.where(mask, perturbation.start(part.before, tf.stack([seed, i])), 0)
        for i, (part, mask) in enumerate(zip(rows, touched, strict=True))
    ]
    for step in range(perturbation.steps):
        if step:
            _shift(rows, deltas)
            gradients = again()
        deltas = [
            tf.where(mask, _step(perturbation, delta, gradient), 0)
            for delta, gradient, mask in zip(deltas, gradients, touched, strict=True)
        ]
    _shift(rows, deltas)
    return deltas


def _step(perturbation: Perturbation, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    return tf.stop_gradient(perturbation.step(delta, gradient))


def _shift(rows: Sequence[Rows], deltas: Sequence[tf.Tensor]) -> None:
    for part, delta in zip(rows, deltas, strict=True):
        part.shift(delta)
