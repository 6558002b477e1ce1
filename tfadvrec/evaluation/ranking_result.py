"""What one evaluation found: means, values per user, who was counted, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import bootstrap_means, mean_interval, percentiles


@dataclass(frozen=True, eq=False)
class RankingResult:
    """Ranking quality of one model on one split.

    Attributes:
        users: int32 `(users,)` rows of the evaluated users.
        per_user: Metric name -> float64 `(users,)`; NaN where a user has no value.
        overall: Metrics of all lists together (coverage, Gini index).
        k: The cuts.
        counts: Who and what was counted, dropped or excluded, and why.
        mask: What was never ranked, in words.
        policy: How ties, divisors and missing values are treated, in words.
        lists: int32 `(users, length)` recommended item rows, -1 as padding, where they were kept.
    """

    users: np.ndarray
    per_user: Mapping[str, np.ndarray]
    overall: Mapping[str, float]
    k: tuple[int, ...]
    counts: Mapping[str, Any]
    mask: str
    policy: str
    lists: np.ndarray | None = None
    _means: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def means(self) -> dict[str, float]:
        """Metric name -> mean over the users that have a value (NaN where none has)."""
        if not self._means:
            for name, value in self.per_user.items():
                known = value[~np.isnan(value)]
                self._means[name] = float(known.mean()) if len(known) else float("nan")
            self._means.update(self.overall)
        return dict(self._means)

    def interval(
        self, metric: str, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> tuple[float, float]:
        """Bootstrap interval of a metric's mean over users.

        Says how far the mean would move with other users of the same kind; it does not cover
        other training seeds (see `over_seeds`).

        Args:
            metric: A name of `per_user`.
            resamples: Number of resampled user sets.
            level: Coverage of the interval.
            seed: Seed of the resampling.

        Returns:
            `(low, high)`.
        """
        return mean_interval(self.values(metric), resamples=resamples, level=level, seed=seed)

    def intervals(
        self, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """`interval` of every metric of `per_user`; the users are drawn once for all of them."""
        if not self.per_user:
            return {}
        columns = np.stack([*self.per_user.values()], axis=1)
        drawn = bootstrap_means(columns, resamples=resamples, seed=seed)
        return {
            name: percentiles(column, level=level)
            for name, column in zip(self.per_user, drawn.T, strict=True)
        }

    def values(self, metric: str) -> np.ndarray:
        """Values per user of a metric, float64 `(users,)`.

        Raises:
            ValueError: If the metric was not computed, or is not a mean over users.
        """
        if metric in self.per_user:
            return self.per_user[metric]
        if metric in self.overall:
            raise ValueError(
                f"{metric!r} belongs to all lists together and has no value per user, so it has "
                f"no interval over users. Metrics with one: {', '.join(self.per_user)}."
            )
        raise ValueError(
            f"{metric!r} was not computed. Computed: {', '.join(self.means)}. "
            "Name it in evaluate(..., metrics=..., k=...)."
        )

    def restrict(self, users: Sequence[int] | np.ndarray) -> "RankingResult":
        """The same result for some of the users only, for slices (say, users new to train).

        Metrics of all lists together are left out: they cannot be split by user.
        """
        kept = np.isin(self.users, np.asarray(users))
        return RankingResult(
            users=self.users[kept],
            per_user={name: value[kept] for name, value in self.per_user.items()},
            overall={},
            k=self.k,
            counts={
                **self.counts,
                "evaluated": int(kept.sum()),
                "restricted from": len(self.users),
            },
            mask=self.mask,
            policy=self.policy,
        )

    def to_dict(self, *, resamples: int = 0, seed: int = 0) -> dict[str, Any]:
        """A JSON-able record; with `resamples`, the means come with their intervals.

        A metric that no user has a value of is `None`.
        """
        record: dict[str, Any] = {
            "means": {name: _finite(value) for name, value in self.means.items()},
            "k": list(self.k),
            "counts": dict(self.counts),
            "mask": self.mask,
            "policy": self.policy,
        }
        if resamples:
            found = self.intervals(resamples=resamples, seed=seed)
            record["intervals"] = {n: [_finite(v) for v in ends] for n, ends in found.items()}
        return record


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
