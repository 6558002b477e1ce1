"""The low-pass filter of the interaction graph: what linear graph models converge to."""

import keras
import numpy as np
from scipy import sparse

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.factor_recommender import FactorRecommender
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class SpectralFilter(FactorRecommender):
    """Ranks by the truncated decomposition of the degree-normalised log.

    With D_u^-1/2 X D_i^-1/2 = U Σ Vᵀ of rank r (degrees of users and of items) the scores are
    U Σ Vᵀ D_i^1/2: a user's items, filtered down to the smoothest r signals on the graph of users
    and items, in the units of the log again. `PureSVD` is the same without the degrees.

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
    >>> [abs(round(score, 3)) for score in model.score_catalogue([0]).numpy()[0].tolist()]
    [0.707, 0.707, 0.0]

    Reference: Shen et al., How Powerful is Graph Convolution for Recommendation? CIKM 2021,
    section 4.2 (the ideal low-pass filter).
    """

    def matrix(self, log: Interactions) -> sparse.csr_matrix:
        """The binary log over the roots of the degrees of users and items."""
        matrix = log.csr().astype(np.float64)
        left, right = (_inverse_root(matrix.sum(axis=axis)) for axis in (1, 0))
        return (left @ matrix @ right).tocsr()

    def item_scale(self, log: Interactions) -> np.ndarray:
        """The roots of the items' degrees."""
        return np.sqrt(np.asarray(log.csr().sum(axis=0)).ravel().astype(np.float64))


def _inverse_root(degree: np.ndarray) -> sparse.dia_matrix:
    degree = np.asarray(degree).ravel()
    return sparse.diags(np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0))
