"""Turns scores into lists of the caller's own ids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfadvrec.data.checks import DataError

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions
    from tfadvrec.models.recommender import Recommender

CHUNK = 1024
POLICIES = ("error", "mean", "empty")


def recommend(
    model: "Recommender",
    users: Sequence[Any],
    k: int,
    *,
    exclude: "Interactions | None",
    unknown: str,
) -> tuple[np.ndarray, np.ndarray]:
    """See `Recommender.recommend`."""
    if unknown not in POLICIES:
        raise ValueError(f"unknown must be one of {POLICIES}. Received: {unknown!r}")
    if not 1 <= k <= model.n_items:
        raise ValueError(f"k must lie between 1 and the {model.n_items} items. Received: {k}")
    if model.user_ids is None or model.item_ids is None:
        raise ValueError(
            "the model does not know its ids yet: call model.bind(log) with the training log, or "
            "model.set_ids(user_ids, item_ids)"
        )
    if exclude is not None:
        _check_vocabularies(model, exclude)
    rows = _rows(model, users, unknown)
    lists = [
        _top(model, rows[i : i + CHUNK], k, exclude, unknown) for i in range(0, len(rows), CHUNK)
    ]
    items = np.concatenate([items for items, _ in lists]) if lists else np.zeros((0, k), int)
    scores = np.concatenate([s for _, s in lists]) if lists else np.zeros((0, k), np.float32)
    ids = model.item_ids[items]
    nothing = scores == np.finfo(np.float32).min
    ids[nothing] = "" if ids.dtype.kind in "UO" else -1
    return ids, scores


def _check_vocabularies(model: "Recommender", exclude: "Interactions") -> None:
    for side, known, given in (
        ("user", model.user_ids, exclude.user_ids),
        ("item", model.item_ids, exclude.item_ids),
    ):
        if not np.array_equal(known, given):
            raise DataError(
                f"exclude must be a log with the model's own {side} ids in the model's order "
                f"({len(known)} ids: {known[:5].tolist()}). Received {len(given)} ids: "
                f"{given[:5].tolist()}. Pass the log that the model is bound to, or a part of it "
                "(log.take(rows))."
            )


def _rows(model: "Recommender", users: Sequence[Any], unknown: str) -> np.ndarray:
    row = {user: i for i, user in enumerate(model.user_ids.tolist())}
    users = np.asarray(users).tolist()
    rows = np.array([row.get(user, -1) for user in users], np.int32).reshape(-1)
    missing = [user for user, r in zip(users, rows, strict=True) if r < 0]
    if missing and unknown == "error":
        kind = "text" if model.user_ids.dtype.kind in "UO" else "integer"
        raise DataError(
            f"{len(missing)} user ids are unknown to the model (its ids are {kind}, such as "
            f"{model.user_ids[:3].tolist()}): {missing[:5]}. Pass unknown='mean' to rank for the "
            "average user or unknown='empty' for an empty list."
        )
    return rows


def _top(
    model: "Recommender",
    rows: np.ndarray,
    k: int,
    exclude: "Interactions | None",
    unknown: str,
) -> tuple[np.ndarray, np.ndarray]:
    known = rows >= 0
    scores = np.array(model.score_catalogue(np.maximum(rows, 0)))
    if not known.all():
        mean = _mean_scores(model) if unknown == "mean" else np.finfo(np.float32).min
        scores[~known] = mean
    if exclude is not None and known.any():
        seen = exclude.csr()[rows[known]].tocoo()
        scores[np.flatnonzero(known)[seen.row], seen.col] = np.finfo(np.float32).min
    top = tf.math.top_k(scores, k)
    return top.indices.numpy(), top.values.numpy()


def _mean_scores(model: "Recommender") -> np.ndarray:
    """The catalogue as the average user scores it."""
    total = np.zeros(model.n_items, np.float64)
    for first in range(0, model.n_users, CHUNK):
        users = np.arange(first, min(first + CHUNK, model.n_users), dtype=np.int32)
        total += np.asarray(model.score_catalogue(users), np.float64).sum(axis=0)
    return (total / model.n_users).astype(np.float32)
