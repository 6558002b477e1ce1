"""Metrics of each user's held-out items, from their positions alone."""

from collections.abc import Sequence

import numpy as np

RANK_METRICS = ("hr", "recall", "precision", "ndcg", "mrr", "map")


def rank_metrics(
    position: np.ndarray,
    starts: np.ndarray,
    k: Sequence[int],
    metrics: Sequence[str],
) -> dict[str, np.ndarray]:
    """Values per user of the metrics that look at the first `k` places.

    With h_u(k) = number of held-out items T_u at a position below `k`:
    HR = [h > 0]; Recall = h/|T_u|; Precision = h/k; MRR = 1/rank of the first hit, else 0;
    NDCG = sum over hits of 1/log2(position + 2), divided by the same sum over the first
    min(k, |T_u|) positions; MAP = sum over hits of (hits so far)/rank, divided by |T_u|.

    Args:
        position: `(pairs,)` zero-based positions, user after user.
        starts: `(users + 1,)`: user `u` owns `position[starts[u]:starts[u + 1]]`, never empty.
        k: Cuts.
        metrics: Names out of `RANK_METRICS`.

    Returns:
        `"name@k"` -> float64 `(users,)`.

    Example:

    >>> values = rank_metrics(np.array([0, 4]), np.array([0, 2]), [10], ["hr", "recall", "mrr"])
    >>> {name: float(value[0]) for name, value in values.items()}
    {'hr@10': 1.0, 'recall@10': 1.0, 'mrr@10': 1.0}
    """
    first, relevant = starts[:-1], np.diff(starts)
    owner = np.repeat(np.arange(len(relevant)), relevant)
    position = position[np.lexsort((position, owner))]
    turn = np.arange(len(position)) - first[owner] + 1
    values: dict[str, np.ndarray] = {}
    for cut in k:
        of_cut = _at(cut, position, turn, first, relevant)
        values |= {f"{name}@{cut}": of_cut[name] for name in metrics}
    return values


def _at(
    cut: int, position: np.ndarray, turn: np.ndarray, first: np.ndarray, relevant: np.ndarray
) -> dict[str, np.ndarray]:
    hit, best = position < cut, position[first]
    hits = np.add.reduceat(hit, first, dtype=np.float64)
    return {
        "hr": (hits > 0).astype(np.float64),
        "recall": hits / relevant,
        "precision": hits / cut,
        "ndcg": np.add.reduceat(hit / np.log2(position + 2.0), first) / _ideal(relevant, cut),
        "mrr": np.where(best < cut, 1.0 / (best + 1.0), 0.0),
        "map": np.add.reduceat(hit * turn / (position + 1.0), first) / relevant,
    }


def _ideal(relevant: np.ndarray, cut: int) -> np.ndarray:
    best = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(cut) + 2.0))])
    return best[np.minimum(relevant, cut)]


def auc(
    position: np.ndarray, own: np.ndarray, starts: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Share of (held-out, other candidate) pairs that are in the right order; ties count as wrong.

    Args:
        position: `(pairs,)` positions among all candidates.
        own: `(pairs,)` the held-out items' scores.
        starts: `(users + 1,)` as in `rank_metrics`.
        candidates: `(users,)` number of candidates, held-out items included.

    Returns:
        float64 `(users,)`; NaN for a user whose candidates are all held out.
    """
    first, relevant = starts[:-1], np.diff(starts)
    owner = np.repeat(np.arange(len(relevant)), relevant)
    order = np.lexsort((-own, owner))
    change = (np.diff(own[order]) != 0) | (np.diff(owner) != 0)
    last = np.append(np.flatnonzero(change), len(own) - 1)
    group = np.concatenate([[0], np.cumsum(change)]).astype(np.int64)
    others = np.empty(len(own), np.int64)
    others[order] = last[group] - first[owner]
    wrong = np.add.reduceat((position - others).astype(np.float64), first)
    pairs = relevant * (candidates - relevant).astype(np.float64)
    return np.where(pairs > 0, 1.0 - wrong / np.maximum(pairs, 1.0), np.nan)
