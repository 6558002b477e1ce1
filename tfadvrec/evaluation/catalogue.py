"""Scores of the whole catalogue, chunk by chunk, and the pessimistic positions of items in them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

# Above this many held-out items a user, sorting each row once beats counting for each item.
_SORT_FROM = 8


def check_same_catalogue(train: Any, others: Sequence[tuple[str, Any]], model: Any = None) -> None:
    """Raises `ValueError` unless all logs (and the model) count the same users and items."""
    wanted = (train.n_users, train.n_items)
    for label, log in others:
        found = (log.n_users, log.n_items)
        same = found == wanted and all(
            getattr(log, ids) is getattr(train, ids)
            or np.array_equal(getattr(log, ids), getattr(train, ids))
            for ids in ("user_ids", "item_ids")
        )
        if not same:
            raise ValueError(
                f"{label} does not share the vocabulary of train: train has {wanted[0]} users and "
                f"{wanted[1]} items, {label} has {found[0]} and {found[1]} (equal numbers of other "
                "ids count as different). Split one log with data.leave_last_out, by_time, "
                "by_ratio or published_split, so that row r means the same id in every part."
            )
    sizes = (getattr(model, "n_users", wanted[0]), getattr(model, "n_items", wanted[1]))
    if sizes != wanted:
        raise ValueError(
            f"the model was built for {sizes[0]} users and {sizes[1]} items, the logs have "
            f"{wanted[0]} and {wanted[1]}. Build it with n_users=train.n_users and "
            "n_items=train.n_items, or load the preset with the log's own ids."
        )


def seen_matrix(train: Any, seen: Sequence[Any]) -> sparse.csr_matrix:
    """Binary matrix `(users, items)` of what must never be recommended."""
    matrix = train.csr().astype(bool)
    for log in seen:
        matrix = matrix + log.csr().astype(bool)
    matrix = sparse.csr_matrix(matrix)
    matrix.sort_indices()
    return matrix


def masked_scores(
    model: Any, users: np.ndarray, seen: sparse.csr_matrix, chunk: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields `(start, scores)` for consecutive chunks of `users`.

    `scores` has shape `(users in the chunk, items)`, float32, and is NaN exactly where the user
    has seen the item: every comparison with NaN is false, so a masked item never counts.

    Raises:
        ValueError: If the model returns another shape, or a NaN score.
    """
    for start in range(0, len(users), chunk):
        rows = users[start : start + chunk]
        scores = np.array(model.score_catalogue(rows.astype(np.int32)), dtype=np.float32, order="C")
        if scores.shape != (len(rows), seen.shape[1]):
            raise ValueError(
                f"score_catalogue({len(rows)} users) returned shape {scores.shape}, expected "
                f"{(len(rows), seen.shape[1])}: one score for every item of the catalogue."
            )
        if np.isnan(scores.min(initial=np.inf)):
            where = np.argwhere(np.isnan(scores))
            first = ", ".join(f"(user row {rows[r]}, item row {i})" for r, i in where[:3])
            raise ValueError(
                f"{len(where)} scores are NaN, first at {first}. A model with NaN scores cannot be "
                "ranked: look for a diverged training run (lower the learning rate, clip the "
                "gradients) or for missing values in the features."
            )
        part = seen[rows]
        scores[np.repeat(np.arange(len(rows)), np.diff(part.indptr)), part.indices] = np.nan
        yield start, scores


def positions(scores: np.ndarray, row: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Zero-based pessimistic position of each (row, item) pair.

    The position is the number of *other* candidates whose score is at least the item's, so equal
    scores count against the model.

    Args:
        scores: `(users, items)`, NaN where an item is not a candidate.
        row: `(pairs,)`, non-decreasing rows of `scores`.
        item: `(pairs,)`, candidates only.

    Returns:
        int64 `(pairs,)`.

    Example:

    >>> positions(np.array([[3.0, 1.0, 1.0, np.nan]]), np.array([0, 0]), np.array([0, 1]))
    array([0, 2])
    """
    own = scores[row, item]
    if len(row) > _SORT_FROM * len(scores):
        return _positions_by_sorting(scores, row, own)
    if len(row) == len(scores) and np.array_equal(row, np.arange(len(scores))):
        return np.count_nonzero(scores >= own[:, None], axis=1) - 1
    found = np.empty(len(row), np.int64)
    for start in range(0, len(row), len(scores)):
        piece = slice(start, start + len(scores))
        found[piece] = np.count_nonzero(scores[row[piece]] >= own[piece, None], axis=1)
    return found - 1


def _positions_by_sorting(scores: np.ndarray, row: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The same by one sort of each row (NaN last) and a binary search of all pairs at once."""
    ordered = np.sort(scores, axis=1)
    candidates = scores.shape[1] - np.count_nonzero(np.isnan(scores), axis=1)
    low, high = np.zeros(len(row), np.int64), candidates[row].copy()
    while np.any(low < high):
        middle = (low + high) // 2
        below = (ordered[row, np.minimum(middle, scores.shape[1] - 1)] < own) & (low < high)
        high = np.where(below | (low >= high), high, middle)
        low = np.where(below, middle + 1, low)
    return candidates[row] - low - 1


def top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The items whose pessimistic position is below `k`, best first.

    Items that tie across the cut are all left out, so a list may be shorter than `k`, a constant
    scorer recommends nothing, and the outcome does not depend on the order of the items.

    Args:
        scores: `(users, items)`, NaN where an item is not a candidate.
        k: Longest list wanted.

    Returns:
        `(items, positions)`, both `(users, k)`; where there is no such item, -1 and `k`.
    """
    rank = np.negative(scores)
    if k < rank.shape[1]:
        # What ties with the (k + 1)-th best cannot be in the list, so it is what beats it.
        cut = np.partition(rank, k, axis=1)[:, k : k + 1]
        member = (rank < cut) | (np.isnan(cut) & ~np.isnan(rank))
    else:
        member = ~np.isnan(rank)
    row, item = np.nonzero(member)
    length = np.bincount(row, minlength=len(rank))
    column = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    items = np.full((len(rank), k), -1, np.int32)
    value = np.full((len(rank), k), np.nan, np.float32)
    items[row, column], value[row, column] = item, rank[row, item]
    order = np.argsort(value, axis=1, kind="stable")
    items, value = np.take_along_axis(items, order, 1), np.take_along_axis(value, order, 1)
    place = np.where(items < 0, k, np.arange(k))
    for j in range(k - 2, -1, -1):
        place[:, j] = np.where(value[:, j] == value[:, j + 1], place[:, j + 1], place[:, j])
    return items, place
