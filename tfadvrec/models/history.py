"""What each user took, looked up by row inside TensorFlow."""

import functools

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from tfadvrec.data.multi_hot import multi_hot, padded


class History:
    """Holds a log's users x items matrix row by row and never as a dense whole.

    The rows lie in constant tensors (row starts and item rows), so a traced function or an
    exported signature carries them along; they are no weights, and a saved preset has none of them.

    Args:
        matrix: `(n_users, n_items)` sparse matrix; only which entries are stored matters.

    Example:

    >>> history = History(csr_matrix([[1, 0, 1], [0, 0, 0], [0, 1, 0]]))
    >>> history.dense([0, 1]).numpy().tolist()
    [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, matrix: csr_matrix) -> None:
        matrix = matrix.tocsr().copy()
        matrix.sum_duplicates()  # sorts each row as well
        self._matrix = matrix
        self.shape: tuple[int, int] = matrix.shape
        self.starts = tf.constant(matrix.indptr, tf.int64)
        self.items = tf.constant(matrix.indices, tf.int64)

    def sparse(self, users: tf.Tensor) -> tf.SparseTensor:
        """Gives the users' rows.

        Args:
            users: int rows `(batch,)`.

        Returns:
            A sparse float32 tensor `(batch, n_items)` of ones.
        """
        users = tf.convert_to_tensor(users)
        every = tf.RaggedTensor.from_row_splits(self.items, self.starts, validate=False)
        taken = tf.gather(every, users)
        return tf.SparseTensor(
            tf.stack([taken.value_rowids(), taken.values], axis=1),
            tf.ones_like(taken.values, tf.float32),
            tf.stack([tf.shape(users, tf.int64)[0], tf.constant(self.shape[1], tf.int64)]),
        )

    def dense(self, users: tf.Tensor) -> tf.Tensor:
        """Gives the users' rows as a dense float32 tensor `(batch, n_items)` of ones and zeros.

        XLA can compile this. It reads a table as wide as the longest history, made when first
        asked for.

        Raises:
            ValueError: That table would hold more than 50 million cells.
        """
        return multi_hot(tf.gather(self._padded, users), self.shape[1])

    @functools.cached_property
    def _padded(self) -> tf.Tensor:
        with tf.init_scope():  # made while a graph is traced, it would belong to that graph
            return tf.constant(padded(self._matrix))


def probe_histories(n_items: int) -> dict[str, np.ndarray]:
    """A few histories and candidates, as the probe of a preset that reads histories asks for.

    Example:

    >>> probe_histories(3)["history"].tolist()
    [[0, 1, 2], [-1, 1, -1], [2, 0, 1]]
    """
    rows = np.linspace(0, n_items - 1, min(6, n_items)).astype(np.int32)
    history = np.stack([rows, np.where(rows % 2, rows, -1), np.roll(rows, 1)])
    return {"history": history, "item_id": np.tile(rows, (len(history), 1))}
