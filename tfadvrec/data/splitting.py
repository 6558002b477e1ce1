"""Splits of a log into train, validation and test: deterministic, ties broken by row order."""

from typing import Any, NamedTuple

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.ordering import stable_sort, taken, used_rows


class Split(NamedTuple):
    """Parts of one log; all share its vocabularies.

    Attributes:
        train: What a model learns from.
        validation: What its settings are chosen on, or None.
        test: What it is measured on, once.
    """

    train: Interactions
    validation: Interactions | None
    test: Interactions

    def describe(self) -> dict[str, Any]:
        """Returns sizes, what of each part is cold, and what repeats pairs of train."""
        parts = {"train": {"interactions": len(self.train)}}
        pairs = np.sort(_pairs(self.train))
        for key, part in (("validation", self.validation), ("test", self.test)):
            if part is not None:
                cold = cold_rows(self.train, part)
                parts[key] = {
                    "interactions": len(part),
                    "with_cold_user": int(cold["user"].sum()),
                    "with_cold_item": int(cold["item"].sum()),
                    "warm": int((~cold["user"] & ~cold["item"]).sum()),
                    "also_in_train": _shared(pairs, part),
                }
        return parts


def cold_rows(train: Interactions, part: Interactions) -> dict[str, np.ndarray]:
    """Marks the interactions whose user or item the train part never saw.

    A model without features cannot rank a cold item, so such rows are zeros by construction:
    report them apart.

    Args:
        train: What the model learnt from.
        part: Interactions with the same vocabularies.

    Returns:
        Masks `"user"` and `"item"` of shape `(len(part),)`.
    """
    users = np.bincount(train.user, minlength=train.n_users) == 0
    items = np.bincount(train.item, minlength=train.n_items) == 0
    return {"user": users[part.user], "item": items[part.item]}


def leave_last_out(log: Interactions, *, validation: bool = True) -> Split:
    """Holds out each user's last interaction for the test, the last but one for validation.

    The order is by time, then by row; without times, by row. Users with too few interactions to
    keep one for training stay in train as a whole. The split leaks time: a model may learn from
    what others did after the test interaction.

    Args:
        log: The log.
        validation: Whether to hold out the last but one.

    Returns:
        The split.

    Example:
        >>> log = Interactions.from_arrays([1, 1, 1, 2], [7, 8, 9, 7], time=[30, 20, 10, 10])
        >>> train, validation, test = leave_last_out(log)
        >>> train.item_ids[train.item].tolist(), test.item_ids[test.item].tolist()
        ([9, 7], [7])
    """
    _not_empty(log)
    held = 2 if validation else 1
    counts = np.bincount(log.user, minlength=log.n_users)
    order = _by_user(log, None if log.time is None else stable_sort(log.time)[1])
    last = (np.cumsum(counts) - 1)[counts > held]
    valid = used_rows(order[last - 1], len(log)) if validation else None
    return _split(log, valid, used_rows(order[last], len(log)))


def by_time(log: Interactions, *, validation: float = 0.1, test: float = 0.1) -> Split:
    """Splits at two moments in time, the same for all users: the honest split.

    Interactions of one moment are never torn apart, so the parts may be a little smaller than
    asked for. Users and items that are new in the test are cold (`cold_rows`).

    Args:
        log: The log; it must have times.
        validation: Share of the interactions just before the test, 0 for none.
        test: Share of the latest interactions.

    Returns:
        The split.

    Raises:
        DataError: When there are no times, all are the same, or a part would be empty.

    Example:
        >>> log = Interactions.from_arrays(range(10), [0, 1] * 5, time=range(100, 110))
        >>> [len(part) for part in by_time(log, validation=0.2, test=0.2)]
        [6, 2, 2]
    """
    check_shares(validation, test)
    _not_empty(log)
    if log.time is None:
        raise DataError(f"{log.name}: by_time needs times, and this log has none. Use by_ratio.")
    ordered = np.sort(log.time)
    if ordered[0] == ordered[-1]:
        raise DataError(
            f"{log.name}: every interaction has the time {ordered[0]}, so there is no before and "
            "after. Use by_ratio, or check the time column."
        )
    start = ordered[min(len(log) - 1, round(len(log) * (1 - test)))]
    early = ordered[min(len(log) - 1, round(len(log) * (1 - test - validation)))]
    late = log.time >= start
    middle = (log.time >= early) & ~late
    split = _split(log, middle if validation else None, late)
    empty = [
        key
        for key, part in zip(split._fields, split, strict=True)
        if part is not None and not len(part)
    ]
    if empty:
        raise DataError(
            f"{log.name}: by_time leaves {' and '.join(empty)} empty, because too many "
            "interactions share one time. Ask for larger shares, or use by_ratio."
        )
    return split


def by_ratio(
    log: Interactions, *, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Holds out a random share of each user's interactions.

    Of a user's n interactions, floor(n * share + 1/2) are held out; one always stays in train.

    Args:
        log: The log.
        validation: Share of each user's interactions for validation, 0 for none.
        test: Share of each user's interactions for the test.
        seed: What decides which.

    Returns:
        The split.

    Example:
        >>> log = Interactions.from_arrays([1] * 10 + [2], list(range(10)) + [0])
        >>> [len(part) for part in by_ratio(log)]
        [9, 1, 1]
    """
    check_shares(validation, test)
    _not_empty(log)
    order = _by_user(log, np.random.default_rng(seed).permutation(len(log)))
    counts = np.bincount(log.user, minlength=log.n_users)
    n_test = np.minimum(np.floor(counts * test + 0.5), np.maximum(counts - 1, 0))
    n_valid = np.minimum(np.floor(counts * validation + 0.5), np.maximum(counts - 1 - n_test, 0))
    starts = np.cumsum(counts) - counts
    late = used_rows(order[_ranges(starts, n_test)], len(log))
    middle = used_rows(order[_ranges(starts + n_test.astype(np.int64), n_valid)], len(log))
    return _split(log, middle if validation else None, late)


def k_core(log: Interactions, k: int, *, rounds: int = 100) -> Interactions:
    """Keeps users and items with at least `k` interactions among those kept.

    Removing an item may push a user below `k`, so it takes rounds until nothing changes. The
    vocabularies (and features) shrink to what is kept.

    Args:
        log: The log.
        k: Fewest interactions of a user and of an item.
        rounds: Most rounds that are tried.

    Returns:
        The smaller log; `dropped` counts what left.

    Raises:
        DataError: When nothing is left, or the rounds are used up.

    Example:
        >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], [7, 8, 7, 8, 7])
        >>> k_core(log, 2)
        Interactions('arrays': 4 interactions of 2 users with 2 items; arrays in memory)
    """
    if k < 1 or rounds < 1:
        raise ValueError(f"k and rounds: expected at least 1, got k={k} and rounds={rounds}.")
    user, item, keep = log.user, log.item, None
    users = np.bincount(user, minlength=log.n_users)
    items = np.bincount(item, minlength=log.n_items)
    for _ in range(rounds):
        fine = (users >= k)[user] & (items >= k)[item]
        if fine.all():
            break
        # what leaves is counted off: less and less in every round
        users -= np.bincount(user[~fine], minlength=log.n_users)
        items -= np.bincount(item[~fine], minlength=log.n_items)
        keep = np.flatnonzero(fine) if keep is None else keep[fine]
        user, item = user[fine], item[fine]
    else:
        raise DataError(
            f"{log.name}: the {k}-core is not reached after {rounds} rounds ({len(user):,} of "
            f"{len(log):,} interactions are left and still shrinking). Raise rounds, or lower k."
        )
    if not len(user):
        raise DataError(f"{log.name}: nothing is left of {len(log):,} interactions with k={k}.")
    return _shrink(log if keep is None else log.take(keep), k, len(log) - len(user))


def _shrink(log: Interactions, k: int, lost: int) -> Interactions:
    """Returns the log with the vocabularies that it uses, and with what it lost."""
    changes: dict[str, Any] = {}
    for side in ("user", "item"):
        ids = getattr(log, f"{side}_ids")
        used = used_rows(getattr(log, side), len(ids))
        if not used.all():
            changes[side] = taken(np.cumsum(used, dtype=np.int32) - np.int32(1), getattr(log, side))
            changes[f"{side}_ids"] = ids[used]
            features = getattr(log, f"{side}_features")
            changes[f"{side}_features"] = {key: values[used] for key, values in features.items()}
    if lost:
        changes["dropped"] = {**log.dropped, f"outside the {k}-core": lost}
    return log.replace(**changes)


def _by_user(log: Interactions, order: np.ndarray | None) -> np.ndarray:
    """Returns the rows user by user, each user's in the given order (None: by row)."""
    if order is None:
        return stable_sort(log.user)[1]
    return order[stable_sort(taken(log.user, order))[1]]


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns `starts[i], starts[i] + 1, ...`, of each as many as `counts` says."""
    counts = counts.astype(np.int64)
    ends = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)


def _shared(pairs: np.ndarray, part: Interactions) -> int:
    """Counts the interactions of a part whose pairs are among the sorted ones."""
    own = np.sort(_pairs(part))
    if not len(pairs):
        return 0
    place = np.minimum(np.searchsorted(pairs, own), len(pairs) - 1)
    return int((pairs[place] == own).sum())


def _split(log: Interactions, validation: np.ndarray | None, test: np.ndarray) -> Split:
    train = ~test if validation is None else ~(test | validation)
    return Split(
        log.take(train), None if validation is None else log.take(validation), log.take(test)
    )


def check_shares(validation: float, test: float) -> None:
    """Refuses shares that leave nothing for train."""
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(
            "validation and test: expected shares between 0 and 1 that leave some for train, got "
            f"validation={validation} and test={test}."
        )


def _not_empty(log: Interactions) -> None:
    if not len(log):
        raise DataError(f"{log.name}: there is no interaction to split.")


def _pairs(log: Interactions) -> np.ndarray:
    return log.user * np.int64(log.n_items) + log.item
