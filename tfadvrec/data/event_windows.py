"""Users' events in time order, cut into rows of one width."""

import numpy as np

from tfadvrec.data.interactions import Interactions
from tfadvrec.data.ordering import stable_sort

# Buckets of the time since the event before: 0 is unknown, the others double in width
GAP_BUCKETS = 32


def gap_buckets(seconds: np.ndarray) -> np.ndarray:
    """Sorts times between two events into buckets whose widths double.

    Args:
        seconds: Whole numbers, any shape; a negative one is unknown.

    Returns:
        int32 of the same shape: 0 for unknown, else 1 + floor(log2(1 + seconds)), 31 at most.

    Example:

    >>> gap_buckets(np.array([-1, 0, 1, 2, 3, 86_400])).tolist()
    [0, 1, 2, 2, 3, 17]
    """
    seconds = np.asarray(seconds, np.int64)
    # frexp is exact where a logarithm may fall on the wrong side of a power of two
    exponent = np.frexp(np.maximum(seconds, 0) + 1.0)[1]
    return np.where(seconds < 0, 0, np.minimum(exponent, GAP_BUCKETS - 1)).astype(np.int32)


class UserEvents:
    """A log's events user by user, each user's by time and then by row (without times: by row).

    Args:
        log: The interactions.

    Attributes:
        items: int32 `(events,)`, item rows.
        gaps: int32 `(events,)`, buckets of the time since the user's event before; 0 for the first
            and where the log has no times.
        starts: int64 `(n_users + 1,)`, where each user's events begin.
    """

    def __init__(self, log: Interactions) -> None:
        order = np.arange(len(log)) if log.time is None else stable_sort(log.time)[1]
        order = order[stable_sort(log.user[order])[1]]
        counts = np.bincount(log.user, minlength=log.n_users)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self.items = log.item[order]
        self.gaps = np.zeros(len(log), np.int32)
        if log.time is not None and len(log):
            seconds = np.diff(log.time[order], prepend=0)
            seconds[self.starts[:-1][counts > 0]] = -1
            self.gaps = gap_buckets(seconds)

    def rows(
        self, users: np.ndarray, ends: np.ndarray, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cuts rows of one width out of users' events.

        Args:
            users: int `(rows,)`.
            ends: int `(rows,)`, how many of the user's first events a row may hold: it holds the
                last `width` of them.
            width: Events in a row.

        Returns:
            Items, -1 as padding in front, and gaps, 0 there: int32 `(rows, width)` both.
        """
        first = self.starts[users][:, None]
        place = first + np.asarray(ends)[:, None] - width + np.arange(width)
        inside = place >= first
        place = np.where(inside, place, 0)
        if not len(self.items):
            return np.full(place.shape, -1, np.int32), np.zeros(place.shape, np.int32)
        items, gaps = self.items[place], self.gaps[place]
        return np.where(inside, items, np.int32(-1)), np.where(inside, gaps, np.int32(0))

    def last(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Every user's last events, `(n_users, width)`; see `rows`."""
        counts = np.diff(self.starts)
        return self.rows(np.arange(len(counts)), counts, width)
