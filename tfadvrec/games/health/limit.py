"""When a signal of a game's health is beyond its limit, and what that usually means."""

from dataclasses import asdict, dataclass
from typing import Any

OK, WARN, ACT = 0, 1, 2
LEVELS = ("ok", "warn", "act")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Bounds of one signal: beyond the inner one is a warning, beyond the outer one calls to act.

    Attributes:
        warn_below: A smaller value warns, or None.
        act_below: A smaller value calls to act, or None.
        warn_above: A larger value warns, or None.
        act_above: A larger value calls to act, or None.
        low: What too small a value usually means.
        high: What too large a value usually means.

    Raises:
        ValueError: If an outer bound lies inside its inner one.

    Example:
        >>> limit = Limit(warn_below=0.5, act_below=0.2)
        >>> limit.level(0.6), limit.level(0.4), limit.level(0.1)
        (0, 1, 2)
    """

    warn_below: float | None = None
    act_below: float | None = None
    warn_above: float | None = None
    act_above: float | None = None
    low: str = "too small"
    high: str = "too large"

    def __post_init__(self) -> None:
        """Checks the order of the bounds."""
        below, above = (self.act_below, self.warn_below), (self.warn_above, self.act_above)
        for inner_outer in (below, above):
            if None not in inner_outer and inner_outer[0] > inner_outer[1]:
                raise ValueError(f"acting must lie further out than warning: {self}")

    def level(self, value: float) -> int:
        """0 (fine), 1 (warn) or 2 (act)."""
        if _beyond(value, self.act_below, self.act_above):
            return ACT
        return WARN if _beyond(value, self.warn_below, self.warn_above) else OK

    def bound(self, value: float) -> float | None:
        """The bound that a value is beyond, or None."""
        for below, above in (
            (self.act_below, self.act_above),
            (self.warn_below, self.warn_above),
        ):
            if below is not None and value < below:
                return below
            if above is not None and value > above:
                return above
        return None

    def meaning(self, value: float) -> str:
        """What it usually means that this value is beyond its limit."""
        low = [bound for bound in (self.act_below, self.warn_below) if bound is not None]
        return self.low if low and value < max(low) else self.high

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; `Limit(**...)` is the way back."""
        return asdict(self)


def _beyond(value: float, below: float | None, above: float | None) -> bool:
    return (below is not None and value < below) or (above is not None and value > above)


_STRONG = "the discriminator is too strong: the generator learns little from it"
_DEAD = "the discriminator is one-sided or dead"
_POPULAR = "popularity is over-learned"

# Starting values; they are to be calibrated for a log (`HealthMonitor(limits=...)`).
LIMITS = {
    "coverage": Limit(warn_below=0.5, act_below=0.2, low="collapse onto few items"),
    "gini": Limit(warn_above=0.10, act_above=0.25, high=_POPULAR),
    "entropy": Limit(warn_below=0.8, act_below=0.5, low=_POPULAR),
    "duplicates": Limit(warn_above=0.05, act_above=0.20, high="mode collapse"),
    "accuracy_least": Limit(
        warn_below=0.2, act_below=0.05, warn_above=0.95, act_above=0.99, low=_DEAD, high=_STRONG
    ),
    "gradient_ratio": Limit(
        warn_below=0.01,
        act_below=0.001,
        warn_above=10.0,
        act_above=100.0,
        low="the generator's gradient vanishes",
        high="the generator's gradient explodes",
    ),
}
DIVERSITY = ("coverage", "gini", "entropy", "duplicates")


def merged(changes: dict[str, Any] | None) -> dict[str, Limit]:
    """The standard limits with some changed, added, or taken away (None).

    Args:
        changes: Signal -> `Limit`, its fields as a dict (changed on top of the standard one), or
            None to ignore the signal.

    Raises:
        TypeError: If a limit is something else.
    """
    limits = dict(LIMITS)
    for name, change in (changes or {}).items():
        if change is None:
            limits.pop(name, None)
        elif isinstance(change, Limit):
            limits[name] = change
        elif isinstance(change, dict):
            limits[name] = Limit(**{**limits.get(name, Limit()).to_dict(), **change})
        else:
            raise TypeError(f"limits[{name!r}]: expected a Limit, a dict or None, got {change!r}")
    return limits
