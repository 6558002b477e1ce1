"""Distances of two distributions, from counts of categories or from samples of a number."""

import numpy as np


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Half the sum of absolute differences of two distributions: 0 the same, 1 disjoint.

    Args:
        p: Counts or probabilities of any shape.
        q: The same of another distribution, cell by cell.

    Example:

    >>> total_variation(np.array([1, 3]), np.array([2, 2]))
    0.25
    """
    p, q = _shares(p), _shares(q)
    return float(np.abs(p - q).sum() / 2)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon distance: the root of the divergence with logarithms of base 2.

    It is a metric, 0 for the same distribution and 1 for disjoint ones, and finite where one of
    them has no mass.

    Args:
        p: Counts or probabilities of any shape.
        q: The same of another distribution, cell by cell.

    Example:

    >>> jensen_shannon(np.array([1, 0]), np.array([0, 5]))
    1.0

    Reference: Lin, Divergence measures based on the Shannon entropy (1991); Endres and
    Schindelin, A new metric for probability distributions (2003).
    """
    p, q = _shares(p), _shares(q)
    middle = (p + q) / 2
    both = (_relative(p, middle) + _relative(q, middle)) / 2
    return float(np.sqrt(max(0.0, both)))


def kullback_leibler(p: np.ndarray, q: np.ndarray, *, pseudo_count: float = 0.5) -> float:
    """Divergence KL(p || q) in bits, of counts to each of which a pseudo-count is added.

    Without the pseudo-count it is infinite as soon as `q` lacks what `p` has, so it depends on
    how much is added: `jensen_shannon` leads, this is printed beside it.

    Args:
        p: Counts of the distribution that the expectation is taken over.
        q: Counts of the other.
        pseudo_count: What is added to every cell of both.

    Example:

    >>> kullback_leibler(np.array([1, 0]), np.array([0, 1]), pseudo_count=1.0)
    0.3333333333333333
    """
    p, q = (_shares(np.asarray(counts, np.float64) + pseudo_count) for counts in (p, q))
    return _relative(p, q)


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest gap between the cumulative distributions of two samples of a number.

    Args:
        a: Values `(n,)`.
        b: Values `(m,)`.

    Example:

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    values, of_a, of_b = _cumulative(a, b)
    return float(np.abs(of_a - of_b).max()) if len(values) else 0.0


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples, in the unit of the values.

    Args:
        a: Values `(n,)`.
        b: Values `(m,)`.

    Example:

    >>> wasserstein(np.array([1.0, 2.0]), np.array([2.0, 5.0]))
    2.0
    """
    values, of_a, of_b = _cumulative(a, b)
    return float((np.abs(of_a - of_b)[:-1] * np.diff(values)).sum())


def _cumulative(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values of both in order, and the share of each sample up to each of them."""
    a, b = np.sort(np.asarray(a, np.float64)), np.sort(np.asarray(b, np.float64))
    if not len(a) or not len(b):
        raise ValueError(f"expected values in both samples, got {len(a)} and {len(b)}.")
    values = np.unique(np.concatenate([a, b]))
    shares = [np.searchsorted(x, values, side="right") / len(x) for x in (a, b)]
    return values, shares[0], shares[1]


def _shares(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts, np.float64)
    total = counts.sum()
    if not total > 0 or counts.min() < 0:
        raise ValueError("expected counts of at least 0 with a sum above 0.")
    return counts / total


def _relative(p: np.ndarray, q: np.ndarray) -> float:
    """Relative entropy in bits; `q` has mass wherever `p` has."""
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
