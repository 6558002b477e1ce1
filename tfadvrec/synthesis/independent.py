"""Synthetic logs without any learning: columns drawn one by one, or profiles of popular items."""

from collections.abc import Callable, Sequence

import numpy as np

from tfadvrec.data import DataError, Interactions
from tfadvrec.synthesis.shared_items import active_users


def independent_columns(log: Interactions, n: int, seed: int = 0) -> Interactions:
    """Draws every column by itself from its own values: right margins, no association.

    Users are new; how active each is, is drawn from the real profile lengths, and their features
    one by one. Pairs of user and item that repeat are drawn again, so there are exactly `n`.

    Args:
        log: The real log.
        n: How many interactions.
        seed: Seed.

    Returns:
        A log with the same items, columns and kinds of features; `real` is False.

    Raises:
        DataError: When so many different pairs cannot be drawn.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> made = independent_columns(synthetic(50, 40, n_interactions=500), 400, seed=1)
    >>> len(made), made.n_items, made.real
    (400, 40, False)
    """
    rng = np.random.default_rng(seed)
    lengths = np.bincount(log.user)[active_users(log)]
    count = max(1, round(n * len(lengths) / max(1, len(log))))
    edges = np.cumsum(rng.choice(lengths, count))

    def pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
        user = np.searchsorted(edges, rng.integers(edges[-1], size=size), side="right")
        return user, log.item[rng.integers(len(log), size=size)]

    user, item = distinct_pairs(pairs, n, log)
    values = {name: rng.integers(len(log), size=n) for name in ("rating", "time", *log.columns)}
    return synthetic_log(log, user, item, values, rng, name="independent columns")


def popularity_profiles(log: Interactions, n: int, seed: int = 0) -> Interactions:
    """Draws users with real profile lengths who take items by popularity, each at most once.

    Args:
        log: The real log.
        n: How many interactions; the last user's profile is cut so that it is exact.
        seed: Seed.

    Returns:
        A log as of `independent_columns`.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> len(popularity_profiles(synthetic(50, 40, n_interactions=500), 400))
    400
    """
    rng = np.random.default_rng(seed)
    lengths = np.bincount(log.user)[active_users(log)]
    drawn = rng.choice(lengths, max(1, n))
    count = int(np.searchsorted(np.cumsum(drawn), n, side="left")) + 1
    drawn = np.minimum(drawn[:count], (log.popularity() > 0).sum())
    weight = np.log(np.maximum(log.popularity(), 1e-300))
    users, items = [], []
    for user, length in enumerate(drawn):
        order = np.argsort(-(weight + rng.gumbel(size=log.n_items)), kind="stable")
        users.append(np.full(length, user))
        items.append(order[:length])
    user, item = np.concatenate(users)[:n], np.concatenate(items)[:n]
    names = ("rating", "time", *log.columns)
    values = {name: rng.integers(len(log), size=len(user)) for name in names}
    return synthetic_log(log, user, item, values, rng, name="popularity profiles")


def distinct_pairs(
    draw: Callable[[int], Sequence[np.ndarray]], n: int, log: Interactions
) -> list[np.ndarray]:
    """Draws rows until `n` different pairs are there, in the order in which they came.

    Args:
        draw: A function of how many rows to draw that gives `(user, item, ...)`.
        n: How many different pairs.
        log: The log, for its number of items and the message.

    Returns:
        What `draw` gives, of the kept rows.

    Raises:
        DataError: When 200 rounds do not suffice.
    """
    kept: list[np.ndarray] = []
    for _ in range(200):
        missing = n - (len(kept[0]) if kept else 0)
        fresh = draw(max(1000, 2 * missing))
        kept = [np.concatenate(parts) for parts in zip(kept, fresh, strict=True)] if kept else fresh
        keys = kept[0] * np.int64(log.n_items) + kept[1]
        first = np.sort(np.unique(keys, return_index=True)[1])
        kept = [column[first] for column in kept]
        if len(first) >= n:
            return [column[:n] for column in kept]
    raise DataError(
        f"{log.name}: {n:,} different pairs of user and item cannot be drawn from it (got "
        f"{len(kept[0]):,}). Ask for fewer interactions."
    )


def synthetic_log(
    log: Interactions,
    user: np.ndarray,
    item: np.ndarray,
    values: dict[str, np.ndarray],
    rng: np.random.Generator,
    *,
    name: str,
    features: dict[str, np.ndarray] | None = None,
) -> Interactions:
    """Makes a log of new users from drawn rows.

    Args:
        log: The real log: items, and the values that rows point to.
        user: Numbers of the new users `(n,)`; those that are not used are left out.
        item: Item rows `(n,)`.
        values: Column -> rows of the real log whose value is taken, `(n,)`.
        rng: Draws the features of users, column by column.
        name: The log's name and, in words, its origin.
        features: User feature -> real user row of each new user, where they were drawn already.

    Returns:
        The log; users are called `s1`, `s2`, ...
    """
    used, place = np.unique(user, return_inverse=True)
    active = active_users(log)
    of = {
        key: active[rng.integers(len(active), size=len(used))]
        if features is None
        else features[key][used]
        for key in log.user_features
    }
    return Interactions(
        user=place.reshape(-1).astype(np.int32),
        item=item.astype(np.int32),
        rating=None if log.rating is None else log.rating[values["rating"]],
        time=None if log.time is None else log.time[values["time"]],
        columns={key: column[values[key]] for key, column in log.columns.items()},
        user_ids=np.array([f"s{number + 1}" for number in range(len(used))]),
        item_ids=log.item_ids,
        user_features={key: column[of[key]] for key, column in log.user_features.items()},
        item_features=log.item_features,
        name=name,
        origin=f"{name} of {log.name}; synthetic",
        real=False,
    )
