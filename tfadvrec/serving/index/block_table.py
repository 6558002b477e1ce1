"""Item vectors in float32 or float16, searched a chunk of rows at a time."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfadvrec.serving.index.top_of_blocks import (
    BLOCK,
    LOWEST,
    block_scores,
    in_blocks,
    top_of_blocks,
)

Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
SCORES = 1 << 22


class BlockTable(tf.Module):
    """A table of item vectors in transposed blocks.

    Args:
        item_vectors: float32 `(n_items, dimension)`.
        dtype: `"float32"` or `"float16"`: what is stored. Products are float32.
        chunk: Rows that are scored at a time, a multiple of `BLOCK`; as many as have `SCORES`
            scores where None.
    """

    def __init__(
        self, item_vectors: np.ndarray, *, dtype: str = "float32", chunk: int | None = None
    ) -> None:
        super().__init__(name="block_table")
        self.n_items, self.dimension = item_vectors.shape
        self.chunk = chunk
        self.blocks = tf.Variable(
            in_blocks(item_vectors.astype(dtype)), trainable=False, name="item_vectors"
        )

    @property
    def n_bytes(self) -> int:
        """Bytes that a search reads."""
        return variable_bytes(self.blocks)

    @property
    def held_bytes(self) -> int:
        """Bytes that are held."""
        return self.n_bytes

    def top(self, queries: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each query: scores and rows, both `(batch, count)`."""

        def score(start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
            return block_scores(queries, tf.cast(self.blocks[start:end], tf.float32))

        return top_in_chunks(
            score, tf.shape(queries)[0], count, n_items=self.n_items, chunk=self.chunk
        )

    def pairs(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the score of query i with item `rows[i]`, `(batch,)`."""
        return tf.reduce_sum(queries * self.vectors(rows), axis=1)

    def vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the items' vectors `(batch, dimension)`, float32."""
        places = tf.meshgrid(rows, tf.range(self.dimension), indexing="ij")
        places = tf.stack([places[0] // BLOCK, places[1], places[0] % BLOCK], axis=2)
        return tf.cast(tf.gather_nd(self.blocks, places), tf.float32)


def top_in_chunks(
    score: Score, batch: tf.Tensor, count: int | tf.Tensor, *, n_items: int, chunk: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Goes through a table in chunks and keeps the best.

    Args:
        score: Gives the scores `(blocks, batch, BLOCK)` of the blocks from `start` to `end`.
        batch: Number of queries.
        count: How many to keep.
        n_items: Number of items.
        chunk: Rows of a step, a multiple of `BLOCK`; as many as have `SCORES` scores where None.
            More would leave the processor's cache, and cost time as well as memory.

    Returns:
        float32 scores and int32 rows, both `(batch, count)`, equal scores by lower row.
    """
    n_blocks = -(-n_items // BLOCK)
    blocks = tf.maximum(SCORES // (BLOCK * tf.maximum(batch, 1)), 1)
    if chunk is not None:
        blocks = tf.constant(chunk // BLOCK)

    def step(start: tf.Tensor, best: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = tf.minimum(start + blocks, n_blocks)
        n_real = tf.minimum(end * BLOCK, n_items) - start * BLOCK
        new, rows = top_of_blocks(score(start, end), tf.minimum(count, n_real), n_real=n_real)
        best, at = tf.math.top_k(tf.concat([best, new], axis=1), count)
        found = tf.concat([found, rows + start * BLOCK], axis=1)
        return end, best, tf.gather(found, at, batch_dims=1)

    width = count if isinstance(count, int) else None
    _, best, found = tf.while_loop(
        lambda start, best, found: start < n_blocks,
        step,
        [tf.constant(0), tf.fill([batch, count], LOWEST), tf.zeros([batch, count], tf.int32)],
        shape_invariants=[tf.TensorShape([]), *2 * [tf.TensorShape([None, width])]],
        parallel_iterations=1,  # one chunk in memory
    )
    return best, found


def variable_bytes(variable: tf.Variable) -> int:
    """Computes the bytes of a variable's values."""
    return variable.dtype.size * variable.shape.num_elements()
