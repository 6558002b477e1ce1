"""Where a split by time lies, without sorting all times."""

from collections.abc import Callable

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.sharded.plan import Plan
from tfadvrec.data.sharded.shards import BUCKETS

Counts = Callable[..., np.ndarray]
"""`counts(low=, high=, width=)`: how many times lie in each bucket of `width` from `low`."""


def cuts_of(plan: Plan, rows: int, span: tuple[int, int] | None, counts: Counts) -> dict[str, int]:
    """The first moment of validation and of test, as `by_time` finds them.

    Raises:
        DataError: When there are no times, or all are the same.
    """
    if span is None:
        raise DataError(f"{plan.name}: a split by time needs times, and this log has none.")
    if span[0] == span[1]:
        raise DataError(
            f"{plan.name}: every interaction has the time {span[0]}, so there is no before and "
            "after. Check the time column."
        )
    shares = {"test": 1 - plan.test}
    if plan.validation:
        shares["validation"] = 1 - plan.test - plan.validation
    places = {part: min(rows - 1, round(rows * share)) for part, share in shares.items()}
    return {part: nth(place, span, counts) for part, place in places.items()}


def nth(place: int, span: tuple[int, int], counts: Counts) -> int:
    """The value at a place of all times in order, exactly, by ever narrower buckets.

    Example:

    >>> times = np.array([5, 900_000_000, 7, 7, 1])
    >>> def counts(low, high, width):
    ...     own = times[(times >= low) & (times <= high)]
    ...     return np.bincount((own - low) // width, minlength=BUCKETS)
    >>> [nth(place, (1, 900_000_000), counts) for place in range(5)]
    [1, 5, 7, 7, 900000000]
    """
    low, high = span
    while low < high:
        width = (high - low) // BUCKETS + 1
        below = np.cumsum(counts(low=low, high=high, width=width))
        bucket = int(np.searchsorted(below, place, side="right"))
        place -= int(below[bucket - 1]) if bucket else 0
        low = low + bucket * width
        high = min(low + width - 1, high)
    return low
