"""How long each signal has been beyond its limits: what is worth a warning, and what an action."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from tfadvrec.games.health.limit import ACT, DIVERSITY, OK, WARN, Limit


class Breach(NamedTuple):
    """A signal that has been beyond a limit for `patience` measurements.

    Attributes:
        signal: Its name.
        value: The latest value.
        level: 1 (warn) or 2 (act).
        bound: The bound that the value is beyond.
        meaning: What that usually means.
        fresh: Whether it is told for the first time.
    """

    signal: str
    value: float
    level: int
    bound: float | None
    meaning: str
    fresh: bool = True

    def message(self, patience: int) -> str:
        """What happened, in words."""
        if self.bound is None:
            return self.meaning
        return (
            f"{self.signal} {self.value:.4g} is beyond {self.bound:g}, {patience} times in a row "
            f"({self.meaning})"
        )


class Streaks:
    """Counts consecutive breaches of each signal.

    A warning is told once, and again only after the signal has recovered or got worse. A breach
    that calls to act is told at every measurement (`fresh` the first time), until `forget`.

    Args:
        limits: Signal -> limit.
        patience: Consecutive measurements beyond a limit that make a breach.
    """

    def __init__(self, limits: Mapping[str, Limit], *, patience: int = 3):
        self.limits, self.patience = dict(limits), patience
        self.forget()

    def forget(self) -> None:
        """Forgets everything that was counted."""
        self._warn: dict[str, int] = {}
        self._act: dict[str, int] = {}

    def levels(self, values: Mapping[str, float]) -> dict[str, int]:
        """Signal -> 0, 1 or 2, for the signals that have limits; counts nothing."""
        return {n: self.limits[n].level(v) for n, v in values.items() if n in self.limits}

    def update(self, values: Mapping[str, float]) -> list[Breach]:
        """Takes one measurement in.

        Args:
            values: Signal -> value; signals without a limit are passed over.

        Returns:
            The breaches to tell, the gravest first.
        """
        told = []
        for name, level in self.levels(values).items():
            self._warn[name] = self._warn.get(name, 0) + 1 if level >= WARN else 0
            self._act[name] = self._act.get(name, 0) + 1 if level == ACT else 0
            if self._act[name] >= self.patience:
                told.append(self._breach(name, values, ACT))
            elif self._warn[name] == self.patience:
                told.append(self._breach(name, values, WARN))
        return sorted(told, key=lambda breach: -breach.level)

    def _breach(self, name: str, values: Mapping[str, float], level: int) -> Breach:
        limit, value = self.limits[name], float(values[name])
        meaning = limit.meaning(value)
        chance = [values[key] for key in ("accuracy_real", "accuracy_fake") if key in values]
        if name in DIVERSITY and chance and all(0.45 < accuracy < 0.55 for accuracy in chance):
            meaning += "; the discriminator is at chance all the same, so it is dead, not beaten"
        fresh = level == WARN or self._act[name] == self.patience
        return Breach(name, value, level, limit.bound(value), meaning, fresh)


def failure(names: list[str]) -> Breach:
    """The breach of values that are NaN or infinite; it needs no patience."""
    meaning = f"numerical failure: {', '.join(names)} is NaN or infinite"
    return Breach("not_finite", math.nan, ACT, None, meaning)


def healthy(levels: Mapping[str, int]) -> bool:
    """Whether no signal calls to act: a state that is worth going back to."""
    return all(level in (OK, WARN) for level in levels.values())
