"""People who took this also took that."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size, summed_similarities
from tfadvrec.models.baselines.history_recommender import HistoryRecommender
from tfadvrec.presets import register

COLUMNS = 1024  # items whose neighbours are looked for at once: bounds memory, changes no result


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ItemKNN(HistoryRecommender):
    """Scores an item by how much its nearest neighbours overlap with what the user took.

    S_ij = n_ij / (√(N_i N_j) + h), n_ij users of both, N_i users of i; zero diagonal; of each
    column j the `neighbours` largest entries are kept, of equal ones those of lower rows. A user's
    score of j is the sum of S_ij over the items i of their history. Only the kept neighbours are
    stored: `(n_items, neighbours)`.

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
    >>> model.similarities.numpy().astype(float).round(3).tolist()  # 2 / sqrt(3 * 2)
    [[0.816], [0.816]]

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
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if neighbours < 1:
            raise ValueError(f"ItemKNN expects neighbours >= 1, got {neighbours!r}.")
        if not shrink >= 0:
            raise ValueError(f"ItemKNN expects shrink >= 0, got {shrink!r}.")
        self.neighbours = int(neighbours)
        self.shrink = float(shrink)
        shape = (n_items, min(self.neighbours, n_items))
        self.neighbour_rows = self.add_weight(
            shape=shape,
            dtype="int32",
            initializer="zeros",
            trainable=False,
            name="neighbour_rows",
        )
        self.similarities = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="similarities"
        )
        self.built = True

    def fit(self, log: Interactions) -> Self:
        """Finds each item's neighbours and remembers the log as the users' history.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        matrix = log.csr().astype(np.float64)
        rows = np.zeros(self.neighbour_rows.shape, np.int32)
        values = np.zeros(self.similarities.shape, np.float32)
        for start in range(0, self.n_items, COLUMNS):
            stop = min(start + COLUMNS, self.n_items)
            similarity = self._similarities_to(matrix, np.arange(start, stop))
            rows[start:stop], values[start:stop] = largest(similarity, rows.shape[1])
        self.neighbour_rows.assign(rows)
        self.similarities.assign(values)
        return self

    def _similarities_to(self, matrix: csr_matrix, items: np.ndarray) -> np.ndarray:
        """Returns the rows Sᵀ_j of the given items j, dense `(len(items), n_items)`."""
        users_of = np.asarray(matrix.sum(axis=0)).ravel()
        both = (matrix[:, items].T @ matrix).toarray()
        scale = np.sqrt(users_of[items, None] * users_of[None, :]) + self.shrink
        similarity = np.divide(both, scale, out=np.zeros_like(both), where=both > 0)
        similarity[np.arange(len(items)), items] = 0.0
        return similarity

    def summed(self, taken: tf.Tensor) -> tf.Tensor:
        """Scores of histories, both `(batch, n_items)`."""
        return summed_similarities(self.neighbour_rows.value, self.similarities.value, taken)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "neighbours": self.neighbours,
            "shrink": self.shrink,
            "name": self.name,
        }


def largest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k largest entries of each row; of equal ones at the border, those of lower columns.

    Args:
        values: `(rows, columns)` with at least k columns.
        k: How many to keep.

    Returns:
        Columns `(rows, k)` in ascending order, and the values there.

    Example:

    >>> largest(np.array([[1.0, 3.0, 1.0, 2.0, 1.0]]), 3)[0].tolist()
    [[0, 1, 3]]
    """
    border = np.partition(values, -k, axis=1)[:, -k, None]
    above, equal = values > border, values == border
    room = k - above.sum(axis=1, keepdims=True)
    kept = above | (equal & (np.cumsum(equal, axis=1) <= room))
    columns = np.nonzero(kept)[1].reshape(len(values), k)
    return columns, np.take_along_axis(values, columns, axis=1)
