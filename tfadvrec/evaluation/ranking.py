"""One pass over the catalogue: every ranking metric of one model on one split."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.evaluation.catalogue import check_same_catalogue, each_block, pair_matrix
from tfadvrec.evaluation.positions import top
from tfadvrec.evaluation.ranking_result import RankingResult
from tfadvrec.evaluation.ranking_task import RankingTask


def evaluate(
    model: Any,
    train: Any,
    test: Any,
    *,
    seen: Sequence[Any] = (),
    k: Sequence[int] | int = (10,),
    metrics: Sequence[str] | None = None,
    item_vectors: np.ndarray | None = None,
    users: Sequence[int] | np.ndarray | None = None,
    items: Sequence[int] | np.ndarray | None = None,
    chunk: int | None = None,
    threads: int | None = None,
) -> RankingResult:
    """Ranks the whole catalogue for every user with held-out items and measures the ranking.

    Items that the user has in `train` (or in `seen`) are never ranked; held-out items among them
    are dropped and counted. Scores are held for a block of users in each thread, by default 64 MB
    in all (more only where the scores of one user a thread need more), never for all users; lists
    are held whole, 4 bytes an item.

    A model that has the `score_catalogue` of `Recommender` is asked once for its vectors, and the
    scores are NumPy's products of them; any other is asked for its scores, block by block and
    never from two threads.

    Args:
        model: Anything with `score_catalogue(users) -> (users, items)`.
        train: The training `Interactions`: mask, popularity, item similarity.
        test: The held-out `Interactions`, with the same vocabularies.
        seen: More logs to mask, usually `[validation]` when `test` is the test part.
        k: Cuts.
        metrics: Names out of hr, recall, precision, ndcg, mrr, map, auc (from positions alone:
            fast), coverage, gini, novelty, popularity, aplt, ild (from the lists); all by default.
        item_vectors: `(items, d)` vectors for `ild`; by default its similarity is the cosine of
            the items' training users.
        users: Rows to evaluate; by default all users with held-out items.
        items: Rows of the items that are ranked, such as the cold ones; by default all.
        chunk: Users scored at once in each thread; by default as many as the 64 MB allow.
        threads: Threads; by default as many as this process may use cores, at most 16.

    Returns:
        A `RankingResult`.

    Raises:
        ValueError: If the logs do not share vocabularies, a metric is unknown, a score is NaN, or
            no user is left to evaluate.

    Reference:
        Krichene and Rendle, On sampled metrics for item recommendation, KDD 2020 (why the whole
        catalogue).
    """
    task = RankingTask(train, test, seen=seen, users=users, items=items)
    return task.evaluate(
        model, k=k, metrics=metrics, item_vectors=item_vectors, chunk=chunk, threads=threads
    )


def top_lists(
    model: Any,
    train: Any,
    users: Sequence[int] | np.ndarray,
    *,
    seen: Sequence[Any] = (),
    k: int = 10,
    chunk: int | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The recommended list of each user, by the same rule as `evaluate`.

    Args:
        model: Anything with `score_catalogue`.
        train: The training `Interactions`; its items are masked.
        users: Rows.
        seen: More logs to mask.
        k: Length of a list; items that tie across the cut are left out.
        chunk: Users scored at once, as in `evaluate`.
        threads: Threads, as in `evaluate`.

    Returns:
        int32 `(users, k)` item rows, best first, -1 where a list is shorter.
    """
    check_same_catalogue(train, [(f"seen[{n}]", log) for n, log in enumerate(seen)], model)
    rows = np.asarray(users, np.int64)
    masked = pair_matrix([train, *seen])[rows]
    parts = each_block(
        model, rows, masked, lambda _, cost: top(cost, k)[0], chunk=chunk, threads=threads
    )
    return np.concatenate([np.empty((0, k), np.int32), *parts])
