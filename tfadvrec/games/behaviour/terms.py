"""What the generator of behaviour minimises beside the critic's verdict."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.games import noise
from tfadvrec.models.behaviour.column_spec import EVENT, USER
from tfadvrec.models.behaviour.heads import surprise


def columns_surprise(
    model: Any,
    taste: tf.Tensor,
    given: tf.Tensor,
    users: tf.Tensor,
    items: tf.Tensor,
    events: tf.Tensor,
    uniform: tf.Tensor,
) -> tf.Tensor:
    """Minus the log-likelihood of real columns, each given the true ones before it.

    Args:
        model: The generator.
        taste: `(b, taste_dimension)`.
        given: Conditions `(b, condition_width)`.
        users: Encoded user columns.
        items: Vectors of the items.
        events: Encoded event columns.
        uniform: `(b, 2 * event_noise)` in (0, 1).

    Returns:
        `(b,)`.
    """
    raw = model.raw(USER, model.user_context(taste, given), users)
    raw += model.raw(EVENT, model.event_context(taste, users, items, given, uniform), events)
    known = [*_split(model.user_columns, users), *_split(model.event_columns, events)]
    total = tf.zeros_like(taste[:, 0])
    for spec, output, value in zip(model.columns, raw, known, strict=True):
        total += surprise(spec, output, value)
    return total


def items_surprise(logits: tf.Tensor, items: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Minus the mean log-likelihood of users' items, a scalar.

    Args:
        logits: `(b, n_items)`.
        items: int `(b, draws)`, some of each user's.
        weight: `(b, draws)`, how much each counts.
    """
    found = tf.gather(tf.nn.log_softmax(logits), items, batch_dims=1)
    return -tf.reduce_sum(weight * found) / tf.maximum(tf.reduce_sum(weight), 1.0)


def chosen(logits: tf.Tensor, choice: tf.Tensor, about: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the rows that a column's condition is about, 0 for others, `(b,)`.

    Args:
        logits: `(b, choices)`.
        choice: int `(b,)`; may be out of range where `about` is false.
        about: bool `(b,)`.
    """
    row = tf.where(about, choice, 0)
    picked = tf.gather(tf.nn.log_softmax(logits), row, batch_dims=1)
    return tf.where(about, -picked, 0.0)


def second_moments(taste: np.ndarray, deviation: float) -> np.ndarray:
    """Mean products of real tastes' coordinates, a 1 among them, `(d + 1, d + 1)`.

    Args:
        taste: `(..., d)`.
        deviation: Of the noise that is added to them.
    """
    taste = taste.reshape(-1, taste.shape[-1])
    both = np.concatenate([taste, np.ones((len(taste), 1), taste.dtype)], axis=1)
    found = both.T @ both / len(both)
    return (found + deviation**2 * np.diag([1.0] * taste.shape[1] + [0.0])).astype(np.float32)


def moment_distance(taste: tf.Tensor, weight: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Squared distance of generated means and products from real ones, a scalar.

    The two halves of the batch are multiplied instead of squaring all of it, which would charge
    for the spread of a small sample and so shrink what is generated; it can be negative.

    Args:
        taste: `(b, d)`.
        weight: `(b,)`, 0 or 1: which rows count.
        wanted: From `second_moments`.
    """
    both = tf.concat([taste, tf.ones_like(taste[:, :1])], axis=1)
    off = []
    for half in (0, 1):
        rows, counts = both[half::2], weight[half::2]
        total = tf.maximum(tf.reduce_sum(counts), 1.0)
        off.append(tf.matmul(rows * counts[:, None] / total, rows, transpose_a=True) - wanted)
    return tf.reduce_sum(off[0] * off[1]) / tf.cast(tf.shape(taste)[1], tf.float32)


def mean_distance(first: tf.Tensor, second: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Squared distance of conditional means, plus what real tastes vary under their conditions.

    Two independent samples for each row's condition make the product's expectation that of the
    square of the difference of means, however few rows share a condition.

    Args:
        first: Tastes generated for each row's condition, `(b, d)`.
        second: Others, from other noise.
        real: The rows' real tastes.
    """
    return tf.reduce_mean((first - real) * (second - real))


def rows_of(values: tf.Tensor) -> Any:
    """How many rows, as a number where it is known: XLA wants to know."""
    return values.shape[0] or tf.shape(values)[0]


def uniform(seed: tf.Tensor, rows: Any, width: int) -> tf.Tensor:
    """Numbers in (0, 1), never so near to an end that a double logarithm overflows."""
    return tf.clip_by_value(noise.uniform_batch(seed, [rows, width]), 1e-7, 1.0 - 1e-6)


def _split(columns: list[Any], encoded: tf.Tensor) -> list[tf.Tensor]:
    return tf.split(encoded, [c.width for c in columns], axis=1) if columns else []
