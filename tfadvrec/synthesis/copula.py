"""A Gaussian copula over the columns of a log: margins as observed, association by rank."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis.independent import distinct_pairs, synthetic_log
from tfadvrec.synthesis.shared_items import active_users


def gaussian_copula(log: Interactions, n: int, seed: int = 0) -> Interactions:
    """Draws a synthetic log whose columns depend on each other like correlated normals.

    Two copulas. One over users: profile length and their features. One over interactions: the
    user by activity, the item by popularity, rating, time and every other column; categories are
    ordered by how frequent they are, and equal values share their stretch of ranks at random.
    Which items go together is beyond it: taste is not a rank.

    Args:
        log: The real log.
        n: How many interactions, all of different pairs of user and item.
        seed: Seed.

    Returns:
        A log with the same items and columns and with new users; `real` is False.

    Raises:
        DataError: When so many different pairs cannot be drawn.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> made = gaussian_copula(synthetic(50, 40, n_interactions=500), 400, seed=1)
    >>> len(made), made.n_items, sorted(made.user_features)
    (400, 40, ['age', 'gender', 'occupation'])

    Reference: Patki, Wedge and Veeramachaneni, The synthetic data vault (DSAA 2016).
    """
    rng = np.random.default_rng(seed)
    active = active_users(log)
    lengths = np.bincount(log.user, minlength=log.n_users)[active]
    count = max(1, round(n * len(active) / max(1, len(log))))
    of_users = [lengths, *(_ordered(values[active]) for values in log.user_features.values())]
    length, *others = _Copula(of_users, rng).draw_rows(count, rng)
    features = dict(zip(log.user_features, (active[rows] for rows in others), strict=True))
    drawn = np.sort(lengths[length])
    ranked, edges = np.argsort(lengths[length], kind="stable"), np.cumsum(drawn)
    parts = {"rating": log.rating, "time": log.time}
    parts = {key: values for key, values in parts.items() if values is not None} | log.columns
    activity = np.bincount(log.user, minlength=log.n_users)[log.user]
    columns = [activity, _ordered(log.item, named=True), *map(_ordered, parts.values())]
    copula = _Copula(columns, rng)

    def rows(size: int) -> list[np.ndarray]:
        shares = copula.draw(size, rng)
        position = np.searchsorted(edges, shares[0] * edges[-1], side="right")
        item, *others = copula.rows(shares)[1:]
        return [ranked[np.minimum(position, count - 1)], log.item[item], *others]

    user, item, *others = distinct_pairs(rows, n, log)
    values = dict(zip(parts, others, strict=True))
    return synthetic_log(log, user, item, values, rng, name="Gaussian copula", features=features)


class _Copula:
    """Rank correlation of columns `(n,)`, and the rows of each in their order."""

    def __init__(self, columns: list[np.ndarray], rng: np.random.Generator) -> None:
        from scipy.special import ndtri

        self._order = [np.lexsort((rng.random(len(column)), column)) for column in columns]
        scores = np.empty((len(columns[0]), len(columns)))
        for c, order in enumerate(self._order):
            scores[order, c] = ndtri((np.arange(len(order)) + 0.5) / len(order))
        correlation = np.atleast_2d(np.corrcoef(scores, rowvar=False))
        values, vectors = np.linalg.eigh(correlation)  # semidefinite: no Cholesky
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Positions between 0 and 1 in each column's order, `(columns, count)`."""
        from scipy.special import ndtr

        return ndtr(self._root @ rng.standard_normal((len(self._root), count)))

    def rows(self, shares: np.ndarray) -> list[np.ndarray]:
        """The real rows at these positions, one array a column."""
        found = []
        for share, order in zip(shares, self._order, strict=True):
            place = (share * len(order)).astype(np.int64)
            found.append(order[np.minimum(place, len(order) - 1)])
        return found

    def draw_rows(self, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Rows at drawn positions."""
        return self.rows(self.draw(count, rng))


def _ordered(values: np.ndarray, *, named: bool = False) -> np.ndarray:
    """Numbers that sort like the values: categories by how frequent they are, then by name."""
    if values.dtype.kind in "fiub" and not named:
        return values
    text = values if named or values.dtype.kind in "US" else np.array(list(map(str, values)))
    _, at, counts = np.unique(text, return_inverse=True, return_counts=True)
    return np.lexsort((np.arange(len(counts)), counts)).argsort()[at.reshape(-1)]
