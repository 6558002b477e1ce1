"""The vectors of a trained model, turned so that distances of them are distances of scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfadvrec.data import Interactions

FLOOR = 1e-6  # of the largest eigenvalue: directions that hardly any score needs stay invertible


def aligned(
    vectors: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray], *, side: str
) -> dict[str, np.ndarray]:
    """Turns users' and items' vectors so that those of one side can be compared by distance.

    For the vectors v of `side` and C the mean of p p' over the other side's known vectors p, the
    mean squared difference of the scores of two vectors is (v - w)' C (v - w). With v -> C^½ v
    and p -> C^-½ p all inner products stay what they were, and that is |v - w|². A common scale
    makes the known vectors' mean squared coordinate 1.

    Args:
        vectors: `"user"` and `"item"`: `(rows, dimension)`.
        known: `"user"` and `"item"`: bool `(rows,)`, which rows were trained.
        side: Whose vectors will be compared.

    Returns:
        `"user"` and `"item"`: float32 `(rows, dimension)`.

    Raises:
        ValueError: If a known vector is not finite, or all are zero.

    Example:

    >>> given = {"user": np.array([[3.0, 0.0], [0.0, 1.0]]), "item": np.array([[1.0, 2.0]])}
    >>> every = {"user": np.ones(2, bool), "item": np.ones(1, bool)}
    >>> turned = aligned(given, every, side="item")
    >>> (turned["user"] @ turned["item"].T).round(3).tolist()
    [[3.0], [2.0]]
    """
    other = "user" if side == "item" else "item"
    mine, theirs = (np.asarray(vectors[one], np.float64) for one in (side, other))
    trained = theirs[known[other]]
    if not (np.isfinite(trained).all() and np.isfinite(mine[known[side]]).all()):
        raise ValueError("vectors that are not finite cannot be aligned. Has training diverged?")
    values, turn = np.linalg.eigh(trained.T @ trained / max(1, len(trained)))
    if not values[-1] > 0 or not np.any(mine[known[side]]):
        raise ValueError(
            f"all trained {other} or {side} vectors are zero: train the model first, then make "
            "the AttributeRecommender from it."
        )
    root = np.sqrt(np.maximum(values, FLOOR * values[-1]))
    mine, theirs = (mine @ (turn * root)) @ turn.T, (theirs @ (turn / root)) @ turn.T
    scale = np.sqrt(np.mean(np.square(mine[known[side]])))
    return {side: (mine / scale).astype(np.float32), other: (theirs * scale).astype(np.float32)}


def trained_vectors(model: Any, log: Interactions) -> dict[str, np.ndarray]:
    """Reads both tables of a factorised model.

    Args:
        model: What has `embed_users` and `embed_items`.
        log: The log that it was trained on.

    Returns:
        `"user"` and `"item"`: float32 `(rows, dimension)`.

    Raises:
        ValueError: If the model has no vectors, or other numbers of rows than the log.
    """
    vectors = {}
    for side, size in (("user", log.n_users), ("item", log.n_items)):
        embed = getattr(model, f"embed_{side}s", None)
        if embed is None or getattr(model, f"n_{side}s", size) != size:
            raise ValueError(
                f"{type(model).__name__} cannot give the vectors: expected a model with "
                f"embed_users and embed_items for {log.n_users} users and {log.n_items} items, "
                "such as a MatrixFactorization or PureSVD that was trained on this log."
            )
        vectors[side] = np.asarray(embed(np.arange(size)), np.float32)
    return vectors
