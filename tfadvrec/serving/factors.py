"""What a factorised model is in a servable: two tables of vectors."""

import numpy as np
import tensorflow as tf

from tfadvrec.serving.brute_force import BruteForce


class Factors(tf.Module):
    """Ranks by the inner product of stored user and item vectors.

    Args:
        users: float32 `(n_users, dimension)`.
        items: float32 `(n_items, dimension)`; item biases are one of the dimensions.
        index: How the items are searched.
        unknown_user: `"mean"` or `"empty"`: what stands in the row after the last user.
    """

    def __init__(
        self, users: np.ndarray, items: np.ndarray, *, index: BruteForce, unknown_user: str
    ) -> None:
        super().__init__(name="factors")
        fallback = mean_vector(users) if unknown_user == "mean" else np.zeros_like(users[0])
        self.users = tf.Variable(
            np.concatenate([users, fallback[None]]), trainable=False, name="user_vectors"
        )
        self.items = index.build(items)
        self.fallback_row = len(users)
        self.dimension: int | None = users.shape[1]

    @property
    def n_bytes(self) -> int:
        """Bytes that one request searches."""
        return self.items.n_bytes

    def top(self, rows: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each user row: scores and item rows."""
        return self.items.top(self.user_vectors(rows), count)

    def pairs(self, rows: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Returns the score of user `rows[i]` with item `items[i]`, `(batch,)`."""
        return self.items.pairs(self.user_vectors(rows), items)

    def user_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the users' vectors `(batch, dimension)`."""
        return tf.gather(self.users, rows)

    def item_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the items' vectors `(batch, dimension)`."""
        return self.items.vectors(rows)


def mean_vector(users: np.ndarray) -> np.ndarray:
    """Computes the mean user vector, `(dimension,)` float32."""
    return users.mean(axis=0, dtype=np.float64).astype(np.float32)
