"""The popularity curve of a log, and how far another log's is from it."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.evaluation.list_metrics import gini

HEAD, MIDDLE = 0.1, 0.5
_POINTS = 60


def popularity_facts(log: Interactions) -> dict[str, float]:
    """How unequally items and users share the interactions.

    The head are the 10% of the catalogue with the most interactions, the tail the half with the
    fewest, by this log's own counts; items without interactions count.

    Args:
        log: The interactions.

    Returns:
        `gini`, `coverage`, masses of `head`, `middle` and `tail`, and `gini of profile lengths`.

    Example:

    >>> log = Interactions.from_arrays([1, 2, 3, 3], [7, 7, 7, 8])
    >>> popularity_facts(log)["gini"], popularity_facts(log)["coverage"]
    (0.25, 1.0)
    """
    counts = np.sort(log.popularity())[::-1]
    share = counts / max(1, counts.sum())
    head, middle = _edges(len(counts))
    lengths = np.bincount(log.user, minlength=log.n_users)
    return {
        "gini": float(gini(counts)),
        "coverage": float((counts > 0).mean()),
        "head": float(share[:head].sum()),
        "middle": float(share[head:middle].sum()),
        "tail": float(share[middle:].sum()),
        "gini of profile lengths": float(gini(lengths[lengths > 0])),
    }


def popularity_distances(real: Interactions, other: Interactions) -> dict[str, float | None]:
    """How another log's popularity differs from a real one's.

    Args:
        real: The real log.
        other: A log with the same items.

    Returns:
        Absolute differences of their `popularity_facts` (`gini`, `coverage`, ...), and the rank
        correlation `spearman of item counts` (None where a log has one count only).
    """
    a, b = popularity_facts(real), popularity_facts(other)
    return {
        **{name: abs(b[name] - a[name]) for name in a},
        "spearman of item counts": _spearman(real.popularity(), other.popularity()),
    }


def rank_frequency(log: Interactions) -> dict[str, list[list[float]]]:
    """Points of the rank-frequency curve, of items and of users.

    Args:
        log: The interactions.

    Returns:
        `items` and `users`, each a list of `[rank, share of all interactions]`, at up to
        60 ranks evenly spaced on a logarithmic axis.
    """
    lengths = np.bincount(log.user, minlength=log.n_users)
    return {"items": _curve(log.popularity()), "users": _curve(lengths)}


def _curve(counts: np.ndarray) -> list[list[float]]:
    counts = np.sort(counts[counts > 0])[::-1]
    if not len(counts):
        return []
    ranks = np.unique(np.geomspace(1, len(counts), _POINTS).round().astype(int))
    share = counts / counts.sum()
    return [[int(rank), float(share[rank - 1])] for rank in ranks]


def _edges(n_items: int) -> tuple[int, int]:
    return max(1, round(HEAD * n_items)), max(1, round(MIDDLE * n_items))


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    from scipy import stats

    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(stats.spearmanr(a, b).statistic)
