"""The paired difference of two models on the same users."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """Mean over users of a metric of `a` minus the same of `b`.

    Attributes:
        metric: The metric's name.
        difference: Mean of the per-user differences.
        low: Lower end of the paired bootstrap interval over users.
        high: Upper end.
        p_value: Two-sided p-value of the paired randomisation (sign-flip) test.
        wilcoxon: Two-sided p-value of Wilcoxon's signed-rank test.
        users: Users that both models have a value for.
        resamples: Resamples of the bootstrap.
        permutations: Sign flips of the randomisation test.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    wilcoxon: float
    users: int
    resamples: int
    permutations: int

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return asdict(self)
