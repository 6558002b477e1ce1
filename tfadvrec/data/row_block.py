"""A block of batches that are rows of tables."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfadvrec.data.multi_hot import multi_hot


class RowBlock(tf.experimental.ExtensionType):
    """Several mini-batches of rows, gathered when a batch is asked for; see `Block`.

    Attributes:
        chosen: int32 `(size, batch)`, positions in the tables.
        steps: int32 `()`, how many of the `size` batches there are; those behind them are padding.
        seed: int32 `(2,)`: a key of this epoch, and the number of the first batch.
        tables: Name -> tensor whose leading axis the positions count.
        label: Name of the table that becomes the labels, or an empty text for none.
        width: Width of multi-hot labels; 0 where the table holds the labels themselves.
        per_epoch: How many batches an epoch has.
    """

    chosen: tf.Tensor
    steps: tf.Tensor
    seed: tf.Tensor
    tables: Mapping[str, tf.Tensor]
    label: str
    width: int
    per_epoch: int

    def draw(self) -> tf.Tensor:
        """Nothing is drawn; see `Block.draw`."""
        return tf.zeros([0])

    def batch(self, step: tf.Tensor | int, drawn: tf.Tensor | None = None) -> Any:
        """Lays out one mini-batch.

        Args:
            step: Which batch, from 0 to `steps - 1`.
            drawn: What `draw` gave.

        Returns:
            The gathered rows by name, or `(rows, labels)`.
        """
        chosen = self.chosen[step]
        rows = {name: tf.gather(table, chosen) for name, table in self.tables.items()}
        if not self.label:
            return rows
        label = rows.pop(self.label)
        return rows, multi_hot(label, self.width) if self.width else label
