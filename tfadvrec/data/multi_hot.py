"""Sets of items as rows of ones and zeros, from tables that a compiled step can read."""

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

# Cells of a padded table: 200 MB
LARGEST_PADDED = 50_000_000


def padded(matrix: csr_matrix) -> np.ndarray:
    """The rows of a sparse matrix as a table of column numbers.

    Args:
        matrix: `(rows, columns)`; only which entries are stored matters.

    Returns:
        int32 `(rows, longest)`, columns in order, -1 as padding, `longest` at least 1.

    Raises:
        ValueError: The table would hold more than 50 million cells.

    Example:

    >>> padded(csr_matrix([[1, 0, 1], [0, 0, 0], [0, 1, 0]])).tolist()
    [[0, 2], [-1, -1], [1, -1]]
    """
    matrix = matrix.tocsr().copy()
    matrix.sum_duplicates()
    counts = np.diff(matrix.indptr)
    longest = max(1, int(counts.max(initial=0)))
    if matrix.shape[0] * longest > LARGEST_PADDED:
        raise ValueError(
            f"{matrix.shape[0]:,} histories of up to {longest:,} interactions would take a table "
            f"of {matrix.shape[0] * longest:,} cells; at most {LARGEST_PADDED:,} are made. Keep "
            "the last few hundred interactions of each user."
        )
    table = np.full((matrix.shape[0], longest), -1, np.int32)
    table[np.arange(longest) < counts[:, None]] = matrix.indices
    return table


def multi_hot(history: tf.Tensor, width: int) -> tf.Tensor:
    """Turns lists of item rows into rows of ones and zeros.

    Args:
        history: int rows `(batch, length)`; negative ones are padding.
        width: Number of items.

    Returns:
        float32 `(batch, width)`.

    Example:

    >>> multi_hot(tf.constant([[2, 2, -1]]), 3).numpy().tolist()
    [[0.0, 0.0, 1.0]]
    """
    history = tf.convert_to_tensor(history)
    batch = tf.shape(history)[0]
    of = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(history))
    places = tf.stack([of, tf.maximum(tf.cast(history, tf.int32), 0)], axis=-1)
    taken = tf.cast(history >= 0, tf.float32)
    return tf.tensor_scatter_nd_max(tf.zeros([batch, width]), places, taken)
