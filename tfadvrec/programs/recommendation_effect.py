"""What generated ratings do to a recommender: the same model on the log with and without them."""

from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.evaluation import RankingTask
from tfadvrec.models import EASE
from tfadvrec.programs.distances import rating_errors
from tfadvrec.programs.rating_model import Means

REGULARIZATION = 300.0


def recommendation_effect(
    train: Interactions, test: Interactions, made: Any, *, share: float = 0.25, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Adds rated pairs to a log, from the game and from its neighbours, and fits again.

    Which users, items and times are added is the same for all: users as often as they are in the
    log, items that the user does not have, at times of the user's own. Only the ratings differ.
    The recommender is `EASE` on what is liked: a rating at or above the training ratings' median.

    Args:
        train: The log.
        test: Held-out ratings.
        made: What generates ratings, `made.ratings(log, seed=)`.
        share: Pairs added for each real rating.
        seed: What pairs and ratings are drawn from.

    Returns:
        Log -> `"ndcg@10"` and `"recall@10"` of held-out liked items among all items that the user
        has not rated, `"liked"`, the share of added pairs that are liked, and `"rmse"` of user and
        item means.
    """
    line = float(np.median(train.rating))
    pairs = new_pairs(train, round(share * len(train)), seed=seed)
    rng = np.random.default_rng(seed)
    means = Means.of(train)
    ratings = {
        "with the game's ratings": made.ratings(pairs, seed=seed + 1),
        "with means as ratings": means.predict(pairs.user, pairs.item),
        "with any ratings": rng.choice(train.rating, len(pairs)),
    }
    task = RankingTask(train, liked(test, line))
    logs = {"untouched log": train}
    logs |= {name: joined(train, pairs, values) for name, values in ratings.items()}
    return {name: _row(log, train, test, task, line) for name, log in logs.items()}


def _row(
    log: Interactions, train: Interactions, test: Interactions, task: RankingTask, line: float
) -> dict[str, float]:
    kept = liked(log, line)
    model = EASE(n_users=log.n_users, n_items=log.n_items, regularization=REGULARIZATION).fit(kept)
    ranked = task.evaluate(model, k=(10,), metrics=("ndcg", "recall")).means
    predicted = Means.of(log).predict(test.user, test.item)
    added = log.rating[len(train) :]
    row = {**ranked, "rmse": rating_errors(predicted, test.rating)["rmse"]}
    return row if not len(added) else {**row, "liked": float((added >= line).mean())}


def liked(log: Interactions, line: float) -> Interactions:
    """The interactions rated at `line` or above."""
    return log.take(log.rating >= line)


def new_pairs(log: Interactions, count: int, *, seed: int) -> Interactions:
    """Pairs of users and items that a log does not have, at times of the users' own.

    Args:
        log: The log.
        count: About how many; pairs that the log has, and repeated ones, are left out.
        seed: What they are drawn from.

    Returns:
        Interactions without ratings: users and items as often as in the log.
    """
    rng = np.random.default_rng(seed)
    event = rng.integers(0, len(log), 4 * count)
    user = log.user[event]
    item = log.item[rng.integers(0, len(log), 4 * count)]
    key = user.astype(np.int64) * log.n_items + item
    known = log.user.astype(np.int64) * log.n_items + log.item
    _, first = np.unique(key, return_index=True)
    first = np.sort(first[~np.isin(key[first], known)])[:count]
    return log.take(event[first]).replace(
        user=user[first], item=item[first], rating=None, columns={}
    )


def joined(log: Interactions, pairs: Interactions, ratings: np.ndarray) -> Interactions:
    """A log with rated pairs behind it."""
    times = None if log.time is None else np.concatenate([log.time, pairs.time])
    return log.replace(
        user=np.concatenate([log.user, pairs.user]),
        item=np.concatenate([log.item, pairs.item]),
        rating=np.concatenate([log.rating, np.asarray(ratings, np.float32)]),
        time=times,
        columns={},
    )
