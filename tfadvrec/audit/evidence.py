"""Per-user values of everything that was measured, resampled together so that all is paired."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import bootstrap_means, percentiles


class Evidence:
    """A table of per-user columns and the bootstrap over its users.

    Every column sees the same resampled users, so differences and ratios of columns are paired.

    Args:
        resamples: Resamples of the bootstrap.
        seed: Its seed.
    """

    def __init__(self, *, resamples: int = 1000, seed: int = 0):
        self.resamples, self.seed = resamples, seed
        self.columns: dict[Hashable, np.ndarray] = {}
        self._drawn: dict[Hashable, np.ndarray] = {}

    def add(self, key: Hashable, values: np.ndarray) -> None:
        """Stores a column, float64 `(users,)`."""
        self.columns[key] = np.asarray(values, np.float64)

    def mean(self, key: Hashable) -> float:
        """Mean over the users that have a value."""
        column = self.columns[key]
        return float(np.nanmean(column)) if not np.isnan(column).all() else float("nan")

    def drawn(self, key: Hashable) -> np.ndarray:
        """The resampled means of a column, `(resamples,)`."""
        if key not in self._drawn:
            names = [name for name in self.columns if name not in self._drawn]
            table = np.stack([self.columns[name] for name in names], axis=1)
            means = bootstrap_means(table, resamples=self.resamples, seed=self.seed)
            self._drawn.update(zip(names, means.T, strict=True))
        return self._drawn[key]

    def estimate(self, key: Hashable) -> dict[str, Any]:
        """A column's mean with its interval."""
        return entry(self.mean(key), self.drawn(key))

    def difference(self, a: Hashable, b: Hashable) -> dict[str, Any]:
        """Mean of `a` minus mean of `b`."""
        return entry(self.mean(a) - self.mean(b), self.drawn(a) - self.drawn(b))

    def ratio(self, a: Hashable, b: Hashable) -> dict[str, Any]:
        """Mean of `a` over mean of `b`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.float64(self.mean(a)) / self.mean(b)
            return entry(value, self.drawn(a) / self.drawn(b))

    def ratio_difference(
        self, a: tuple[Hashable, Hashable], b: tuple[Hashable, Hashable]
    ) -> dict[str, Any]:
        """Ratio of the pair `a` minus ratio of the pair `b`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.float64(self.mean(a[0])) / self.mean(a[1])
            value -= np.float64(self.mean(b[0])) / self.mean(b[1])
            drawn = self.drawn(a[0]) / self.drawn(a[1]) - self.drawn(b[0]) / self.drawn(b[1])
        return entry(value, drawn)


def entry(value: float, drawn: np.ndarray) -> dict[str, Any]:
    """`{"value", "low", "high"}`; what is undefined is `None`."""
    low, high = percentiles(np.where(np.isfinite(drawn), drawn, np.nan))
    return {"value": number(value), "low": number(low), "high": number(high)}


def number(value: Any) -> float | None:
    """A plain float, or `None` where it is not finite (JSON has no NaN)."""
    return float(value) if np.isfinite(value) else None
