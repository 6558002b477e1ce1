"""A log as two tables of values: one row a user, one row an interaction."""

from typing import NamedTuple

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.models.behaviour.column_spec import EVENT, USER, ColumnSpec
from tfadvrec.models.behaviour.fitting import fit_column, in_periods

DAY, HOUR = 86_400, 3_600
SESSION = 1_800  # seconds without an interaction after which another session begins
FIRST, NEW, SAME = "first", "new", "same"
LENGTH, START, ARRIVAL, GAP = "length", "start", "arrival", "gap"


class Tables(NamedTuple):
    """Values of a log's columns, users and events in a fixed order.

    Attributes:
        users: Rows of the users with interactions, `(u,)`.
        user: Name -> values `(u,)`.
        owner: Which of `users` each event is of, `(n,)`; events lie user by user, in time order.
        item: Item rows `(n,)`.
        event: Name -> values `(n,)`.
    """

    users: np.ndarray
    user: dict[str, np.ndarray]
    owner: np.ndarray
    item: np.ndarray
    event: dict[str, np.ndarray]


def tables(log: Interactions) -> Tables:
    """Takes a log apart.

    Of users: their features, `length` (number of interactions) and `start` (days since the epoch
    of the first). Of events: `arrival` (the user's first, a new session's first, the same
    session), `rating`, `hour` and `weekday` in UTC (0 is Monday), the log's own columns, and
    `gap`, seconds since the user's last event.

    Args:
        log: The interactions.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], [7, 8, 7], time=[0, 3600, 86400])
    >>> made = tables(log)
    >>> made.user["length"].tolist(), made.event["gap"].tolist(), made.event["arrival"].tolist()
    ([2, 1], [0, 3600, 0], ['first', 'new', 'first'])
    """
    time = np.zeros(len(log), np.int64) if log.time is None else log.time
    order = np.lexsort((time, log.user))
    part = log.take(order)
    users, owner, length = np.unique(part.user, return_inverse=True, return_counts=True)
    owner = owner.reshape(-1)
    features = {k: v[users] for k, v in log.user_features.items() if v.dtype.kind != "O"}
    user = {**features, LENGTH: length}
    event = {} if part.rating is None else {"rating": part.rating}
    if log.time is not None:
        first = np.r_[True, np.diff(owner) > 0]
        gap = np.where(first, 0, np.diff(part.time, prepend=part.time[:1]))
        arrival = np.where(first, FIRST, np.where(gap > SESSION, NEW, SAME))
        hour, weekday = clock(part.time)
        user[START] = part.time[first] / DAY
        event = {ARRIVAL: arrival, **event, "hour": hour, "weekday": weekday, **part.columns}
        return Tables(users, user, owner, part.item, {**event, GAP: gap})
    return Tables(users, user, owner, part.item, {**event, **part.columns})


def clock(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hour and weekday (0 is Monday) of seconds since the epoch, in UTC.

    >>> [part.tolist() for part in clock(np.array([0, 3600 + 4 * 86400]))]
    [[0, 1], [3, 0]]
    """
    day, second = np.divmod(np.asarray(time, np.int64), DAY)
    return second // HOUR, (day + 3) % 7  # 1970-01-01 was a Thursday


def specs_of(made: Tables, *, seed: int = 0) -> list[ColumnSpec]:
    """The columns of a log's tables, users' first; what cannot be a column is left out."""
    found = []
    for side, table in ((USER, made.user), (EVENT, made.event)):
        for name, values in table.items():
            if name in ("hour", "weekday") and side == EVENT:
                whole = tuple(range(24 if name == "hour" else 7))
                spec = ColumnSpec(name=name, side=side, kind="category", values=whole, whole=True)
            else:
                counted = name in (LENGTH, START, GAP)
                spec = fit_column(name, values, side, number=counted, seed=seed)
            if name == START and side == USER:
                spec = in_periods(spec, values)
            if spec is not None:
                found.append(spec)
    return found
