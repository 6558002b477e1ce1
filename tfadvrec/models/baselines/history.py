"""What each user took, looked up by row inside TensorFlow."""

import tensorflow as tf
from scipy.sparse import csr_matrix


class History:
    """Holds a log's users x items matrix row by row and never as a dense whole.

    The rows lie in two constant tensors (row starts and item rows), so a traced function or an
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
        """Gives the users' rows as a dense float32 tensor `(batch, n_items)` of ones and zeros."""
        return tf.sparse.to_dense(self.sparse(users))


def multi_hot(history: tf.Tensor, n_items: int) -> tf.Tensor:
    """Turns given histories into rows as `History.dense` has them.

    Args:
        history: int item rows `(batch, length)`; negative ones are padding.
        n_items: Number of items.

    Returns:
        float32 `(batch, n_items)` of ones and zeros.

    Example:

    >>> multi_hot(tf.constant([[2, 2, -1]]), 3).numpy().tolist()
    [[0.0, 0.0, 1.0]]
    """
    history = tf.convert_to_tensor(history)
    batch = tf.shape(history)[0]
    of = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(history))
    places = tf.stack([of, tf.maximum(tf.cast(history, tf.int32), 0)], axis=-1)
    taken = tf.cast(history >= 0, tf.float32)
    return tf.tensor_scatter_nd_max(tf.zeros([batch, n_items]), places, taken)
