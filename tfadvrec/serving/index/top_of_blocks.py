"""The best of many scores without sorting through them all: block maxima first."""

import numpy as np
import tensorflow as tf

BLOCK = 64
LOWEST = float("-inf")


def block_scores(queries: tf.Tensor, blocks: tf.Tensor) -> tf.Tensor:
    """Scores items that lie in blocks.

    Each block is multiplied with one query after the other while it is in the processor's cache, so
    the table is read once, from its first byte to its last.

    Args:
        queries: float32 `(batch, dimension)`.
        blocks: float32 `(blocks, dimension, BLOCK)`.

    Returns:
        float32 `(blocks, batch, BLOCK)`.
    """
    return tf.squeeze(tf.matmul(queries[None, :, None, :], blocks[:, None]), axis=2)


def top_of_blocks(
    scores: tf.Tensor, count: int | tf.Tensor, *, n_real: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the best items of each query, equal scores by lower row, exactly.

    The best `count` items lie in the best `count` blocks: each of these has an item that goes
    before every item of another block. So only the blocks' maxima and then a few blocks are sorted;
    the rest is one pass over the scores.

    Args:
        scores: float32 `(blocks, batch, BLOCK)`; row r is in block `r // BLOCK`.
        count: How many, at most `n_real`; a Python integer or a scalar int32 tensor.
        n_real: Rows from this one on are filling, less than a block, with the score of the last
            real row.

    Returns:
        float32 scores and int32 rows, both `(batch, count)`.

    Example:

    >>> scores, rows = top_of_blocks(tf.reshape(tf.range(128.0), [2, 1, 64]), 2, n_real=127)
    >>> rows.numpy().tolist()
    [[126, 125]]
    """
    n_blocks, batch = tf.shape(scores)[0], tf.shape(scores)[1]
    maxima = tf.transpose(tf.reduce_max(scores, axis=2))
    _, chosen = tf.math.top_k(maxima, tf.minimum(count, n_blocks))
    chosen = tf.sort(chosen, axis=1)  # ascending, so that equal scores stay in order
    query = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(chosen))
    left = tf.gather_nd(scores, tf.stack([chosen, query], axis=2))
    left = tf.where(tf.range(BLOCK) < n_real - chosen[:, :, None] * BLOCK, left, LOWEST)
    flat = [batch, tf.shape(chosen)[1] * BLOCK]
    best, at = tf.math.top_k(tf.reshape(left, flat), count)
    return best, tf.gather(chosen, at // BLOCK, batch_dims=1) * BLOCK + at % BLOCK


def in_blocks(table: np.ndarray) -> np.ndarray:
    """Cuts a table into blocks of `BLOCK` rows; the last is filled with copies of the last row.

    Args:
        table: `(rows, dimension)`.

    Returns:
        `(blocks, dimension, BLOCK)`.

    Example:

    >>> in_blocks(np.zeros((65, 3))).shape
    (2, 3, 64)
    """
    missing = -len(table) % BLOCK
    whole = np.concatenate([table, np.repeat(table[-1:], missing, axis=0)])
    blocks = whole.reshape(-1, BLOCK, table.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks)


def out_of_blocks(blocks: np.ndarray, n_rows: int) -> np.ndarray:
    """Gives back the table that `in_blocks` cut: `(n_rows, dimension)`."""
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])[:n_rows]
