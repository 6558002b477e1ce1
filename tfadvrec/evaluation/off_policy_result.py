"""What another policy would have earned, estimated from a log, in three ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import bootstrap_means, percentiles

ESTIMATES = ("logged", "ips", "snips", "dr")


@dataclass(frozen=True, eq=False)
class OffPolicyResult:
    """Mean reward of a policy, estimated from what another one logged.

    Attributes:
        reward: float64 `(n,)`, what was earned.
        weight: float64 `(n,)`, the policy's probability of the logged action over the logged one.
        corrected: float64 `(n,)`, the doubly robust term of each row, or None without a model.
        owner: `(n,)`: whole owners are resampled for intervals.
    """

    reward: np.ndarray
    weight: np.ndarray
    corrected: np.ndarray | None
    owner: np.ndarray

    @property
    def means(self) -> dict[str, float]:
        """`logged` (what the logging policy earned), `ips`, `snips`, and `dr` with a model."""
        columns = self._columns()
        return {name: float(_estimate(name, columns.mean(axis=0))) for name in self._names()}

    @property
    def facts(self) -> Mapping[str, float]:
        """What the estimates stand on: rows, effective sample size, weights' mean and largest.

        The effective sample size is (sum w)^2 / sum w^2; the mean weight is 1 in expectation where
        the propensities are right and the logging policy tried every action of the policy.
        """
        total, squares = self.weight.sum(), (self.weight**2).sum()
        return {
            "rows": float(len(self.reward)),
            "rewards": float(self.reward.sum()),
            "effective_sample_size": float(total**2 / squares) if squares else 0.0,
            "mean_weight": float(self.weight.mean()),
            "largest_weight": float(self.weight.max()),
        }

    def interval(
        self, estimate: str, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> tuple[float, float]:
        """Bootstrap interval of an estimate; whole owners are resampled."""
        if estimate not in self._names():
            raise ValueError(f"estimate must be one of {self._names()}. Received: {estimate!r}")
        _, place = np.unique(self.owner, return_inverse=True)
        columns = self._columns()
        sums = np.stack([np.bincount(place, column) for column in columns.T], axis=1)
        drawn = bootstrap_means(sums, resamples=resamples, seed=seed)
        return percentiles(_estimate(estimate, drawn.T), level=level)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        intervals = {name: list(self.interval(name)) for name in self._names()}
        return {"means": self.means, "intervals": intervals, "facts": dict(self.facts)}

    def _names(self) -> tuple[str, ...]:
        return ESTIMATES if self.corrected is not None else ESTIMATES[:-1]

    def _columns(self) -> np.ndarray:
        """Rows, rewards, weights, weighted rewards, doubly robust terms: `(n, 5)`."""
        nothing = np.zeros_like(self.reward)
        corrected = nothing if self.corrected is None else self.corrected
        ones = np.ones_like(self.reward)
        return np.stack(
            [ones, self.reward, self.weight, self.weight * self.reward, corrected], axis=1
        )


def _estimate(name: str, sums: Any) -> Any:
    """An estimate from the sums (or means) of `_columns`, each a number or an array of draws."""
    rows, reward, weight, weighted, corrected = sums
    if name == "snips":
        with np.errstate(invalid="ignore", divide="ignore"):
            return weighted / weight
    return {"logged": reward, "ips": weighted, "dr": corrected}[name] / rows
