"""Samples that are mixed into a log as users of their own, from a game and from its neighbours."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.games.profiles import Profiles
from tfadvrec.programs.distances import nearest_level


def rows_of(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The user, item and rating of every rating above 0 in a matrix `(users, items)`."""
    user, item = np.nonzero(ratings)
    return user.astype(np.int32), item.astype(np.int32), ratings[user, item].astype(np.float32)


def mixed(log: Interactions, ratings: np.ndarray) -> Interactions:
    """The log, and behind its users those of a matrix of ratings.

    Args:
        log: A log with ratings.
        ratings: `(users, n_items)`, 0 where there is none.

    Returns:
        A log without times and features, whose first rows and users are those of `log`.

    Example:
        >>> log = Interactions.from_arrays([7, 7], ["jam", "tea"], rating=[4.0, 2.0])
        >>> both = mixed(log, np.array([[3.0, 0.0], [0.0, 0.0]]))
        >>> both.user.tolist(), both.rating.tolist(), both.n_users
        ([0, 0, 1], [4.0, 2.0, 3.0], 3)
    """
    user, item, rating = rows_of(ratings)
    return Interactions(
        user=np.concatenate([log.user, user + np.int32(log.n_users)]),
        item=np.concatenate([log.item, item]),
        rating=np.concatenate([log.rating, rating]),
        user_ids=np.arange(log.n_users + len(ratings)),
        item_ids=log.item_ids,
        name=f"{log.name} with samples",
        origin=f"{log.origin}, mixed with generated profiles",
        real=False,
    )


def alone(log: Interactions, ratings: np.ndarray) -> Interactions:
    """The users of a matrix of ratings as a log with the items of `log`."""
    user, item, rating = rows_of(ratings)
    return Interactions(
        user=user,
        item=item,
        rating=rating,
        user_ids=np.arange(len(ratings)),
        item_ids=log.item_ids,
        real=False,
    )


def random_profiles(
    log: Interactions, profiles: Profiles, lengths: np.ndarray, *, seed: int
) -> np.ndarray:
    """Profiles of given lengths: any item, and a rating from the mean and spread of all ratings.

    Returns:
        float32 `(len(lengths), n_items)`.
    """
    rng = np.random.default_rng(seed)
    chance = np.ones(log.n_items)
    drawn = rng.normal(log.rating.mean(), log.rating.std(), (len(lengths), log.n_items))
    ratings = profiles.levels[nearest_level(drawn, profiles.levels)]
    return _masked(ratings, chance, lengths, rng)


def popular_profiles(log: Interactions, lengths: np.ndarray, *, seed: int) -> np.ndarray:
    """Profiles of given lengths: items by popularity, and each with a rating that it was given.

    Returns:
        float32 `(len(lengths), n_items)`.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(log.item, kind="stable")
    counts = np.bincount(log.item, minlength=log.n_items)
    starts = np.cumsum(counts) - counts
    place = starts + (rng.uniform(size=(len(lengths), log.n_items)) * counts).astype(np.int64)
    drawn = log.rating[order][np.minimum(place, len(log) - 1)]
    return _masked(drawn, counts.astype(np.float64), lengths, rng)


def _masked(
    ratings: np.ndarray, chance: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Keeps `lengths` ratings a row, drawn without repetition in proportion to `chance`."""
    with np.errstate(divide="ignore"):
        key = np.log(chance) + rng.gumbel(size=ratings.shape)
    place = np.argsort(np.argsort(-key, axis=1), axis=1)
    kept = (place < np.asarray(lengths)[:, None]) & np.isfinite(key)
    return np.where(kept, ratings, 0.0).astype(np.float32)
