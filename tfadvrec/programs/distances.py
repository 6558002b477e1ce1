"""How far generated values are from real ones."""

from typing import Any

import numpy as np


def rating_errors(predicted: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """RMSE and MAE of paired ratings.

    Example:
        >>> rating_errors(np.array([3.0, 5.0]), np.array([4.0, 5.0]))["mae"]
        0.5
    """
    gap = np.asarray(predicted, np.float64) - np.asarray(given, np.float64)
    return {"rmse": float(np.sqrt(np.mean(gap**2))), "mae": float(np.mean(np.abs(gap)))}


def nearest_level(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Which level each value is nearest to.

    Args:
        values: Numbers of any shape.
        levels: `(m,)` sorted levels.

    Returns:
        Positions in `levels`, of the shape of `values`.

    Example:
        >>> nearest_level(np.array([0.2, 1.4, 1.6, 9.0]), np.array([1.0, 2.0, 3.0])).tolist()
        [0, 0, 1, 2]
    """
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values, side="right")


def kl_divergence(first: np.ndarray, second: np.ndarray, *, floor: float = 0.5) -> float:
    """Kullback-Leibler divergence KL(first | second) of two histograms, in nats.

    A bin that is empty in `second` alone would make it infinite, and adding 1e-10 to each bin
    makes it whatever 1e-10 makes it. Here `floor` counts are added to every bin of both
    (Jeffreys' prior for 0.5): finite, and what it is goes away as samples grow.

    Args:
        first: `(bins,)` counts.
        second: `(bins,)` counts.
        floor: What is added to each bin.

    Example:
        >>> kl_divergence(np.array([10, 20]), np.array([10, 20]))
        0.0
        >>> bool(np.isfinite(kl_divergence(np.array([5, 5]), np.array([10, 0]))))
        True
    """
    first, second = np.asarray(first, np.float64) + floor, np.asarray(second, np.float64) + floor
    first, second = first / first.sum(), second / second.sum()
    return float(np.sum(first * np.log(first / second)))


def earth_movers_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The exact Wasserstein-1 distance of two equally large samples, by optimal assignment.

    Args:
        first: `(n, d)` points.
        second: `(n, d)` points.

    Example:
        >>> points = np.array([[0.0, 0.0], [1.0, 0.0]])
        >>> earth_movers_distance(points, points[::-1] + np.array([3.0, 4.0]))
        5.0
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if len(first) != len(second):
        raise ValueError(f"expected samples of one size, got {len(first)} and {len(second)}.")
    cost = cdist(first, second)
    return float(cost[linear_sum_assignment(cost)].mean())


def neighbourhoods(real: np.ndarray, made: np.ndarray, *, k: int = 5) -> dict[str, float]:
    """Whether made samples lie where real ones are, and whether they lie everywhere there.

    Args:
        real: `(n, d)` held-out real samples.
        made: `(m, d)` made samples.
        k: A real sample's neighbourhood reaches to its `k`-th nearest real sample.

    Returns:
        `"precision"`, the share of made samples inside a real neighbourhood; `"coverage"`, the
        share of real neighbourhoods with a made sample inside; `"told_apart"`, the accuracy of
        nearest-neighbour classification, real against made, on equally many of both: 0.5 where
        nothing tells them apart, 1 where everything does, below 0.5 for copies.

    Reference: Kynkäänniemi et al., Improved Precision and Recall Metric, NeurIPS 2019; Naeem et
    al., Reliable Fidelity and Diversity Metrics, ICML 2020 (coverage); Lopez-Paz and Oquab,
    Revisiting Classifier Two-Sample Tests, ICLR 2017.
    """
    from scipy.spatial.distance import cdist

    between = cdist(real, made)
    within = cdist(real, real)
    radius = np.sort(within, axis=1)[:, k]  # column 0 is the sample itself
    inside = between <= radius[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "coverage": float(inside.any(axis=1).mean()),
        "told_apart": _told_apart(within, between, cdist(made, made)),
    }


def _told_apart(within: np.ndarray, between: np.ndarray, among: np.ndarray) -> float:
    count = min(between.shape)
    within, between, among = (part[:count, :count].copy() for part in (within, between, among))
    np.fill_diagonal(within, np.inf)
    np.fill_diagonal(among, np.inf)
    real = within.min(axis=1) < between.min(axis=1)
    made = among.min(axis=1) < between.min(axis=0)
    return float((real.mean() + made.mean()) / 2)


def rounded(value: Any, digits: int = 5) -> Any:
    """Numbers of a record with so many digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part, digits) for part in value]
    return round(float(value), digits) if isinstance(value, float | np.floating) else value
