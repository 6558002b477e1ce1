"""Rows that were only pairs get the other columns of a log, from rows of the log."""

import numpy as np

from tfadvrec.data import Interactions


def filled(
    log: Interactions, user: np.ndarray, item: np.ndarray, rng: np.random.Generator
) -> Interactions:
    """Makes a log of new pairs whose other columns are those of drawn real rows.

    The rating is that of a random real row of the same item; time and other columns are those of
    a random real row of the same user. Where there is none, a random row of the whole log.

    Args:
        log: The real log.
        user: User rows `(n,)`.
        item: Item rows `(n,)`.
        rng: Draws.

    Returns:
        The pairs with all columns of the log; `real` is False.
    """
    of_item = _donors(log.item, item, log.n_items, rng)
    of_user = _donors(log.user, user, log.n_users, rng)
    part = log.take(of_user)
    return part.replace(
        user=np.asarray(user, np.int32),
        item=np.asarray(item, np.int32),
        rating=None if log.rating is None else log.rating[of_item],
        name=f"rows for {log.name}",
        origin=f"drawn for the users of {log.name}; synthetic",
        real=False,
    )


def _donors(of: np.ndarray, wanted: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random position of each wanted value, or any position where it does not occur."""
    order = np.argsort(of, kind="stable")
    counts = np.bincount(of, minlength=size)
    starts = np.cumsum(counts) - counts
    share = rng.random(len(wanted))
    own = starts[wanted] + (share * counts[wanted]).astype(np.int64)
    anyone = (share * len(of)).astype(np.int64)
    return order[np.where(counts[wanted] > 0, own, anyone)]
