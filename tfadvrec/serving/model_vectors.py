"""Reads a model's user and item vectors, once, in chunks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

CHUNK = 8192
LARGEST = float(np.finfo(np.float32).max)


def ranking_model(model: Any, history: int | None = None) -> Any:
    """Finds what ranks: the model, or the model inside a wrapper (`AdversarialTraining`).

    Args:
        model: Anything with `embed_users` and `embed_items`, or with `score_catalogue`, or with a
            `model` that has them.
        history: Whether histories ask: then `score_history`, or `embed_history` with
            `embed_items`.

    Returns:
        The object that has them.

    Raises:
        ValueError: If there is none.
    """
    alone, asking = (
        ("score_catalogue", "embed_users")
        if history is None
        else ("score_history", "embed_history")
    )
    for one in (model, getattr(model, "model", None)):
        if hasattr(one, alone) or (hasattr(one, asking) and hasattr(one, "embed_items")):
            return one
    raise ValueError(
        f"{type(model).__name__} cannot be exported{'' if history is None else ' with history'}: "
        f"a servable needs {asking}(rows) and embed_items(rows), or {alone}(rows) -> (batch, "
        "n_items)."
    )


def read_vectors(
    model: Any, n_users: int | None, n_items: int
) -> tuple[np.ndarray | None, np.ndarray] | None:
    """Computes all vectors of a factorised model.

    Args:
        model: What `ranking_model` gave.
        n_users: Number of user rows; None where histories ask, whose vectors are computed then.
        n_items: Number of item rows.

    Returns:
        float32 `(n_users, dimension)`, or None, and `(n_items, dimension)`; None where the model
        is not factorised.

    Raises:
        ValueError: If the vectors do not fit together, are not finite, or are so large that a
            score could be infinite.
    """
    asking = "embed_history" if n_users is None else "embed_users"
    if not (hasattr(model, asking) and hasattr(model, "embed_items")):
        return None
    try:
        users = None if n_users is None else in_chunks(model.embed_users, n_users, "embed_users")
        items = in_chunks(model.embed_items, n_items, "embed_items")
    except NotImplementedError:
        return None
    if users is not None:
        check_vectors(users, items)
    return users, items


def check_vectors(users: np.ndarray, items: np.ndarray) -> None:
    """Refuses tables of two widths, and vectors whose scores could be infinite.

    Raises:
        ValueError: If they are so.
    """
    if users.shape[1] != items.shape[1]:
        raise ValueError(
            f"embed_users and embed_items must give vectors of one width, got {users.shape[1]} "
            f"and {items.shape[1]}."
        )
    longest = [
        float(np.linalg.norm(table.astype(np.float64), axis=1).max()) for table in (users, items)
    ]
    if longest[0] * longest[1] >= LARGEST:
        raise ValueError(
            f"The longest user and item vectors, {longest[0]:.1e} and {longest[1]:.1e}, multiply "
            "to more than float32 holds. Has the training diverged?"
        )


def in_chunks(embed: Callable[[tf.Tensor], tf.Tensor], count: int, name: str) -> np.ndarray:
    """Calls `embed` on all rows and checks what comes back."""
    parts = []
    for start in range(0, count, CHUNK):
        rows = tf.range(start, min(start + CHUNK, count), dtype=tf.int32)
        part = tf.cast(tf.convert_to_tensor(embed(rows)), tf.float32).numpy()
        if part.ndim != 2 or len(part) != len(rows):
            raise ValueError(
                f"{name}(rows) must give ({len(rows)}, dimension) for {len(rows)} rows, got "
                f"{part.shape}."
            )
        parts.append(part)
    table = np.concatenate(parts)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} gives values that are not finite: rows {bad[:3].tolist()} ({bad.size} of "
            f"{count} rows). Has the training diverged?"
        )
    return table
