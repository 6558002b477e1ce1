"""Metrics of the recommended lists themselves: spread, popularity, novelty, diversity."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfadvrec.evaluation.diversity import at_lengths

LIST_METRICS = ("coverage", "gini", "novelty", "popularity", "aplt", "ild")
HEAD_SHARE = 0.8
# Users whose lists are counted at once.
_ROWS = 8_192


def long_tail(popularity: np.ndarray) -> np.ndarray:
    """Marks the items outside the short head.

    The short head are the most popular items that together hold 80% of the training interactions;
    items as popular as its last one belong to it too.

    Args:
        popularity: `(items,)` training interactions of each item.

    Returns:
        bool `(items,)`.

    Example:

    >>> long_tail(np.array([8, 1, 1]))
    array([False,  True,  True])
    """
    ordered = np.sort(popularity)[::-1]
    reached = np.searchsorted(np.cumsum(ordered), HEAD_SHARE * popularity.sum())
    return popularity < ordered[min(reached, len(ordered) - 1)]


def gini(exposure: np.ndarray) -> float:
    """Gini index of how often each item is recommended: 0 all equal, towards 1 few items only.

    Example:

    >>> round(gini(np.array([0, 0, 0, 5])), 2), gini(np.array([2, 2]))
    (0.75, 0.0)
    """
    total, count = exposure.sum(), len(exposure)
    if total == 0:
        return float("nan")
    weight = 2.0 * np.arange(1, count + 1) - count - 1.0
    return float((weight * np.sort(exposure)).sum() / (count * total))


class ListMetrics:
    """Metrics of the recommended lists of all evaluated users.

    `popularity@k` is the mean number of training interactions of the recommended items,
    `novelty@k` the mean of -log2(popularity / users) (an item without interactions counts as one),
    `aplt@k` the share of long-tail items, `ild@k` the mean cosine distance of all pairs in a list.
    `coverage@k` (share of the catalogue in at least one list) and `gini@k` belong to the whole
    set of lists, not to a user. A user with an empty list has no value (NaN).

    Args:
        popularity: `(items,)` training interactions of each item.
        n_users: Users of the training log.
        metrics: Names out of `LIST_METRICS`.
        pairs: `pairs(lists, lengths)` gives, for `ild`, the sums of the cosines of all pairs in
            the first `lengths` (users, cuts) items of each list: `CoOccurrence.along`.
    """

    def __init__(
        self,
        popularity: np.ndarray,
        n_users: int,
        *,
        metrics: Sequence[str],
        pairs: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ):
        popularity = np.asarray(popularity, np.float64)
        self.metrics, self.pairs = tuple(metrics), pairs
        self._items = len(popularity)
        self._of_item = {
            "popularity": popularity,
            "novelty": -np.log2(np.maximum(popularity, 1.0) / max(n_users, 1)),
            "aplt": long_tail(popularity).astype(np.float64),
        }

    def per_user(self, lists: np.ndarray, lengths: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
        """Values per user.

        Args:
            lists: int32 `(users, longest)` items, best first, -1 as padding.
            lengths: Cut -> `(users,)` how many of a list's first items belong to the list of that
                cut: fewer than the cut where items tie across it or run out.

        Returns:
            `"name@k"` -> float64 `(users,)`.
        """
        many = np.stack(list(lengths.values()), axis=1)
        values: dict[str, np.ndarray] = {}
        for name in (name for name in self._of_item if name in self.metrics):
            total = np.concatenate(
                [
                    at_lengths(self._of_item[name][lists[start : start + _ROWS]], part)
                    for start, part in _parts(many)
                ]
            )
            mean = np.where(many > 0, total / np.maximum(many, 1), np.nan)
            values |= {f"{name}@{cut}": mean[:, c] for c, cut in enumerate(lengths)}
        longer = {cut: length for cut, length in lengths.items() if cut > 1}
        if "ild" in self.metrics and longer:
            many = np.stack(list(longer.values()), axis=1)
            alike = self.pairs(lists[:, : max(longer)], many)
            ordered = np.maximum(many * (many - 1), 1)
            apart = np.where(many > 1, 1.0 - 2.0 * alike / ordered, np.nan)
            values |= {f"ild@{cut}": apart[:, c] for c, cut in enumerate(longer)}
        return values

    def overall(
        self, lists: np.ndarray, lengths: dict[int, np.ndarray]
    ) -> tuple[dict[str, float], dict[str, int]]:
        """Coverage and Gini index of all lists together, and how many items were recommended."""
        values: dict[str, float] = {}
        for cut, length in lengths.items():
            exposure = np.zeros(self._items, np.int64)
            for start, part in _parts(length):
                shown = lists[start : start + _ROWS, :cut]
                member = np.arange(shown.shape[1]) < part[:, None]
                exposure += np.bincount(shown[member], minlength=self._items)
            if "coverage" in self.metrics:
                values[f"coverage@{cut}"] = float(np.mean(exposure > 0))
            if "gini" in self.metrics:
                values[f"gini@{cut}"] = gini(exposure)
        return values, {f"@{cut}": int(length.sum()) for cut, length in lengths.items()}


def _parts(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(lengths), _ROWS):
        yield start, lengths[start : start + _ROWS]
