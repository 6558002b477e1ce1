"""Item vectors as bytes with one scale a row, rescored in float16."""

import numpy as np
import tensorflow as tf

from tfadvrec.serving.index.block_table import top_in_chunks, variable_bytes
from tfadvrec.serving.index.top_of_blocks import block_scores, in_blocks

LARGEST_CODE = 127


class QuantisedTable(tf.Module):
    """Finds candidates by int8 products and ranks them by float16 vectors.

    Scores, pairs and vectors are those of the float16 copy: quantisation can cost an item its
    place, never change a score. A query stays float32.

    Args:
        item_vectors: float32 `(n_items, dimension)`.
        chunk: Rows of a step, a multiple of `BLOCK`.
        rescore: How many candidates beyond the wanted ones are rescored.
    """

    def __init__(self, item_vectors: np.ndarray, *, chunk: int, rescore: int) -> None:
        super().__init__(name="quantised_table")
        self.n_items, self.dimension = item_vectors.shape
        self.chunk, self.rescore = chunk, rescore
        codes, scales = quantise(item_vectors)
        self.codes = tf.Variable(in_blocks(codes), trainable=False, name="item_codes")
        self.scales = tf.Variable(in_blocks(scales[:, None]), trainable=False, name="item_scales")
        self.precise = tf.Variable(
            item_vectors.astype(np.float16), trainable=False, name="item_vectors"
        )

    @property
    def n_bytes(self) -> int:
        """Bytes that a search reads, but for the few rows that are rescored."""
        return variable_bytes(self.codes) + variable_bytes(self.scales)

    @property
    def held_bytes(self) -> int:
        """Bytes that are held, with the vectors for rescoring."""
        return self.n_bytes + variable_bytes(self.precise)

    def top(self, queries: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each query: scores and rows, both `(batch, count)`."""

        def score(start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
            codes = tf.cast(self.codes[start:end], tf.float32)
            return block_scores(queries, codes) * self.scales[start:end]

        smaller = min if isinstance(count, int) else tf.minimum
        wanted = smaller(count + self.rescore, self.n_items)
        _, found = top_in_chunks(
            score, tf.shape(queries)[0], wanted, n_items=self.n_items, chunk=self.chunk
        )
        found = tf.sort(found, axis=1)  # equal scores by lower row
        vectors = tf.cast(tf.gather(self.precise, found), tf.float32)
        best, at = tf.math.top_k(tf.linalg.matvec(vectors, queries), count)
        return best, tf.gather(found, at, batch_dims=1)

    def pairs(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the score of query i with item `rows[i]`, `(batch,)`."""
        return tf.reduce_sum(queries * self.vectors(rows), axis=1)

    def vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the items' vectors `(batch, dimension)`, float32."""
        return tf.cast(tf.gather(self.precise, rows), tf.float32)


def quantise(item_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds vectors to whole numbers from -127 to 127 times a scale for each row.

    Args:
        item_vectors: float32 `(n_items, dimension)`.

    Returns:
        int8 codes of that shape and float32 scales `(n_items,)`; a row of zeros has the scale 0.

    Example:

    >>> codes, scales = quantise(np.array([[1.27, -0.64, 0.004]], "float32"))
    >>> codes.tolist(), round(float(scales[0]), 4)
    ([[127, -64, 0]], 0.01)
    """
    scales = np.abs(item_vectors).max(axis=1) / LARGEST_CODE
    divisor = np.where(scales > 0, scales, 1.0)[:, None]
    codes = np.clip(np.rint(item_vectors / divisor), -LARGEST_CODE, LARGEST_CODE)
    return codes.astype(np.int8), scales.astype(np.float32)
