"""How good predicted probabilities of clicks are: in order, in size, and beside the mean rate."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import percentiles

METRICS = (
    "auc",
    "log_loss",
    "normalised_entropy",
    "calibration_error",
    "predicted_over_observed",
)


@dataclass(frozen=True, eq=False)
class ClickResult:
    """Predicted probabilities beside labels; every figure is worked out from them.

    - `auc`: how likely a click has a higher logit than an impression without one; ties count half.
    - `log_loss`: mean cross-entropy, in nats.
    - `normalised_entropy`: the log loss over that of predicting the mean rate of clicks; below 1
      is better than that.
    - `calibration_error`: expected calibration error, the mean over impressions of |mean
      probability - share of clicks| of their bin; bins hold equally many impressions.
    - `predicted_over_observed`: the sum of probabilities over the number of clicks; 1 is right.

    Attributes:
        label: float64 `(n,)`, 1 or 0.
        logit: float64 `(n,)`.
        owner: `(n,)`: whole owners (users, say) are resampled for intervals; rows where each has
            its own.
        bins: Bins of the calibration error.
        name: What was measured, for tables.

    Reference: He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014,
    equation 1 (normalised entropy); Guo et al., On Calibration of Modern Neural Networks, ICML
    2017, equation 3.
    """

    label: np.ndarray
    logit: np.ndarray
    owner: np.ndarray
    bins: int = 15
    name: str = "model"

    @cached_property
    def probability(self) -> np.ndarray:
        """How likely each impression is clicked, float64 `(n,)`."""
        return np.exp(-np.logaddexp(0.0, -self.logit))

    @property
    def means(self) -> dict[str, float]:
        """Every metric over all impressions."""
        return self._metrics(np.ones(len(self.label)))

    @property
    def counts(self) -> dict[str, int]:
        """What was counted: impressions, clicks and owners."""
        return {
            "impressions": len(self.label),
            "clicks": int(self.label.sum()),
            "owners": len(np.unique(self.owner)),
        }

    def interval(
        self, metric: str, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> tuple[float, float]:
        """Bootstrap interval of a metric; whole owners are resampled, the bins stay."""
        _check(metric)
        drawn = [self._one(metric, weight) for weight in self._weights(resamples, seed)]
        return percentiles(np.array(drawn), level=level)

    def difference(
        self,
        other: "ClickResult",
        metric: str,
        *,
        resamples: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ) -> tuple[float, float, float]:
        """This result's metric minus another's on the same impressions, with its paired interval.

        Returns:
            The difference, and the ends of the bootstrap interval.

        Raises:
            ValueError: The results are not of the same impressions.
        """
        _check(metric)
        same = np.array_equal(self.label, other.label) and np.array_equal(self.owner, other.owner)
        if not same:
            raise ValueError("only results of the same impressions, in one order, can be compared.")
        gaps = [
            self._one(metric, weight) - other._one(metric, weight)
            for weight in self._weights(resamples, seed)
        ]
        whole = self.means[metric] - other.means[metric]
        return (float(whole), *percentiles(np.array(gaps), level=level))

    def calibration(self) -> dict[str, np.ndarray]:
        """The bins: mean `predicted` probability, share `observed`, and `count`, `(bins,)` each."""
        count, predicted, observed = self._binned(np.ones(len(self.label)))
        full = count > 0
        return {
            "predicted": predicted[full] / count[full],
            "observed": observed[full] / count[full],
            "count": count[full],
        }

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {"means": self.means, "counts": self.counts, "bins": self.bins}

    # -- metrics under weights -------------------------------------------------------------

    def _weights(self, resamples: int, seed: int) -> Any:
        rng, (_, place) = (
            np.random.default_rng(seed),
            np.unique(self.owner, return_inverse=True),
        )
        owners = int(place.max()) + 1
        for _ in range(resamples):
            yield np.bincount(rng.integers(0, owners, owners), minlength=owners)[place]

    def _metrics(self, weight: np.ndarray) -> dict[str, float]:
        return {name: self._one(name, weight) for name in METRICS}

    def _one(self, metric: str, weight: np.ndarray) -> float:
        total, clicks = weight.sum(), (weight * self.label).sum()
        if metric == "auc":
            return self._auc(weight)
        if metric == "predicted_over_observed":
            return float((weight * self.probability).sum() / clicks) if clicks else np.nan
        if metric == "calibration_error":
            _, predicted, observed = self._binned(weight)
            return float(np.abs(predicted - observed).sum() / total)
        loss = float((weight * self._losses).sum() / total)
        if metric == "log_loss":
            return loss
        rate = clicks / total
        if not 0 < rate < 1:
            return float("nan")
        return float(loss / -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)))

    def _auc(self, weight: np.ndarray) -> float:
        order, starts = self._order
        clicked = np.add.reduceat((weight * self.label)[order], starts)
        others = np.add.reduceat((weight * (1 - self.label))[order], starts)
        pairs = clicked.sum() * others.sum()
        below = np.cumsum(others) - others
        return float((clicked * (below + 0.5 * others)).sum() / pairs) if pairs else float("nan")

    def _binned(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = (weight, weight * self.probability, weight * self.label)
        return tuple(np.bincount(self._bin, part, minlength=self.bins) for part in parts)

    @cached_property
    def _losses(self) -> np.ndarray:
        return np.logaddexp(0.0, self.logit) - self.label * self.logit

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.logit, kind="stable")
        ranked = self.logit[order]
        return order, np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])

    @cached_property
    def _bin(self) -> np.ndarray:
        edges = np.quantile(self.logit, np.linspace(0, 1, self.bins + 1)[1:-1])
        return np.searchsorted(edges, self.logit, side="left")


def _check(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}. Received: {metric!r}")
