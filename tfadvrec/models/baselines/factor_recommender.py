"""What the models share that keep a truncated decomposition of the log."""

from typing import Any, Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.recommender import Recommender, check_rows


class FactorRecommender(Recommender):
    """A recommender of two tables in closed form: a concrete one implements `matrix`.

    With the matrix ≈ U Σ Vᵀ of rank r it keeps U Σ as `user_factors` `(n_users, rank)` and V, times
    `item_scale`, as `item_factors` `(n_items, rank)`; their products are the scores. Components are
    in order of falling singular value, and the entry of V that is largest in size is positive, so
    that two fits give the same factors.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        rank: Number of singular vectors, at most `min(n_users, n_items)`.
        seed: Start of the iterative decomposition. The result is that of an exact
            decomposition, so the seed shows only in the last digits.
        name: Name of the model.

    Raises:
        ValueError: If `rank` is below 1 or above `min(n_users, n_items)`.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        rank: int = 30,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if not 1 <= rank <= min(n_users, n_items):
            raise ValueError(
                f"{type(self).__name__} expects 1 <= rank <= {min(n_users, n_items)}, the smaller "
                f"of n_users={n_users} and n_items={n_items}, got {rank!r}."
            )
        self.rank = int(rank)
        self.seed = int(seed)
        self.user_factors = self.add_weight(
            shape=(n_users, rank), initializer="zeros", trainable=False, name="user_factors"
        )
        self.item_factors = self.add_weight(
            shape=(n_items, rank), initializer="zeros", trainable=False, name="item_factors"
        )
        self.built = True

    def matrix(self, log: Interactions) -> csr_matrix:
        """What is decomposed, float64 `(n_users, n_items)`."""
        raise NotImplementedError

    def item_scale(self, log: Interactions) -> np.ndarray:
        """What each item's scores are multiplied by, float64 `(n_items,)`; 1 unless overridden."""
        return np.ones(self.n_items)

    def fit(self, log: Interactions) -> Self:
        """Decomposes the log.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        matrix = self.matrix(log)
        factors = right_singular_vectors(matrix, self.rank, self.seed)
        self.item_factors.assign((self.item_scale(log)[:, None] * factors).astype(np.float32))
        self.user_factors.assign((matrix @ factors).astype(np.float32))
        return self

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; shapes as for every `Recommender`."""
        users = self.embed_users(tf.convert_to_tensor(inputs["user_id"]))
        items = self.embed_items(tf.convert_to_tensor(inputs["item_id"]))
        if items.shape.rank == 2:
            return tf.matmul(users, items, transpose_b=True)
        return tf.einsum("bd,bcd->bc", users, items)

    def embed_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the users' factors U Σ, `(batch, rank)`."""
        return tf.gather(self.user_factors.value, check_rows(users, self.n_users, "user"))

    def embed_items(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the items' factors V, scaled, `(batch, rank)`."""
        return tf.gather(self.item_factors.value, check_rows(items, self.n_items, "item"))

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """Both tables: a row a user, a row an item."""
        return {self.user_factors.path: ("user", 0), self.item_factors.path: ("item", 0)}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "rank": self.rank,
            "seed": self.seed,
            "name": self.name,
        }


def right_singular_vectors(matrix: csr_matrix, rank: int, seed: int) -> np.ndarray:
    """Computes the first right singular vectors with a sign that does not depend on chance.

    Args:
        matrix: `(rows, columns)` float64.
        rank: How many, at most the smaller side.
        seed: Seed of the start vector.

    Returns:
        V `(columns, rank)`, components by falling singular value, the largest entry of each in
        size positive.
    """
    if rank < min(matrix.shape) - 1:
        start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
        _, values, vectors = svds(matrix, k=rank, v0=start, return_singular_vectors="vh")
        vectors = vectors[np.argsort(-values, kind="stable")]
    else:  # the iterative solver cannot give (nearly) all of them
        vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)[2][:rank]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.where(largest < 0, -1.0, 1.0)).T
