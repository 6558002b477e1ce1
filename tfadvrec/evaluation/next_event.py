"""How well each next event is told from all before it, window by window of time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.data import DataError, Interactions
from tfadvrec.data.event_windows import UserEvents

BATCH = 512


@dataclass(frozen=True, eq=False)
class NextEventResult:
    """Ranks of what came next, event by event.

    Attributes:
        time: int64 `(events,)`, when each ranked event happened, in order.
        window: int32 `(events,)`, its window, from 0.
        rank: float64 `(events,)`, its place among the items that its user had not taken, from 1;
            of equal scores the worst place.
        k: The cut.
        unranked: Events after the cut in time that are a user's first: nothing came before them.
    """

    time: np.ndarray
    window: np.ndarray
    rank: np.ndarray
    k: int
    unranked: int

    def rows(self) -> list[dict[str, float]]:
        """One row a window: its first and last time, events, HR and NDCG at `k`, and MRR."""
        found = []
        for window in np.unique(self.window):
            inside = self.window == window
            rank, time = self.rank[inside], self.time[inside]
            hit = rank <= self.k
            found.append(
                {
                    "from": int(time[0]),
                    "to": int(time[-1]),
                    "events": len(rank),
                    f"hr@{self.k}": float(hit.mean()),
                    f"ndcg@{self.k}": float(np.where(hit, 1 / np.log2(1 + rank), 0).mean()),
                    "mrr": float((1 / rank).mean()),
                }
            )
        return found


def evaluate_next_events(
    model: Any, log: Interactions, *, after: int, windows: int = 4, k: int = 10
) -> NextEventResult:
    """Ranks each event after a moment from its user's events before it.

    The model is not trained on: train it on what came before `after`, and the windows tell how it
    ages. What a user did after that moment is still read as history, as it would be when served;
    so users who are new then are ranked from their second event on.

    Args:
        model: It has `score_history(rows)`, `(batch, n_items)` for histories `(batch, width)` with
            -1 as padding, and maybe `length`, the most events that it reads. One with a true
            `time_aware` is given the buckets of the time between events, too.
        log: All events, before and after, with times and the rows of the model's items.
        after: The moment; events at it or later are ranked.
        windows: Into how many parts of as many events each the later ones are cut.
        k: Length of the lists.

    Returns:
        The `NextEventResult`.

    Raises:
        DataError: The log has no times, or nothing to rank.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 1], ["tea", "jam", "oats"], time=[1, 2, 3])
    >>> class Alphabet:  # jam, oats, tea
    ...     def score_history(self, rows):
    ...         return np.tile(-np.arange(3.0), (len(rows), 1))
    >>> evaluate_next_events(Alphabet(), log, after=2, windows=1).rank.tolist()
    [1.0, 1.0]
    """
    if log.time is None:
        raise DataError(f"{log.name}: next events are told by time, and this log has none.")
    order = np.lexsort((np.arange(len(log)), log.time, log.user))
    user, item, time = log.user[order], log.item[order], log.time[order]
    events = UserEvents(log)
    before = np.arange(len(user)) - events.starts[user]
    late = time >= after
    ranked = np.flatnonzero(late & (before > 0))
    if not len(ranked) or windows < 1:
        raise DataError(
            f"{log.name}: {len(ranked)} events at {after} or later have one before them, to be cut "
            f"into {windows} windows. Give an earlier moment, and 1 window or more."
        )
    ranked = ranked[np.argsort(time[ranked], kind="stable")]
    width = getattr(model, "length", None) or int(before[ranked].max())
    ranks = [
        _ranks(model, events, user[part], before[part], item[part], width)
        for part in np.split(ranked, range(BATCH, len(ranked), BATCH))
    ]
    return NextEventResult(
        time=time[ranked],
        window=(np.arange(len(ranked)) * windows // len(ranked)).astype(np.int32),
        rank=np.concatenate(ranks),
        k=k,
        unranked=int(late.sum()) - len(ranked),
    )


def _ranks(
    model: Any,
    events: UserEvents,
    user: np.ndarray,
    before: np.ndarray,
    target: np.ndarray,
    width: int,
) -> np.ndarray:
    """Places of the targets among what their users had not taken."""
    rows, gaps = events.rows(user, before, width)
    more = ((0, BATCH - len(rows)), (0, 0))  # one shape, so that a compiled model is compiled once
    given = [np.pad(rows, more, constant_values=-1)]
    if getattr(model, "time_aware", False):
        given.append(np.pad(gaps, more))
    scores = np.array(model.score_history(*given), np.float64)[: len(user)]
    if np.isnan(scores).any():
        raise ValueError(f"{type(model).__name__}.score_history gave NaN.")
    own = scores[np.arange(len(user)), target]
    for row, (one, count) in enumerate(zip(user, before, strict=True)):
        taken = events.items[events.starts[one] : events.starts[one] + count]
        scores[row, taken] = -np.inf
    scores[np.arange(len(user)), target] = -np.inf
    return 1.0 + (scores >= own[:, None]).sum(axis=1)
