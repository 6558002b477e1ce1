"""Items as vectors for the generator and its critic, and users' tastes in the same space."""

import numpy as np
from scipy.sparse import csr_matrix, diags

_TAILS = 3.0
DIRECT = 256  # items up to which each has a coordinate of its own


def pooled_counts(counts: np.ndarray, rare: int) -> np.ndarray:
    """Item counts in which all items with fewer than `rare` share their mean.

    An item that one person took would tell, by being generated, that the person was there; so
    rare items, those that nobody took included, are as likely as each other.

    Args:
        counts: `(n_items,)`.
        rare: Count from which an item stands for itself.

    Example:

    >>> pooled_counts(np.array([9, 1, 0, 2]), 3).tolist()
    [9.0, 1.0, 1.0, 1.0]
    """
    few = counts < rare
    return np.where(few, counts[few].mean() if few.any() else 0.0, counts)


def item_table(
    matrix: csr_matrix, dimension: int, *, rare: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of items, as PureSVD finds them, or one-hot ones of a small catalogue.

    Args:
        matrix: `(users, items)` of ones.
        dimension: Length of the factors.
        rare: Items with fewer interactions share one vector.
        seed: Seed of the factorisation.

    Returns:
        The table of the generator, float32 `(items, dimension or items)`, and the factors
        `(items, dimension)` that tastes are made of.

    Reference: Cremonesi, Koren, Turrin, Performance of Recommender Algorithms on Top-N
    Recommendation Tasks, RecSys 2010 (PureSVD).
    """
    from scipy.sparse.linalg import svds

    counts = np.asarray(matrix.sum(axis=0)).ravel()
    start = np.random.default_rng(seed).normal(size=min(matrix.shape))
    rank = min(dimension, min(matrix.shape) - 1)
    _, values, right = svds(_balanced(matrix), k=rank, v0=start)
    right = right[np.argsort(-values)].T
    right = right * np.where(right[np.abs(right).argmax(axis=0), np.arange(rank)] < 0, -1.0, 1.0)
    factors = np.zeros((matrix.shape[1], dimension))
    factors[:, :rank] = right
    table = np.eye(len(counts)) if len(counts) <= DIRECT else factors / _scale(factors)
    few = counts < rare
    if few.any():
        table[few] = table[few].mean(axis=0)
    return table.astype(np.float32), factors


def period_table(matrix: csr_matrix, period: np.ndarray, *, rare: int) -> np.ndarray:
    """By how much each item's logit is higher in a period than on the whole.

    A tenth of a period's items are as on the whole, so what nobody took there is possible; items
    with fewer interactions than `rare` are as likely in one period as in another.

    Args:
        matrix: `(users, items)` of ones.
        period: `(users, periods)`, one-hot.
        rare: Count from which an item stands for itself.

    Returns:
        float32 `(periods, items)`.

    Example:

    >>> both = csr_matrix([[1, 0], [1, 0], [1, 1], [0, 1]])
    >>> found = period_table(both, np.eye(2)[[0, 0, 1, 1]], rare=1)
    >>> found.astype(float).round(2).tolist()
    [[0.47, -2.3], [-0.51, 0.47]]
    """
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    inside = np.asarray(matrix.T @ period).T
    share = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1.0)
    whole = np.maximum(counts / max(1.0, counts.sum()), 1e-12)
    return np.where(counts < rare, 0.0, np.log(0.9 * share / whole + 0.1)).astype(np.float32)


def taste_codes(matrix: csr_matrix, factors: np.ndarray) -> np.ndarray:
    """Users' tastes: their items' factors summed over the root of the count, standardised.

    Short profiles lie far out in few coordinates; the inverse hyperbolic sine brings them to where
    a network's outputs lie.

    Args:
        matrix: `(users, items)` of ones.
        factors: From `item_table`.

    Returns:
        float32 `(users, dimension)`, each coordinate with mean 0 and deviation 1.
    """
    codes = np.asarray(_balanced(matrix) @ factors)
    return _standard(np.arcsinh(_TAILS * _standard(codes))).astype(np.float32)


def _standard(codes: np.ndarray) -> np.ndarray:
    """Each coordinate with mean 0 and deviation 1."""
    deviation = codes.std(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0)


def _balanced(matrix: csr_matrix) -> csr_matrix:
    """Rows over the root of their length, so that no user counts for many."""
    lengths = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    return (diags(1.0 / np.sqrt(lengths)) @ matrix).astype(np.float64)


def _scale(factors: np.ndarray) -> float:
    """Brings the root mean square length of a used item's vector to 1."""
    lengths = np.square(factors).sum(axis=1)
    return float(np.sqrt(lengths[lengths > 1e-12].mean()))
