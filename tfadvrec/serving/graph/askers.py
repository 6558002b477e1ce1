"""Who asks: a user's id, or the ids of a history, looked up."""

from pathlib import Path

import tensorflow as tf

from tfadvrec.serving.graph.lookup import rows_by_id


class Users(tf.Module):
    """Looks user ids up.

    Args:
        path: Vocabulary file.
    """

    example_feature = tf.io.FixedLenFeature([], tf.string, default_value="")

    def __init__(self, path: Path) -> None:
        super().__init__(name="users")
        self.rows = rows_by_id(path)

    def __call__(self, user_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives int32 rows `(batch,)`, -1 for an unknown user, and whether each is known."""
        rows = tf.cast(self.rows.lookup(user_id), tf.int32)
        return rows, rows >= 0

    def from_feature(self, feature: tf.Tensor) -> tf.Tensor:
        """Gives the input that a parsed `tf.Example` means."""
        return feature


class Histories(tf.Module):
    """Looks the items of histories up; a history is known when one of its items is.

    Args:
        item_rows: The table item id -> row.
        width: Items in a history; shorter ones end with `""`.
    """

    example_feature = tf.io.VarLenFeature(tf.string)

    def __init__(self, item_rows: tf.lookup.StaticHashTable, width: int) -> None:
        super().__init__(name="histories")
        self.rows, self.width = item_rows, width

    def __call__(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives int32 rows `(batch, width)`, -1 for padding and unknown items, and known or not."""
        rows = tf.cast(self.rows.lookup(history), tf.int32)
        return rows, tf.reduce_any(rows >= 0, axis=1)

    def from_feature(self, feature: tf.SparseTensor) -> tf.Tensor:
        """Gives the input that a parsed `tf.Example` means: its last `width` items."""
        items = tf.sparse.to_dense(feature, default_value="")
        batch, row = tf.shape(items)[0], tf.cast(feature.indices[:, 0], tf.int32)
        count = tf.math.bincount(row, minlength=batch, maxlength=batch)
        first = tf.maximum(count - self.width, 0)
        place = first[:, None] + tf.range(self.width)
        padded = tf.pad(items, [[0, 0], [0, self.width]], constant_values="")
        return tf.gather(padded, place, batch_dims=1)
