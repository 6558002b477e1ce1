"""When made-up events happen: first days, gaps, and the hours and weekdays that were drawn."""

from typing import Any

import numpy as np

from tfadvrec.models.behaviour.conditions import Condition
from tfadvrec.models.behaviour.tables import ARRIVAL, DAY, GAP, HOUR, SAME, clock

_LONG = 3.5 * DAY


def times(
    model: Any,
    start: np.ndarray,
    owner: np.ndarray,
    event: dict[str, np.ndarray],
    condition: Condition,
) -> np.ndarray:
    """Seconds of each event.

    An event follows the one before it by its gap. Where a session begins, it moves to the nearest
    time of the hour that was drawn for it, and after a long gap to the weekday; inside a session
    the gap alone counts. A condition on hour or weekday holds for every event.

    Args:
        model: The generator, for the range of times.
        start: First day of each profile, `(p,)`.
        owner: Profile of each event, `(n,)`, sorted.
        event: Columns `arrival`, `gap`, `hour`, `weekday`, `(n,)`.
        condition: What was asked for.

    Returns:
        int64 `(n,)` within the range.
    """
    hourly, daily = "hour" in condition.columns, "weekday" in condition.columns
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    begins = (event[ARRIVAL] != SAME) | (place == 0)
    gap = np.where(place == 0, 0.0, event[GAP])
    found = np.zeros(len(owner))
    last = np.floor(np.asarray(start, np.float64) * DAY)
    for step in range(int(place.max(initial=-1)) + 1):
        at = np.flatnonzero(place == step) if step else np.searchsorted(owner, np.unique(owner))
        own = owner[at]
        now = last[own] + gap[at]
        on_hour = begins[at] | hourly
        now = np.where(on_hour, _to_hour(now, event["hour"][at]), now)
        on_day = (begins[at] & ((gap[at] > _LONG) | (step == 0))) | daily
        now = np.where(on_day, _to_weekday(now, event["weekday"][at]), now)
        behind = (now < last[own]) & (step > 0)
        period = np.where(on_day, 7 * DAY, np.where(on_hour, DAY, 0))
        now = np.where(behind, now + period, now)
        found[at], last[own] = now, now
    return _within(found.astype(np.int64), model.time_range)


def _to_hour(time: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """The nearest time of that hour, with the same minute and second."""
    away = (hour - clock(time)[0] + 12) % 24 - 12
    return time + away * HOUR


def _to_weekday(time: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    away = (weekday - clock(time)[1] + 3) % 7 - 3
    return time + away * DAY


def _within(time: np.ndarray, days: tuple[float, float]) -> np.ndarray:
    """Moves times by whole weeks (days, in a short log) into the range of the log."""
    low, high = int(np.floor(days[0] * DAY)), int(np.ceil(days[1] * DAY))
    unit = 7 * DAY if high - low >= 7 * DAY else DAY
    span = (high - low) // unit * unit
    if not span:
        return np.clip(time, low, high)
    over = np.maximum(0, -((high - time) // span))
    under = np.maximum(0, -((time - low) // span))
    return np.clip(time - span * over + span * under, low, high)
