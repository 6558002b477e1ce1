"""Training triples user by user, for models that read a whole history to score one triple."""

from collections.abc import Sequence
from typing import Any

import numpy as np

ROWS = 512  # users in a batch: each costs a whole history's activations
Batch = tuple[dict[str, np.ndarray], np.ndarray]


def by_user(batches: Sequence[Batch]) -> list[Batch]:
    """Lays triples out with many a row, so that a user's history is read once for many of them.

    A user with more triples than a row holds has several rows. The sum of a pairwise loss over
    `in_pairs` of the result is that over the triples.

    Args:
        batches: As `training_triples` gives them: one positive and one negative a row.

    Returns:
        Batches of `({"user_id": int32 (b,), "item_id": int32 (b, 2n)}, float32 (b, 2n))`, all of
        one shape, positive and negative in turns; label -1 for padding.

    Example:

    >>> ids = {"user_id": np.array([4, 9, 4]), "item_id": np.array([[1, 2], [3, 5], [6, 7]])}
    >>> inputs, labels = by_user([(ids, np.float32([[1, 0], [1, 0], [1, 0]]))])[0]
    >>> inputs["user_id"].tolist(), inputs["item_id"].tolist()
    ([4, 9], [[1, 2, 6, 7], [3, 5, 0, 0]])
    >>> labels.tolist()
    [[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, -1.0, -1.0]]
    """
    user, items, labels = (
        np.concatenate([np.asarray(part) for part in parts])
        for parts in zip(*((x["user_id"], x["item_id"], y) for x, y in batches), strict=True)
    )
    real = labels[:, 0] > 0
    order = np.flatnonzero(real)[np.argsort(user[real], kind="stable")]
    user, items, labels = user[order], items[order], labels[order]
    _, first, counts = np.unique(user, return_index=True, return_counts=True)
    width = max(1, -(-len(user) // max(len(counts), 1)))
    place = np.arange(len(user)) - np.repeat(first, counts)
    each = -(-counts // width)
    row = np.repeat(np.cumsum(each) - each, counts) + place // width
    n_rows = int(each.sum())
    size = -(-n_rows // max(1, -(-n_rows // ROWS)))
    whole = -(-n_rows // max(size, 1)) * size
    asker = np.zeros(whole, np.int32)
    asked = np.zeros((whole, width, 2), np.int32)
    label = np.full((whole, width, 2), -1, np.float32)
    asker[row], asked[row, place % width], label[row, place % width] = user, items, labels
    flat = asked.reshape(whole, -1), label.reshape(whole, -1)
    return [
        (
            {"user_id": asker[start:][:size], "item_id": flat[0][start:][:size]},
            flat[1][start:][:size],
        )
        for start in range(0, whole, size)
    ]


def in_pairs(labels: Any, scores: Any) -> tuple[Any, Any]:
    """Labels and scores of a batch, one triple a row again."""
    import tensorflow as tf

    return tf.reshape(labels, [-1, 2]), tf.reshape(scores, [-1, 2])
