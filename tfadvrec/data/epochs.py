"""The order of an epoch: positions, batch by batch, in blocks of one shape."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf


class Epochs:
    """Makes the blocks of one epoch a call; epoch e is keyed by (seed, e).

    The epoch advances when its last block is handed out (nobody asks for more than the known
    number), so that a first look at the data changes nothing. All blocks have one shape, so that
    they are compiled once: they are as even as can be, and the last is padded.

    Args:
        count: How many positions there are.
        batch_size: Positions in a batch; the last incomplete batch of an epoch is dropped.
        most: Batches in a block, at most.
        seed: What the order is drawn from.

    Attributes:
        steps: Batches in an epoch.
        blocks: Blocks in an epoch.
        size: Batches in a block, padding included.

    Example:

    >>> epochs = Epochs(5, batch_size=2, most=2, seed=0)
    >>> [(chosen.shape, int(steps)) for chosen, steps, _ in epochs()]
    [((2, 2), 2)]
    """

    def __init__(self, count: int, *, batch_size: int, most: int, seed: int) -> None:
        self.count, self.batch_size, self.seed, self.epoch = count, batch_size, seed, 0
        self.steps = count // batch_size
        self.blocks = -(-self.steps // most)
        self.size = -(-self.steps // self.blocks)

    def __call__(self) -> Iterator[tuple[np.ndarray, np.int32, np.ndarray]]:
        """Yields positions int32 `(size, batch)`, how many batches are real, and a key `(2,)`."""
        epoch = self.epoch
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(np.arange(self.count, dtype=np.int32))
        key = random.integers(0, 2**31 - 1, dtype=np.int32)
        for number in range(self.blocks):
            first = number * self.size
            steps = min(self.size, self.steps - first)
            chosen = np.zeros((self.size, self.batch_size), np.int32)
            rows = order[first * self.batch_size : (first + steps) * self.batch_size]
            chosen.reshape(-1)[: len(rows)] = rows
            if number == self.blocks - 1:
                self.epoch = epoch + 1
            yield chosen, np.int32(steps), np.array([key, first], np.int32)

    def dataset(
        self,
        blocks: Callable[[], Iterator[Any]],
        signature: Any,
        made_of: Callable[..., Any],
        *,
        batches: bool = False,
    ) -> tf.data.Dataset:
        """What a generator of this epoch's blocks yields, as a dataset that does not read ahead.

        Args:
            blocks: The generator; called once an epoch.
            signature: The `tf.TensorSpec` of each part that it yields.
            made_of: Makes a block of those parts.
            batches: Whether the dataset holds the one batch of each block instead.
        """
        make = (lambda *parts: made_of(*parts).batch(0)) if batches else made_of
        raw = tf.data.Dataset.from_generator(blocks, output_signature=signature).map(_plain(make))
        options = tf.data.Options()
        # reading ahead would end an epoch before its batches are asked for; the autotuner costs
        # more than it gives where whole batches are gathered at once
        options.experimental_optimization.inject_prefetch = False
        options.autotune.enabled = False
        data = raw.with_options(options)
        return data.apply(tf.data.experimental.assert_cardinality(self.blocks))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is: rewriting Python's branches for a graph takes seconds, in vain."""
    return tf.autograph.experimental.do_not_convert(function)
