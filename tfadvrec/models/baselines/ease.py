"""A linear autoencoder in closed form: the bar that every model has to clear."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from scipy.linalg import cho_factor, cho_solve

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import bound, check_size
from tfadvrec.models.baselines.history_recommender import HistoryRecommender
from tfadvrec.models.recommender import check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class EASE(HistoryRecommender):
    """Predicts each item from all others by one ridge regression a column.

    With the binary matrix X of the log, H = (XᵀX + λI)⁻¹ and weights W_ij = −H_ij / H_jj,
    W_jj = 0, a user's scores are x_u W. H is computed in float64, W is kept in float32.

    Memory: W takes `4 * n_items ** 2` bytes and the fit about five times as much (6.7 GB and
    34 GB at 41,000 items): a model for catalogues of up to some ten thousand items.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        regularization: The paper's λ; larger is smoother.
        name: Name of the model.

    Raises:
        ValueError: If `regularization` is not above zero.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "jam"])
    >>> model = EASE(n_users=3, n_items=2, regularization=1.0).fit(log)
    >>> model.weight_matrix.numpy().astype(float).round(3).tolist()  # 2 / (3 + 1) and 2 / (2 + 1)
    [[0.0, 0.5], [0.667, 0.0]]

    Reference: Steck, Embarrassingly shallow autoencoders for sparse data (WWW 2019), eq. 8.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        regularization: float = 100.0,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if not regularization > 0:
            raise ValueError(
                f"EASE expects regularization > 0 (usual are 50 to 3000), got {regularization!r}."
            )
        self.regularization = float(regularization)
        self.weight_matrix = self.add_weight(
            shape=(n_items, n_items), initializer="zeros", trainable=False, name="weight_matrix"
        )
        self.built = True

    def fit(self, log: Interactions) -> Self:
        """Solves for the weights and remembers the log as the users' history.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        matrix = log.csr().astype(np.float64)
        gram = (matrix.T @ matrix).toarray()
        gram[np.diag_indices(self.n_items)] += self.regularization
        inverse = cho_solve(cho_factor(gram, overwrite_a=True), np.eye(self.n_items))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        self.weight_matrix.assign(weights.astype(np.float32))
        return self

    def score_catalogue(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the rows x_u W of the users, `(batch, n_items)`."""
        rows = check_rows(users, self.n_users, "user")
        taken = bound(self._taken, self).sparse(rows)
        return tf.sparse.sparse_dense_matmul(taken, self.weight_matrix.value)

    def summed(self, taken: tf.Tensor) -> tf.Tensor:
        """Scores of histories, both `(batch, n_items)`."""
        return tf.matmul(taken, self.weight_matrix.value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "regularization": self.regularization,
            "name": self.name,
        }
