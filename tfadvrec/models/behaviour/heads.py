"""From a head's raw output to a sampled value, and back to how likely a value was."""

import math

import tensorflow as tf

from tfadvrec.models.behaviour.column_spec import CATEGORY, ColumnSpec

FORBIDDEN = -1e9
_EDGE = 0.999


def raw_width(spec: ColumnSpec) -> int:
    """Numbers of a head: a logit a choice, and for a number the place's mean and spread too."""
    return spec.choices + (0 if spec.kind == CATEGORY else 2)


def random_width(spec: ColumnSpec) -> int:
    """Uniform numbers that sampling takes."""
    return raw_width(spec)


def gumbel(uniform: tf.Tensor) -> tf.Tensor:
    """Gumbel noise from uniform numbers in (0, 1)."""
    return -tf.math.log(-tf.math.log(uniform))


def gaussian(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers from two uniform ones each (Box and Muller)."""
    return tf.sqrt(-2.0 * tf.math.log(first)) * tf.cos(2.0 * math.pi * second)


def normals(uniform: tf.Tensor) -> tf.Tensor:
    """`(b, 2 n)` uniform numbers as `(b, n)` standard normal ones."""
    first, second = tf.split(uniform, 2, axis=-1)
    return gaussian(first, second)


def relaxed(
    logits: tf.Tensor, uniform: tf.Tensor, *, temperature: float, hard: bool, through: bool
) -> tf.Tensor:
    """A sample of each row's categories: Gumbel-softmax, or one-hot.

    Args:
        logits: `(b, k)`.
        uniform: `(b, k)` in (0, 1).
        temperature: Of the softmax.
        hard: Whether the sample is one-hot.
        through: Whether a one-hot sample has the gradient of the soft one.

    Returns:
        `(b, k)`, rows of sum 1.

    Reference: Jang, Gu, Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017.
    """
    disturbed = logits + gumbel(uniform)
    soft = tf.nn.softmax(disturbed / temperature)
    if not hard and not through:
        return soft
    one = tf.one_hot(tf.argmax(disturbed, axis=-1), logits.shape[-1], dtype=soft.dtype)
    return soft + tf.stop_gradient(one - soft) if through else one


def sample(
    spec: ColumnSpec,
    raw: tf.Tensor,
    uniform: tf.Tensor,
    *,
    temperature: float,
    hard: bool = False,
    through: bool = False,
) -> tf.Tensor:
    """An encoded value of each row, differentiable in `raw` unless it is hard alone.

    Args:
        spec: The column.
        raw: `(b, raw_width)`.
        uniform: `(b, random_width)`.
        temperature: Of the Gumbel-softmax.
        hard: Whether categories and modes are one-hot.
        through: Whether they are one-hot forward and soft backward (straight through).

    Returns:
        `(b, spec.width)`, as `ColumnSpec.encode` gives it.
    """
    k = spec.choices
    chosen = relaxed(
        raw[:, :k], uniform[:, :k], temperature=temperature, hard=hard, through=through
    )
    if spec.kind == CATEGORY:
        return chosen
    noise = gaussian(uniform[:, k : k + 1], uniform[:, k + 1 : k + 2])
    alpha = tf.tanh(raw[:, k : k + 1] + _spread(raw) * noise)
    return tf.concat([alpha, chosen], axis=1)


def surprise(spec: ColumnSpec, raw: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Minus the log-likelihood of encoded values, `(b,)`: cross-entropy, and of a place normal."""
    k = spec.choices
    if spec.kind == CATEGORY:
        return -tf.reduce_sum(encoded * tf.nn.log_softmax(raw[:, :k]), axis=1)
    entropy = -tf.reduce_sum(encoded[:, 1:] * tf.nn.log_softmax(raw[:, :k]), axis=1)
    place = tf.math.atanh(tf.clip_by_value(encoded[:, 0], -_EDGE, _EDGE))
    spread = _spread(raw)[:, 0]
    return entropy + 0.5 * tf.square((place - raw[:, k]) / spread) + tf.math.log(spread)


def _spread(raw: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(raw[:, -1:] - 1.0) + 0.02
