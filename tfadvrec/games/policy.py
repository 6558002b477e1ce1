"""A policy over a catalogue: draws from it, importance weights, and its gradient."""

from typing import Any

import tensorflow as tf

from tfadvrec import _replicas


def uniforms(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [0, 1), the same whether compiled or not.

    Args:
        shape: The shape; its parts may be tensors.
        seed: int32 `(2,)`.

    Returns:
        float32 of that shape.
    """
    # XLA makes other floats of the same words than TensorFlow, and by itself chooses other words
    words = _replicas.drawn_words(shape, seed)
    high = tf.bitwise.right_shift(words, tf.constant(8, tf.uint32))
    return tf.cast(tf.bitcast(high, tf.int32), tf.float32) * (1.0 / (1 << 24))


def draw(probabilities: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Draws columns of each row by inverting its distribution function, without rejection.

    Args:
        probabilities: float32 `(batch, n)`, 0 or more; a row need not sum to 1.
        levels: float32 `(batch, draws)` in [0, 1), usually `uniforms`.

    Returns:
        int32 `(batch, draws)`; a column of probability 0 is never drawn from a row that has others.

    Example:

    >>> draw(tf.constant([[0.0, 0.5, 0.5]]), tf.constant([[0.0, 0.4, 0.6]])).numpy().tolist()
    [[1, 1, 2]]
    """
    reached = tf.cumsum(probabilities, axis=1)
    wanted = levels * reached[:, -1:]
    low = tf.zeros_like(wanted, tf.int32)
    high = low + (tf.shape(probabilities)[1] - 1)
    for _ in range(int(probabilities.shape[1]).bit_length()):
        middle = (low + high) // 2
        past = tf.gather(reached, middle, batch_dims=1) > wanted
        low = tf.where(past, low, tf.minimum(middle + 1, high))
        high = tf.where(past, middle, high)
    return low


def proposal(probabilities: tf.Tensor, positive: tf.Tensor, share: float) -> tf.Tensor:
    """The distribution that is drawn from: the policy, mixed with a user's own positives.

    Args:
        probabilities: float32 `(batch, n)`, the policy.
        positive: float32 `(batch, n)`, 1 at a user's positives.
        share: Weight of the uniform distribution over them; a user without any keeps the policy.

    Returns:
        float32 `(batch, n)`, rows that sum to 1.
    """
    count = tf.reduce_sum(positive, axis=1, keepdims=True)
    mixed = (1.0 - share) * probabilities + share * positive / tf.maximum(count, 1.0)
    return tf.where(count > 0, mixed, probabilities)


def sampled_loss(
    log_policy: tf.Tensor,
    proposed: tf.Tensor,
    reward: tf.Tensor,
    items: tf.Tensor,
    weight: tf.Tensor,
) -> tf.Tensor:
    """What has, in expectation, the gradient of minus the expected reward, for each user.

    Args:
        log_policy: float32 `(batch, n)`, ln p; the only argument that carries a gradient.
        proposed: float32 `(batch, n)`, the distribution p_n that items were drawn from.
        reward: float32 `(batch, n)`.
        items: int32 `(batch, draws)`, items drawn from `proposed`.
        weight: float32 `(batch, draws)`, 1 for a draw and 0 for padding.

    Returns:
        float32 `(batch,)`: the mean over a user's draws of -(p / p_n) r ln p.
    """
    chosen = tf.gather(log_policy, items, batch_dims=1)
    ratio = tf.exp(chosen) / tf.gather(proposed, items, batch_dims=1)
    worth = tf.stop_gradient(weight * ratio * tf.gather(reward, items, batch_dims=1))
    draws = tf.maximum(tf.reduce_sum(weight, axis=1), 1.0)
    return -tf.reduce_sum(worth * chosen, axis=1) / draws


def expected_loss(log_policy: tf.Tensor, reward: tf.Tensor) -> tf.Tensor:
    """As `sampled_loss`, with the expectation itself: -sum_i p_i r_i ln p_i, p and r fixed.

    Args:
        log_policy: float32 `(batch, n)`, ln p.
        reward: float32 `(batch, n)`.

    Returns:
        float32 `(batch,)`.
    """
    return -tf.reduce_sum(tf.stop_gradient(tf.exp(log_policy) * reward) * log_policy, axis=1)


def baseline(log_policy: tf.Tensor, reward: tf.Tensor) -> tf.Tensor:
    """The policy's own expected reward, `(batch, 1)`: taken off the reward, it biases nothing."""
    return tf.stop_gradient(tf.reduce_sum(tf.exp(log_policy) * reward, axis=1, keepdims=True))
