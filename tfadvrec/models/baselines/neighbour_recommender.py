"""What the models share that score an item by its nearest neighbours among those taken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from tfadvrec.models.baselines.history_recommender import HistoryRecommender

ITEMS = 1024  # whose neighbours are looked for at once: bounds memory, changes no result


class NeighbourRecommender(HistoryRecommender):
    """Sums what each item owes to those of its nearest neighbours that a user took.

    Similarities are stored by neighbour: entries `first[i]` to `first[i + 1]` of `items` and
    `similarities` are the items that have item i as a neighbour. So a short history finds what it
    adds to without a look at the rest of a large catalogue.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        neighbours: How many count of each item; more than there are keeps all.
        name: Name of the model.

    Raises:
        ValueError: If `neighbours` is below 1.
    """

    def __init__(
        self, *, n_users: int, n_items: int, neighbours: int, name: str | None = None
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if neighbours < 1:
            kind = type(self).__name__
            raise ValueError(f"{kind} expects neighbours >= 1, got {neighbours!r}.")
        self.neighbours = int(neighbours)
        entries = (n_items * min(self.neighbours, n_items),)
        self.first = self._stored("first", (n_items + 1,), "int32")
        self.items = self._stored("items", entries, "int32")
        self.similarities = self._stored("similarities", entries, "float32")
        self.built = True

    def _stored(self, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        return self.add_weight(
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
            name=name,
        )

    def _store(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Takes each item's neighbours and their similarities, `(n_items, neighbours)` both."""
        item, place = np.nonzero(values)
        neighbour = rows[item, place]
        order = np.argsort(neighbour, kind="stable")
        left = (0, self.items.shape[0] - len(order))
        self.first.assign(np.searchsorted(neighbour[order], np.arange(self.n_items + 1)))
        self.items.assign(np.pad(item[order], left))
        self.similarities.assign(np.pad(values[item, place][order], left))

    def summed(self, taken: tf.Tensor) -> tf.Tensor:
        """Scores of histories, both `(batch, n_items)`."""
        met = tf.where(tf.reduce_any(taken != 0.0, axis=0))[:, 0]  # by anybody of the batch
        start = tf.gather(self.first.value, met)
        count = tf.gather(self.first.value, met + 1) - start
        row = tf.repeat(tf.range(tf.size(met)), count)
        before = start - tf.cumsum(count, exclusive=True)
        entry = tf.range(tf.size(row)) + tf.repeat(before, count)
        places = tf.stack([row, tf.gather(self.items.value, entry)], axis=1)
        shape = [tf.size(met), self.n_items]
        similar = _compressed(places, tf.gather(self.similarities.value, entry), shape)
        of_met = tf.gather(taken, met, axis=1)
        places = tf.where(of_met != 0.0)
        of_met = _compressed(places, tf.gather_nd(of_met, places), tf.shape(of_met))
        # short histories have few similar items: dense factors would be zeros for the most part
        scores = tf.raw_ops.SparseMatrixSparseMatMul(a=of_met, b=similar, type=tf.float32)
        return tf.raw_ops.CSRSparseMatrixToDense(sparse_input=scores, type=tf.float32)


def _compressed(places: tf.Tensor, values: tf.Tensor, shape: Any) -> tf.Tensor:
    """A matrix of entries that are ordered by row, as rows of stored entries."""
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.cast(places, tf.int64), values=values, dense_shape=tf.cast(shape, tf.int64)
    )


def nearest(
    similar: Callable[[slice], csr_matrix], n_items: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds each item's k most similar others; of equal ones, those of lower rows.

    An item with fewer than k others that are similar at all has row 0 with similarity 0 behind
    them.

    Args:
        similar: Given some items, gives their similarities to all, `(items, n_items)`, 0 or more.
            What it says of an item and itself is not read.
        n_items: How many items there are.
        k: How many are kept of each, if there are so many.

    Returns:
        Rows of the neighbours, the nearest first, int32 `(n_items, k)`, and float32 similarities.

    Example:

    >>> table = csr_matrix([[9, 2, 3], [2, 9, 0], [3, 0, 9]])
    >>> [found.tolist() for found in nearest(lambda items: table[items], 3, 2)]
    [[[2, 1], [0, 0], [0, 0]], [[3.0, 2.0], [2.0, 0.0], [3.0, 0.0]]]
    """
    k = min(k, n_items)
    rows, values = np.zeros((n_items, k), np.int32), np.zeros((n_items, k), np.float32)
    for start in range(0, n_items, ITEMS):
        table = similar(slice(start, min(start + ITEMS, n_items)))
        table.sort_indices()
        for item in range(table.shape[0]):
            entries = slice(table.indptr[item], table.indptr[item + 1])
            others = table.indices[entries]
            found = np.where(others == start + item, 0.0, table.data[entries])
            order = np.argsort(-found, kind="stable")[:k]
            order = order[found[order] > 0]
            rows[start + item, : len(order)] = others[order]
            values[start + item, : len(order)] = found[order]
    return rows, values
