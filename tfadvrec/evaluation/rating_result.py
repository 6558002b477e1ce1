"""How far predicted ratings are from the given ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import bootstrap_means, percentiles


@dataclass(frozen=True, eq=False)
class RatingResult:
    """Rating errors of one model.

    Attributes:
        users: int32 `(users,)` rows of the users with rated held-out items.
        sums: `"absolute"`, `"squared"`, `"count"` -> float64 `(users,)` sums of a user's errors.
        counts: What was counted.
    """

    users: np.ndarray
    sums: Mapping[str, np.ndarray]
    counts: Mapping[str, int]

    @property
    def means(self) -> dict[str, float]:
        """`rmse` and `mae` over all ratings."""
        total = self.sums["count"].sum()
        return {
            "rmse": float(np.sqrt(self.sums["squared"].sum() / total)),
            "mae": float(self.sums["absolute"].sum() / total),
        }

    def interval(
        self, metric: str, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> tuple[float, float]:
        """Bootstrap interval of `rmse` or `mae`; whole users are resampled."""
        if metric not in ("rmse", "mae"):
            raise ValueError(f"metric must be 'rmse' or 'mae', got {metric!r}")
        kind = "squared" if metric == "rmse" else "absolute"
        columns = np.stack([self.sums[kind], self.sums["count"]], axis=1)
        drawn = bootstrap_means(columns, resamples=resamples, seed=seed)
        ratio = drawn[:, 0] / drawn[:, 1]
        return percentiles(np.sqrt(ratio) if metric == "rmse" else ratio, level=level)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {"means": self.means, "counts": dict(self.counts)}
