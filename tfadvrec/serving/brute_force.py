"""The exact index: every request scores the whole catalogue."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class BruteForce:
    """Searches by one product with the whole item table, held transposed in float32.

    The answer is exact. Transposed, `(dimension, n_items)`, a batch of queries is a plain matrix
    product without a copy; it takes `4 * dimension * n_items` bytes, and a request in flight
    `4 * batch * n_items` more for its scores.

    Example:

    >>> index = BruteForce().build(np.eye(3, dtype="float32"))
    >>> scores, rows = index.top(tf.constant([[0.1, 0.3, 0.2]]), 2)
    >>> rows.numpy().tolist()
    [[1, 2]]
    """

    def build(self, item_vectors: np.ndarray) -> "ExactTable":
        """Makes the table.

        Args:
            item_vectors: float32 `(n_items, dimension)`.

        Returns:
            A `tf.Module` that answers `top`, `pairs` and `vectors`.
        """
        return ExactTable(item_vectors)

    def describe(self) -> dict[str, Any]:
        """Returns what the contract file says about the index."""
        return {"kind": "brute_force", "dtype": "float32", "layout": "transposed", "exact": True}


class ExactTable(tf.Module):
    """The item vectors as one transposed variable."""

    def __init__(self, item_vectors: np.ndarray) -> None:
        super().__init__(name="exact_table")
        transposed = np.ascontiguousarray(item_vectors.T, dtype=np.float32)
        self.transposed = tf.Variable(transposed, trainable=False, name="item_vectors")

    @property
    def n_bytes(self) -> int:
        """Bytes that a search reads."""
        return 4 * int(np.prod(self.transposed.shape))

    def top(self, queries: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each query: scores and rows, both `(batch, count)`."""
        return tf.math.top_k(tf.matmul(queries, self.transposed), count)

    def pairs(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the score of query i with item `rows[i]`, `(batch,)`."""
        return tf.reduce_sum(queries * self.vectors(rows), axis=1)

    def vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the items' vectors `(batch, dimension)`."""
        return tf.transpose(tf.gather(self.transposed, rows, axis=1))
