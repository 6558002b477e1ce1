"""Resampling of users."""

import numpy as np

_BLOCK = 4_000_000


def bootstrap_means(values: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Means of resampled users.

    All columns see the same resampled users, so differences and ratios of columns are paired.

    Args:
        values: `(users,)` or `(users, columns)`; NaN values are left out of their column's mean.
        resamples: Number of resamples.
        seed: Seed; the same seed and number of users resample the same users.

    Returns:
        float64 `(resamples,)` or `(resamples, columns)`.
    """
    count = len(values)
    if count == 0:
        raise ValueError("no users to resample: no user has a value of the metric")
    table = np.asarray(values, np.float64).reshape(count, -1)
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, table.shape[1]))
    block = max(1, _BLOCK // count)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = rng.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        weight = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        weight = weight.astype(np.float64)
        total = weight.sum(axis=1)[:, None] if known.all() else weight @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start : start + size] = (weight @ filled) / total
    return means[:, 0] if np.ndim(values) == 1 else means


def mean_interval(
    values: np.ndarray, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `(users,)` values.

    Example:

    >>> low, high = mean_interval(np.arange(100.0))
    >>> bool(low < 49.5 < high)
    True
    """
    return percentiles(bootstrap_means(values, resamples=resamples, seed=seed), level=level)


def percentiles(drawn: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of resampled values; NaN ones (an undefined ratio) are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(drawn, [tail, 100.0 - tail])
    return float(low), float(high)
