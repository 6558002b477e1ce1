"""Distances of two logs, column by column."""

import numpy as np

from tfadvrec.synthesis.column import CATEGORY, NUMBER, Column
from tfadvrec.synthesis.distances import (
    jensen_shannon,
    kolmogorov_smirnov,
    kullback_leibler,
    total_variation,
    wasserstein,
)

BINS = 20
PSEUDO_COUNT = 0.5

POLICY = (
    "TV is total variation; JS the Jensen-Shannon distance, the root of the divergence with logs "
    "of base 2; KL is KL(real || other) in bits with "
    f"{PSEUDO_COUNT:g} added to every count. A category's cells are its values in either log; a "
    f"number with more than 25 values is cut at {BINS - 1} quantiles of the real one. KS is the "
    "Kolmogorov-Smirnov distance and W1 the Wasserstein-1 distance in the column's own unit, "
    "numbers only."
)


def column_distances(real: Column, other: Column) -> dict[str, float]:
    """Distances between one column of two logs.

    Args:
        real: The real log's column; KL's expectation and the bins of numbers are its.
        other: The same column of the other log.

    Returns:
        `"tv"`, `"js"`, `"kl"`, and for numbers also `"ks"` and `"wasserstein"`.

    Example:

    >>> a = Column("hour", np.array([1, 1, 2, 2]), "category", "interaction")
    >>> b = Column("hour", np.array([1, 2, 2, 2]), "category", "interaction")
    >>> column_distances(a, b)["tv"]
    0.25
    """
    if not len(real) or not len(other):
        raise ValueError(
            f"column {real.name!r} has no values in one of the logs ({len(real)} and "
            f"{len(other)}), so there is no distance."
        )
    p, q = histograms(real, other)
    found = {
        "tv": total_variation(p, q),
        "js": jensen_shannon(p, q),
        "kl": kullback_leibler(p, q, pseudo_count=PSEUDO_COUNT),
    }
    if real.kind != CATEGORY:
        found["ks"] = kolmogorov_smirnov(real.values, other.values)
        found["wasserstein"] = wasserstein(real.values, other.values)
    return found


def histograms(real: Column, other: Column) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both columns over the same cells.

    Args:
        real: The column that the bins of a number come from.
        other: The other.

    Returns:
        Two arrays `(cells,)`.
    """
    a, b, size = cells(real, other)
    return np.bincount(a, minlength=size), np.bincount(b, minlength=size)


def cells(real: Column, other: Column, *, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, int]:
    """Numbers the cells of two columns alike.

    Returns:
        The cell of each value of the one and of the other, and the number of cells.
    """
    if real.kind == NUMBER:
        inner = np.unique(np.quantile(real.values, np.arange(1, bins) / bins))
        found = [np.searchsorted(inner, c.values, side="left") for c in (real, other)]
        return found[0], found[1], len(inner) + 1
    values, at = np.unique(np.concatenate([real.values, other.values]), return_inverse=True)
    at = at.reshape(-1)
    return at[: len(real)], at[len(real) :], len(values)
