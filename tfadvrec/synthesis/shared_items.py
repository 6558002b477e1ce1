"""Logs that were read one by one get one vocabulary of items; parts of a log."""

from collections.abc import Sequence

import numpy as np

from tfadvrec.data import DataError, Interactions
from tfadvrec.data.checks import plain


def with_items(log: Interactions, like: Interactions) -> Interactions:
    """The same interactions with another log's item rows.

    Args:
        log: The log.
        like: The log whose item vocabulary (and item features) it gets.

    Returns:
        The log, or itself where the vocabularies already are one.

    Raises:
        DataError: When it has interactions with items that `like` does not know.

    Example:

    >>> real = Interactions.from_arrays([1, 1], ["jam", "tea"])
    >>> with_items(Interactions.from_arrays([9, 9], ["tea", "jam"]), real).item.tolist()
    [1, 0]
    """
    if np.array_equal(log.item_ids, like.item_ids):
        return log
    ids = log.item_ids
    if ids.dtype.kind != like.item_ids.dtype.kind:
        ids = ids.astype(np.str_ if like.item_ids.dtype.kind == "U" else np.int64)
    rows = like.lookup_items(ids)
    item = rows[log.item]
    if (item < 0).any():
        lost = np.unique(log.item[item < 0])
        raise DataError(
            f"{log.name}: {len(lost)} of its items are unknown to {like.name} "
            f"({', '.join(plain(log.item_ids[row]) for row in lost[:5])}). Both logs must name "
            "items by the same ids; give a holdout and the real log one vocabulary by cutting "
            "them from one log."
        )
    return log.replace(item=item, item_ids=like.item_ids, item_features=like.item_features)


def with_all_items(real: Interactions, others: Sequence[Interactions]) -> Interactions:
    """The real log with the items that only the others know added to its vocabulary.

    Args:
        real: The log.
        others: Logs of the same catalogue, such as a holdout.

    Returns:
        The log; its item features are left out when items were added.
    """
    known = [real.item_ids, *(log.item_ids for log in others)]
    if all(np.array_equal(ids, real.item_ids) for ids in known):
        return real
    if len({ids.dtype.kind for ids in known}) > 1:
        raise DataError(
            f"{real.name}: item ids are integers in one log and text in another. Read all logs "
            "with ids of one kind."
        )
    every = np.concatenate(known)
    fresh = every[np.sort(np.unique(every, return_index=True)[1])]
    return real if len(fresh) == real.n_items else real.replace(item_ids=fresh, item_features={})


def of_users(log: Interactions, users: np.ndarray) -> Interactions:
    """The log of some users only, whose rows are numbered anew.

    Args:
        log: The log.
        users: Their rows.

    Returns:
        The interactions, ids and features of these users; all items stay.

    Example:

    >>> log = Interactions.from_arrays(["ann", "bob", "eve"], [7, 8, 9])
    >>> part = of_users(log, np.array([2, 0]))
    >>> part.user_ids.tolist(), part.item_ids[part.item].tolist()
    (['eve', 'ann'], [7, 9])
    """
    users = np.asarray(users)
    place = np.full(log.n_users, -1, np.int32)
    place[users] = np.arange(len(users), dtype=np.int32)
    part = log.take(place[log.user] >= 0)
    return part.replace(
        user=place[part.user],
        user_ids=log.user_ids[users],
        user_features={name: values[users] for name, values in log.user_features.items()},
    )


def active_users(log: Interactions) -> np.ndarray:
    """Rows of the users with interactions."""
    return np.flatnonzero(np.bincount(log.user, minlength=log.n_users))
