"""The log's own best low-rank approximation."""

import keras
import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from tfadvrec.data import Interactions
from tfadvrec.data.multi_hot import multi_hot
from tfadvrec.models.baselines.factor_recommender import FactorRecommender
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class PureSVD(FactorRecommender):
    """Ranks by the truncated singular value decomposition of the binary log.

    With X ≈ U Σ Vᵀ of rank r the scores are X V Vᵀ = (U Σ) Vᵀ; the model keeps U Σ as
    `user_factors` `(n_users, rank)` and V as `item_factors` `(n_items, rank)`. Components are in
    order of falling singular value, and the entry of V that is largest in size is positive, so
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

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "wine"])
    >>> model = PureSVD(n_users=3, n_items=3, rank=2).fit(log)
    >>> model.score_catalogue([0]).numpy().round(3).tolist()
    [[1.0, 1.0, 0.0]]

    Reference: Cremonesi, Koren and Turrin, Performance of recommender algorithms on top-N
    recommendation tasks (RecSys 2010), section 3.2.
    """

    def matrix(self, log: Interactions) -> csr_matrix:
        """The binary log."""
        return log.csr().astype(np.float64)

    def embed_history(self, history: tf.Tensor) -> tf.Tensor:
        """Folds users in who are known by what they took: x V, the same as U Σ of a row x.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Returns:
            `(batch, rank)`.
        """
        return tf.matmul(multi_hot(history, self.n_items), self.item_factors.value)
