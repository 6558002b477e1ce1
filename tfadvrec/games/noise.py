"""Noise that a seed determines: one seed a step for training, one seed a row for generation."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfadvrec import _replicas

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def normal_batch(seed: tf.Tensor, shape: Sequence[Any]) -> tf.Tensor:
    """Standard normal noise of a training step.

    The same whether XLA compiles it or not, unlike TensorFlow's own floating-point draws, of which
    only the bits are.

    Args:
        seed: int32 `(2,)`.
        shape: The shape; its parts may be tensors.

    Returns:
        float32 of that shape.
    """
    return _normal(_uniform(seed, tf.concat([[2], shape], axis=0), axis=1))


def uniform_batch(seed: tf.Tensor, shape: Sequence[Any]) -> tf.Tensor:
    """Uniform noise in (0, 1) of a training step; see `normal_batch`."""
    return _uniform(seed, shape, axis=0)


def _uniform(seed: tf.Tensor, shape: Sequence[Any] | tf.Tensor, *, axis: int) -> tf.Tensor:
    return _in_unit_interval(_replicas.drawn_words(shape, seed, axis=axis))


def fold(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Another seed for each number, from one seed: int32 `(2,)`.

    A few multiplications and shifts (the finaliser of MurmurHash3): a step needs a dozen seeds,
    and XLA would take seconds to compile as many rounds of `threefry`.
    """
    words = tf.bitcast(seed, tf.uint32)
    step = tf.cast(number, tf.uint32) * tf.constant(0x9E3779B9, tf.uint32)
    first = _mixed(words[0] + step)
    return tf.bitcast(tf.stack([first, _mixed(tf.bitwise.bitwise_xor(words[1], first))]), tf.int32)


def uniform(seeds: tf.Tensor, width: int) -> tf.Tensor:
    """Uniform noise in (0, 1) with a seed a row, so that no row depends on its neighbours.

    Args:
        seeds: int64 `(batch, 2)`, of which the low 32 bits count.
        width: Numbers a row.

    Returns:
        float32 `(batch, width)`.

    Example:

    >>> one, both = uniform([[1, 2]], 3), uniform([[5, 6], [1, 2]], 3)
    >>> bool(tf.reduce_all(one[0] == both[1]))
    True
    """
    return _in_unit_interval(_words(seeds, width))


def normal(seeds: tf.Tensor, width: int) -> tf.Tensor:
    """Standard normal noise with a seed a row.

    Args:
        seeds: int64 `(batch, 2)`, of which the low 32 bits count.
        width: Numbers a row.

    Returns:
        float32 `(batch, width)`.
    """
    drawn = uniform(seeds, 2 * width)
    return _normal(tf.stack([drawn[:, :width], drawn[:, width:]]))


def row_seeds(seed: int, count: int, *, first: int = 0) -> tf.Tensor:
    """The seeds of rows `first` to `first + count - 1` of a sample: int64 `(count, 2)`."""
    rows = tf.range(first, first + count, dtype=tf.int64)
    return tf.stack([tf.fill([count], tf.constant(seed, tf.int64)), rows], axis=1)


def threefry(key: tf.Tensor, counter: tf.Tensor) -> tf.Tensor:
    """The hash Threefry-2x32 of 20 rounds.

    Args:
        key: uint32 `(..., 2)`.
        counter: uint32 `(..., 2)`, of a shape that broadcasts with the key's.

    Returns:
        uint32 `(..., 2)`.

    Reference: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
    """
    parity = tf.constant(_PARITY, tf.uint32)
    first, second = key[..., 0], key[..., 1]
    third = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), parity)
    keys = (first, second, third)
    x, y = counter[..., 0] + first, counter[..., 1] + second
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            x = x + y
            y = tf.bitwise.bitwise_xor(_rotated(y, turn), x)
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + tf.constant(group + 1, tf.uint32)
    return tf.stack([x, y], axis=-1)


def _in_unit_interval(words: tf.Tensor) -> tf.Tensor:
    """The high 23 bits of random words as numbers in (0, 1); with one more the highest is 1."""
    high = tf.bitwise.right_shift(words, tf.constant(9, tf.uint32))
    return (tf.cast(tf.bitcast(high, tf.int32), tf.float32) + 0.5) * (1.0 / (1 << 23))


def _normal(drawn: tf.Tensor) -> tf.Tensor:
    """Box and Muller's normal numbers from pairs of uniform ones, stacked `(2, ...)`."""
    return tf.sqrt(-2.0 * tf.math.log(drawn[0])) * tf.cos((2.0 * math.pi) * drawn[1])


def _mixed(word: tf.Tensor) -> tf.Tensor:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        word = tf.bitwise.bitwise_xor(
            word, tf.bitwise.right_shift(word, tf.constant(shift, tf.uint32))
        )
        word = word * tf.constant(factor, tf.uint32)
    return word


def _rotated(word: tf.Tensor, by: int) -> tf.Tensor:
    left = tf.bitwise.left_shift(word, tf.constant(by, tf.uint32))
    return tf.bitwise.bitwise_or(
        left, tf.bitwise.right_shift(word, tf.constant(32 - by, tf.uint32))
    )


def _words(seeds: tf.Tensor, width: int) -> tf.Tensor:
    """Random words uint32 `(batch, width)`."""
    low = tf.bitwise.bitwise_and(tf.cast(seeds, tf.int64), tf.constant(0xFFFFFFFF, tf.int64))
    key = tf.cast(low, tf.uint32)[:, None, :]
    numbers = tf.range((width + 1) // 2)
    counter = tf.cast(tf.stack([numbers, tf.zeros_like(numbers)], axis=1), tf.uint32)[None]
    words = threefry(key, counter)
    return tf.reshape(words, [-1, 2 * ((width + 1) // 2)])[:, :width]
