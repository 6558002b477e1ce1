"""New interactions for a log's own users: at random, by popularity, by EASE, by a generator."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfadvrec.data import DataError, Interactions
from tfadvrec.models import EASE
from tfadvrec.synthesis.filling import filled
from tfadvrec.synthesis.groups import check_target, cold_users, tail_items

_BLOCK = 256

Weights = Callable[[np.ndarray], np.ndarray]
"""Users `(b,)` -> unnormalised log-probabilities of items `(b, n_items)`."""


def random_rows(log: Interactions, n: int, *, to: str = "all", seed: int = 0) -> Interactions:
    """Draws new pairs uniformly: what adding rows does by itself.

    Args:
        log: The real log.
        n: How many rows.
        to: `"all"` gives users rows in proportion to their profiles, `"cold"` gives only users
            with short profiles rows, equally many, `"tail"` as `"all"` but items of the long tail.
        seed: Seed.

    Returns:
        A log of `n` interactions, none of them real, with the log's ids; columns are filled as in
        `mix`.

    Raises:
        DataError: When there are fewer than `n` new pairs.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> log = synthetic(50, 40, n_interactions=500)
    >>> len(random_rows(log, 100, to="cold"))
    100
    """
    return drawn_rows(log, n, lambda users: np.zeros((len(users), log.n_items)), to=to, seed=seed)


def popularity_rows(log: Interactions, n: int, *, to: str = "all", seed: int = 0) -> Interactions:
    """Draws new pairs by the items' popularity; arguments as in `random_rows`."""
    weight = np.log(np.maximum(log.popularity(), 1e-6))
    return drawn_rows(
        log, n, lambda users: np.broadcast_to(weight, (len(users), log.n_items)), to=to, seed=seed
    )


def ease_rows(
    log: Interactions,
    n: int,
    *,
    to: str = "all",
    seed: int = 0,
    regularization: float = 100.0,
    temperature: float = 0.05,
) -> Interactions:
    """Draws new pairs by the scores of an EASE fitted to the log: self-training, without a game.

    Args:
        log: The real log.
        n: How many rows.
        to: As in `random_rows`.
        seed: Seed.
        regularization: EASE's.
        temperature: Scores are divided by it before the softmax; smaller is greedier.
    """
    model = EASE(n_users=log.n_users, n_items=log.n_items, regularization=regularization).fit(log)
    return drawn_rows(
        log,
        n,
        lambda users: np.asarray(model.score_catalogue(users), np.float64) / temperature,
        to=to,
        seed=seed,
    )


def game_rows(generator: Any) -> Callable[..., Interactions]:
    """Makes a sampler of a trained generator of items.

    Args:
        generator: What gives `log_weights(users, seed) -> (batch, n_items)`, as the generator of
            `AugmentationGame`; or any recommender, whose scores are then taken as logits.

    Returns:
        A sampler with the arguments of `random_rows`.
    """

    def rows(log: Interactions, n: int, *, to: str = "all", seed: int = 0) -> Interactions:
        if (generator.n_users, generator.n_items) != (log.n_users, log.n_items):
            raise ValueError(
                f"the generator was made for {generator.n_users} users and {generator.n_items} "
                f"items, and {log.name!r} has {log.n_users} and {log.n_items}. Train one on this "
                "log."
            )
        weigh = getattr(generator, "log_weights", None)

        def weights(users: np.ndarray) -> np.ndarray:
            found = generator.score_catalogue(users) if weigh is None else weigh(users, seed)
            return np.asarray(found, np.float64)

        return drawn_rows(log, n, weights, to=to, seed=seed)

    return rows


def drawn_rows(
    log: Interactions, n: int, weights: Weights, *, to: str = "all", seed: int = 0
) -> Interactions:
    """Draws new pairs of a log's users, without repetition.

    Args:
        log: The real log.
        n: How many rows.
        weights: Users `(b,)` -> log-probabilities `(b, n_items)`, not normalised; what the user
            has is left out here.
        to: As in `random_rows`.
        seed: Seed.

    Returns:
        A log of `n` interactions.
    """
    check_target(to)
    rng = np.random.default_rng(seed)
    allowed = tail_items(log) if to == "tail" else np.ones(log.n_items, bool)
    counts = _counts(log, n, to, allowed, rng)
    taken, users, items = log.csr(), [], []
    asked = np.flatnonzero(counts)
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        score = np.array(weights(some.astype(np.int32)), np.float64)
        score += rng.gumbel(size=score.shape)
        score[taken[some].toarray() > 0] = -np.inf
        score[:, ~allowed] = -np.inf
        best = np.argsort(-score, axis=1, kind="stable")[:, : counts[some].max()]
        kept = np.arange(best.shape[1]) < counts[some, None]
        users.append(np.repeat(some, counts[some]))
        items.append(best[kept])
    user = np.concatenate([np.empty(0, np.int64), *users])
    item = np.concatenate([np.empty(0, np.int64), *items])
    return filled(log, user, item, rng)


def _counts(
    log: Interactions, n: int, to: str, allowed: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """How many rows each user gets: `n` in all, nobody more than there is left to take."""
    lengths = np.bincount(log.user, minlength=log.n_users)
    share = cold_users(log).astype(np.float64) if to == "cold" else lengths.astype(np.float64)
    had = np.asarray(log.csr()[:, allowed].sum(axis=1)).ravel().astype(np.int64)
    left = log.n_items - np.asarray(log.csr().sum(axis=1)).ravel().astype(np.int64)
    # one item of the catalogue stays unseen: a pairwise model needs a negative for everybody
    room = np.minimum(int(allowed.sum()) - had, np.maximum(left - 1, 0)) * (share > 0)
    if n > room.sum():
        raise DataError(
            f"{log.name}: {n:,} new rows were asked for (to={to!r}), and only {room.sum():,} pairs "
            "are left. Ask for a smaller ratio."
        )
    counts = np.zeros(log.n_users, np.int64)
    while (missing := n - int(counts.sum())) > 0:
        open_share = share * (counts < room)
        exact = missing * open_share / open_share.sum()
        counts += np.minimum(np.floor(exact).astype(np.int64), room - counts)
        missing = n - int(counts.sum())
        some = np.flatnonzero((counts < room) & (share > 0))
        lucky = min(missing, len(some), int((exact % 1 > 0).sum()) or 1)
        weight = share[some] / share[some].sum() if len(some) else None
        if lucky > 0:
            counts[rng.choice(some, lucky, replace=False, p=weight)] += 1
    return counts
