"""Exact binomial intervals and true-positive rates at small false-positive rates."""

from typing import Any

import numpy as np


def clopper_pearson(hits: int, of: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a share.

    Args:
        hits: How many of them.
        of: Of how many.
        level: Coverage.

    Returns:
        `(low, high)`; `(0, 1)` of none.

    Example:

    >>> low, high = clopper_pearson(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)

    Reference: Clopper and Pearson, The use of confidence or fiducial limits (1934).
    """
    from scipy.special import betaincinv

    if not of:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, of - hits + 1, tail))
    high = 1.0 if hits == of else float(betaincinv(hits + 1, of - hits, 1 - tail))
    return low, high


def rate(hits: int, of: int) -> dict[str, Any]:
    """A share with its counts and its exact 95% interval."""
    low, high = clopper_pearson(hits, of)
    return {"value": hits / of if of else None, "hits": hits, "of": of, "low": low, "high": high}


def threshold_at(non_members: np.ndarray, false_positive_rate: float) -> float:
    """The smallest threshold that at most this share of non-members exceeds.

    Args:
        non_members: Scores `(n,)`.
        false_positive_rate: The share, between 0 and 1.

    Example:

    >>> threshold_at(np.arange(100.0), 0.01)  # one of a hundred lies above 98
    98.0
    """
    allowed = int(np.floor(false_positive_rate * len(non_members) + 1e-9))
    ordered = np.sort(non_members)[::-1]
    return float(ordered[allowed]) if allowed < len(ordered) else -np.inf


def receiver_curve(members: np.ndarray, non_members: np.ndarray) -> list[list[float]]:
    """Points `[false-positive rate, true-positive rate]` from strict to lax, at most 200.

    Example:

    >>> receiver_curve(np.array([2.0, 3.0]), np.array([1.0, 2.5]))
    [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]
    """
    values = np.unique(np.concatenate([members, non_members]))[::-1]
    above = [
        len(scores) - np.searchsorted(np.sort(scores), values, side="left")
        for scores in (non_members, members)
    ]
    points = np.stack([above[0] / len(non_members), above[1] / len(members)], axis=1)
    points = np.concatenate([[[0.0, 0.0]], points])
    if len(points) > 200:
        spaced = np.geomspace(1, len(points) - 1, 199).round().astype(int)
        points = points[np.unique(np.concatenate([[0], spaced]))]
    return points.tolist()
