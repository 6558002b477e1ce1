"""What a factorised model is in a servable: vectors of those who ask, and an index of the items."""

import numpy as np
import tensorflow as tf

from tfadvrec.serving.graph.traced import Traced


class UserTable(tf.Module):
    """The users' vectors, and in the row after the last user what an unknown one gets.

    Args:
        users: float32 `(n_users, dimension)`.
        unknown_user: `"mean"` or `"empty"`.
    """

    def __init__(self, users: np.ndarray, *, unknown_user: str) -> None:
        super().__init__(name="users")
        fallback = mean_vector(users) if unknown_user == "mean" else np.zeros_like(users[0])
        self.table = tf.Variable(
            np.concatenate([users, fallback[None]]), trainable=False, name="user_vectors"
        )

    def __call__(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the vectors `(batch, dimension)` of rows; -1 is an unknown user."""
        return tf.gather(self.table, tf.where(rows >= 0, rows, self.table.shape[0] - 1))


class Factors(tf.Module):
    """Ranks by the inner product of the asker's vector with the items'.

    Args:
        askers: A `UserTable`, or the model's traced `embed_history`: rows -> vectors.
        items: What `BruteForce.build` made of the items' vectors; an item bias is one of their
            dimensions.
        dimension: Width of the vectors.
    """

    def __init__(self, askers: UserTable | Traced, items: tf.Module, dimension: int) -> None:
        super().__init__(name="factors")
        self.askers, self.items, self.dimension = askers, items, dimension

    @property
    def n_bytes(self) -> int:
        """Bytes that one request searches."""
        return self.items.n_bytes

    def top(self, askers: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each asker: scores and item rows."""
        return self.items.top(self.vectors(askers), count)

    def pairs(self, askers: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Returns the score of asker i with item `items[i]`, `(batch,)`."""
        return self.items.pairs(self.vectors(askers), items)

    def vectors(self, askers: tf.Tensor) -> tf.Tensor:
        """Returns the askers' vectors `(batch, dimension)`."""
        return self.askers(askers)

    def item_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the items' vectors `(batch, dimension)`."""
        return self.items.vectors(rows)


def mean_vector(users: np.ndarray) -> np.ndarray:
    """Computes the mean user vector, `(dimension,)` float32."""
    return users.mean(axis=0, dtype=np.float64).astype(np.float32)
