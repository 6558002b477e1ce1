"""People who took this also took that."""

from typing import Any, Self

import keras
import numpy as np
from scipy.sparse import csr_matrix

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.baselines.neighbour_recommender import NeighbourRecommender, nearest
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ItemKNN(NeighbourRecommender):
    """Scores an item by how much its nearest neighbours overlap with what the user took.

    S_ij = n_ij / (√(N_i N_j) + h), n_ij users of both, N_i users of i; zero diagonal; of each
    column j the `neighbours` largest entries are kept, of equal ones those of lower rows. A user's
    score of j is the sum of S_ij over the items i of their history. Only the kept neighbours are
    stored.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        neighbours: The k of the method; more than `n_items - 1` keeps all.
        shrink: The h of the method: damps similarities that rest on few users.
        name: Name of the model.

    Raises:
        ValueError: If `neighbours` is below 1 or `shrink` below 0.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "jam"])
    >>> model = ItemKNN(n_users=3, n_items=2, neighbours=1).fit(log)
    >>> model.score_history([[0]]).numpy().astype(float).round(3).tolist()  # 2 / sqrt(3 * 2)
    [[0.0, 0.816]]

    Reference: Deshpande and Karypis, Item-based top-N recommendation algorithms (TOIS 2004).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        neighbours: int = 100,
        shrink: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, neighbours=neighbours, name=name)
        if not shrink >= 0:
            raise ValueError(f"ItemKNN expects shrink >= 0, got {shrink!r}.")
        self.shrink = float(shrink)

    def fit(self, log: Interactions) -> Self:
        """Finds each item's neighbours and remembers the log as the users' history.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        taken = log.csr().astype(np.float64)
        taken_by, users_of = taken.T.tocsr(), np.asarray(taken.sum(axis=0)).ravel()

        def similar(items: slice) -> csr_matrix:
            both = (taken_by[items] @ taken).tocoo()
            of_each = users_of[items][both.row] * users_of[both.col]
            both.data = both.data / (np.sqrt(of_each) + self.shrink)
            return both.tocsr()

        self._store(*nearest(similar, self.n_items, self.neighbours))
        return self

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "neighbours": self.neighbours,
            "shrink": self.shrink,
            "name": self.name,
        }
