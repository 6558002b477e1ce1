"""The low-pass filter of the interaction graph: what linear graph models converge to."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.baselines.pure_svd import right_singular_vectors
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class SpectralFilter(Recommender):
    """Ranks by the truncated decomposition of the degree-normalised log.

    With D^-1/2 X D^-1/2 = U Σ Vᵀ of rank r (degrees of users on the left, of items on the right)
    the scores are U Σ Vᵀ: the smoothest r signals on the graph of users and items. `PureSVD` is the
    same without the degrees, which lets popular items rule.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        rank: Number of singular vectors, at most `min(n_users, n_items)`.
        seed: Start of the iterative decomposition; shows only in the last digits.
        name: Name of the model.

    Raises:
        ValueError: If `rank` is below 1 or above `min(n_users, n_items)`.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "wine"])
    >>> model = SpectralFilter(n_users=3, n_items=3, rank=2).fit(log)
    >>> model.score_catalogue([0]).numpy().round(3).tolist()
    [[0.5, 0.5, 0.0]]

    Reference: Shen et al., How Powerful is Graph Convolution for Recommendation? CIKM 2021,
    section 4.2 (the ideal low-pass filter).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        rank: int = 64,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if not 1 <= rank <= min(n_users, n_items):
            raise ValueError(
                f"SpectralFilter expects 1 <= rank <= {min(n_users, n_items)}, the smaller of "
                f"n_users={n_users} and n_items={n_items}, got {rank!r}."
            )
        self.rank, self.seed = int(rank), int(seed)
        self.user_factors = self.add_weight(
            shape=(n_users, rank), initializer="zeros", trainable=False, name="user_rows"
        )
        self.item_factors = self.add_weight(
            shape=(n_items, rank), initializer="zeros", trainable=False, name="item_rows"
        )
        self.built = True

    def fit(self, log: Interactions) -> Self:
        """Decomposes the log.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        matrix = log.csr().astype(np.float64)
        matrix.data[:] = 1
        left, right = (_inverse_root(matrix.sum(axis=axis)) for axis in (1, 0))
        matrix = (left @ matrix @ right).tocsr()
        factors = right_singular_vectors(matrix, self.rank, self.seed)
        self.item_factors.assign(factors.astype(np.float32))
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
        """Returns the items' factors V, `(batch, rank)`."""
        return tf.gather(self.item_factors.value, check_rows(items, self.n_items, "item"))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "rank": self.rank,
            "seed": self.seed,
            "name": self.name,
        }


def _inverse_root(degree: np.ndarray) -> sparse.dia_matrix:
    degree = np.asarray(degree).ravel()
    return sparse.diags(np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0))
