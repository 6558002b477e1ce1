"""Matrix factorisation: a vector a user, a vector an item, scores their inner products."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class MatrixFactorization(Recommender):
    """Ranks by the inner product of a user's and an item's vector, plus an optional item bias.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        item_bias: Whether each item has a bias.
        regularization: Weight of the squared lengths of a batch's vectors, averaged over rows
            and coordinates, that training adds to the loss.
        initial_scale: Standard deviation of the truncated normal that the vectors start from.
        seed: Seed of the initial values, or None.
        name: The Keras model name.

    Shapes: see `Recommender`.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=3, n_items=5, dimension=4, seed=0)
    >>> model({"user_id": np.array([0, 2]), "item_id": np.array([[1, 4], [0, 3]])}).shape
    TensorShape([2, 2])

    Reference: Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems,
    Computer 42(8), 2009; trained with a pairwise loss, Rendle et al., UAI 2009, section 4.3.1.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 64,
        item_bias: bool = False,
        regularization: float = 0.0,
        initial_scale: float = 0.01,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if dimension < 1:
            raise ValueError(f"dimension must be 1 or more. Received: {dimension}")
        if regularization < 0 or initial_scale <= 0:
            raise ValueError(
                "regularization must be 0 or more and initial_scale above 0. Received: "
                f"regularization={regularization}, initial_scale={initial_scale}"
            )
        self.dimension, self.item_bias = dimension, item_bias
        self.regularization, self.initial_scale, self.seed = regularization, initial_scale, seed
        self.user_embedding = self._table("user_embedding", n_users, dimension, 0)
        self.item_embedding = self._table("item_embedding", n_items, dimension, 1)
        self.bias = None
        if item_bias:
            self.bias = self.add_weight(shape=(n_items,), initializer="zeros", name="item_rows")
        self.built = True

    def _table(self, name: str, rows: int, dimension: int, offset: int) -> keras.layers.Embedding:
        start = keras.initializers.TruncatedNormal(
            stddev=self.initial_scale, seed=None if self.seed is None else 2 * self.seed + offset
        )
        table = keras.layers.Embedding(rows, dimension, embeddings_initializer=start, name=name)
        table.build(())
        return table

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        users = self.user_embedding(inputs["user_id"])
        rows = ops.convert_to_tensor(inputs["item_id"])
        items = self.item_embedding(rows)
        if training and self.regularization:
            candidates = ops.sum(ops.square(items), axis=-2)
            lengths = ops.mean(ops.square(users)) + ops.mean(candidates)
            self.add_loss(self.regularization * lengths)
        if len(rows.shape) == 1:
            scores = ops.matmul(users, ops.transpose(items))
        else:
            scores = row_sums(users[:, None, :] * items)[..., 0]
        return scores if self.bias is None else scores + ops.take(self.bias, rows, axis=0)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users, `(batch, dimension)`, with a 1 appended where items have a bias."""
        users = self.user_embedding(check_rows(rows, self.n_users, "user"))
        if self.bias is None:
            return users
        return ops.concatenate([users, ops.ones_like(users[:, :1])], axis=-1)

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, dimension)`, with the bias appended where there is one."""
        rows = check_rows(rows, self.n_items, "item")
        items = self.item_embedding(rows)
        if self.bias is None:
            return items
        return ops.concatenate([items, ops.take(self.bias, rows, axis=0)[:, None]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "item_bias": self.item_bias,
            "regularization": self.regularization,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }
