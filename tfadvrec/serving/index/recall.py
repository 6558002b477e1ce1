"""How much of the exact answer an index finds."""

from typing import Any

import numpy as np
import tensorflow as tf

BATCH = 16
ROUNDING = 1e-6


def mean_recall(table: Any, exact_items: np.ndarray, queries: np.ndarray, k: int) -> float:
    """Compares an index with the exact search.

    A served item counts where its exact score reaches the k-th best exact score, so that items of
    equal scores stand for each other; scores that differ by rounding count as equal.

    Args:
        table: What `BruteForce.build` gave.
        exact_items: The float32 vectors it was built of, `(n_items, dimension)`.
        queries: float32 `(queries, dimension)`; 256 or more give a trustworthy mean.
        k: Length of the lists, cut to the number of items.

    Returns:
        The share of the true best `k` that is served, the mean over the queries, 0 to 1.

    Raises:
        ValueError: If there is no query or `k` is below 1.

    Example:

    >>> from tfadvrec.serving import BruteForce
    >>> items = np.eye(4, dtype="float32")
    >>> mean_recall(BruteForce().build(items), items, items[:2] + 0.1, k=2)
    1.0
    """
    width = min(k, len(exact_items))
    if not len(queries) or width < 1:
        raise ValueError(
            f"mean_recall needs one query or more and k >= 1, got {len(queries)} queries and k={k}."
        )
    vector = tf.TensorSpec([None, exact_items.shape[1]], tf.float32)
    search = tf.function(lambda some: table.top(some, width)[1], input_signature=[vector])
    hits = []
    for start in range(0, len(queries), BATCH):
        some = np.asarray(queries[start : start + BATCH], np.float32)
        scores = some @ exact_items.T
        least = -np.partition(-scores, width - 1, axis=1)[:, width - 1]
        least -= ROUNDING * np.abs(scores).max(axis=1)
        served = np.take_along_axis(scores, search(tf.constant(some)).numpy(), axis=1)
        hits.append((served >= least[:, None]).mean(axis=1))
    return float(np.concatenate(hits).mean())
