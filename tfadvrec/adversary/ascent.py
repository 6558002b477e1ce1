"""The ascent: from the clean gradient to the moved rows."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.adversary.magnitude import Magnitude, RowSet, Scene
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.adversary.rows import Rows

PLACES = 100_003  # more sets of rows than any model has


def ascend(
    perturbation: Perturbation,
    rows: Sequence[Rows],
    gradients: Sequence[tf.Tensor],
    again: Callable[[], Sequence[tf.Tensor]],
    seed: int | tf.Tensor,
    scene: Scene | None = None,
) -> list[tf.Tensor]:
    """Moves the rows up the loss and leaves them there.

    Args:
        perturbation: How they move.
        rows: What moves. Rows without a gradient stay.
        gradients: The gradient at the clean rows, `(n, width)` each.
        again: Gives the gradients at the rows as they have been moved.
        seed: Keys what the perturbation draws.
        scene: The batch, for sizes that depend on it; without one they know the rows alone.

    Returns:
        The perturbation of each set of rows, `(n, width)`.
    """
    moves = sized(perturbation, rows, gradients, scene)
    if perturbation.steps == 1 and type(perturbation).start is Perturbation.start:
        deltas = [
            _step(move, tf.zeros_like(g), g) for move, g in zip(moves, gradients, strict=True)
        ]
        _shift(rows, deltas)
        return deltas
    touched = [_touched(g) for g in gradients]
    deltas = [
        _started(move, part, gradient, _key(part, seed, i))
        for i, (move, part, gradient) in enumerate(zip(moves, rows, gradients, strict=True))
    ]
    for step in range(perturbation.steps):
        if step:
            _shift(rows, deltas)
            gradients = again()
        deltas = [
            tf.where(mask, _step(move, delta, gradient), 0)
            for move, delta, gradient, mask in zip(moves, deltas, gradients, touched, strict=True)
        ]
    _shift(rows, deltas)
    return deltas


def iterate(
    perturbation: Perturbation,
    rows: Sequence[Rows],
    gradients: Sequence[tf.Tensor],
    again: Callable[[], Sequence[tf.Tensor]],
    seed: int | tf.Tensor,
    scene: Scene | None = None,
) -> list[tf.Tensor]:
    """Moves the rows by power iteration from random directions, and leaves them there.

    Every row may move: the gradients at the clean rows only tell magnitudes which rows count.

    Args:
        perturbation: How they move; it says how far the probing moves go.
        rows: What moves.
        gradients: The gradient at the clean rows, `(n, width)` each.
        again: Gives the divergence's gradients at the rows as they have been moved.
        seed: Keys the random directions.
        scene: The batch, for sizes that depend on it.

    Returns:
        The perturbation of each set of rows, `(n, width)`.
    """
    moves = sized(perturbation, rows, gradients, scene)
    deltas = [
        move.start(part.before, _key(part, seed, i))
        for i, (move, part) in enumerate(zip(moves, rows, strict=True))
    ]
    for _ in range(perturbation.steps):
        _shift(rows, [perturbation.probe * delta for delta in deltas])
        deltas = [
            _step(move, delta, gradient)
            for move, delta, gradient in zip(moves, deltas, again(), strict=True)
        ]
    _shift(rows, deltas)
    return deltas


def sized(
    perturbation: Perturbation,
    rows: Sequence[Rows],
    gradients: Sequence[tf.Tensor],
    scene: Scene | None = None,
) -> list[Perturbation]:
    """The perturbation of each set of rows, with numbers in place of a `Magnitude`."""
    if not isinstance(perturbation.epsilon, Magnitude):
        return [perturbation] * len(rows)
    if scene is None:
        sets = [
            RowSet(str(i), part.before, _touched(g))
            for i, (part, g) in enumerate(zip(rows, gradients, strict=True))
        ]
        scene = Scene(sets, perturbation.norm)
    sizes = perturbation.epsilon.sizes(scene)
    return [
        perturbation.with_size(tf.stop_gradient(tf.cast(size, part.before.dtype)))
        for size, part in zip(sizes, rows, strict=True)
    ]


def _key(part: Rows, seed: int | tf.Tensor, place: int) -> tf.Tensor:
    """What a set of rows is drawn from: examples of other replicas are other examples."""
    return tf.stack([seed, place + (PLACES * _replicas.index() if part.per_example else 0)])


def _started(
    perturbation: Perturbation, part: Rows, gradient: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """The start where the loss has a gradient, as long as it was drawn for the whole row."""
    start = perturbation.start(part.before, seed)
    kept = tf.where(gradient != 0, start, 0)
    if perturbation.norm == "linf":
        return kept
    whole, left = (tf.sqrt(row_sums(tf.square(values))) for values in (start, kept))
    return kept * tf.math.divide_no_nan(whole, left)


def _touched(gradient: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(gradient != 0, axis=-1, keepdims=True)


def _step(perturbation: Perturbation, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    return tf.stop_gradient(perturbation.step(delta, gradient))


def _shift(rows: Sequence[Rows], deltas: Sequence[tf.Tensor]) -> None:
    for part, delta in zip(rows, deltas, strict=True):
        part.shift(delta)
