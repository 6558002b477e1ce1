"""A user's vector out of the vectors of the items that they took last."""

import zlib
from typing import Any

import keras
import numpy as np
from keras import ops

from tfadvrec.data import Interactions

EMPTY = -1e9


class HistoryPooling(keras.layers.Layer):
    """Gives c + W sum_j w_j v_j over the last items j of a history.

    w is a softmax over a . v_j and a learned weight of how many newer items there are. It starts
    as the plain mean: a and the weights of age at zero, W at the identity.

    Args:
        dimension: Width of the vectors.
        length: How many items count, the last ones.
        seed: Seed of c, or None.
        name: Name of the layer.

    Example:

    >>> pooling = HistoryPooling(2, 3)
    >>> _ = pooling.taste.bias.assign([0.0, 0.0])
    >>> items = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    >>> pooling(np.array([[0, 1, -1], [-1, -1, -1]]), items).numpy().tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """

    def __init__(
        self, dimension: int, length: int, *, seed: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.length = length
        self.attention = self.add_weight(shape=(dimension,), initializer="zeros", name="attention")
        self.recency = self.add_weight(shape=(length,), initializer="zeros", name="recency")
        start = keras.initializers.TruncatedNormal(
            stddev=0.05, seed=None if seed is None else zlib.crc32(f"{seed}/taste".encode())
        )
        self.taste = keras.layers.Dense(
            dimension, kernel_initializer="identity", bias_initializer=start, name="taste"
        )
        self.taste.build((None, dimension))
        self.built = True

    def call(self, history: Any, items: Any) -> Any:
        """Pools histories.

        Args:
            history: int item rows `(batch, any)`, the newest last; negative ones are padding,
                wherever they stand.
            items: Vectors of all items, `(n_items, dimension)`.

        Returns:
            `(batch, dimension)`.
        """
        history = ops.convert_to_tensor(history)
        known = history >= 0
        vectors = ops.take(items, ops.maximum(history, 0), axis=0)
        counts = ops.cast(known, "int32")
        newer = ops.sum(counts, axis=1, keepdims=True) - ops.cumsum(counts, axis=1)
        counted = ops.logical_and(known, newer < self.length)
        age = ops.take(self.recency, ops.clip(newer, 0, self.length - 1), axis=0)
        attention = ops.cast(self.attention, vectors.dtype)
        logits = ops.sum(vectors * attention, axis=-1) + ops.cast(age, vectors.dtype)
        shares = ops.softmax(ops.where(counted, ops.cast(logits, "float32"), EMPTY), axis=-1)
        shares = ops.cast(shares * ops.cast(counted, shares.dtype), vectors.dtype)
        return self.taste(ops.sum(shares[..., None] * vectors, axis=1))


def last_items(log: Interactions, length: int) -> np.ndarray:
    """Each user's last items, in the log's order where it has no times.

    Returns:
        int32 `(n_users, length)`, the newest last, -1 as padding at the end.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 1], ["a", "b", "b", "c"], time=[3, 2, 1, 5])
    >>> last_items(log, 2).tolist()
    [[0, 2], [1, -1]]
    """
    time = np.zeros(len(log), np.int64) if log.time is None else log.time
    order = np.lexsort((time, log.user))
    user = log.user[order]
    counts = np.bincount(user, minlength=log.n_users)
    place = np.arange(len(user)) - (np.cumsum(counts) - counts)[user]
    place -= np.maximum(counts - length, 0)[user]
    table = np.full((log.n_users, length), -1, np.int32)
    table[user[place >= 0], place[place >= 0]] = log.item[order][place >= 0]
    return table


def without(history: Any, candidates: Any) -> Any:
    """Blanks the candidates in each user's history.

    Args:
        history: `(batch, any)` rows.
        candidates: `(batch, candidates)`; or `(batch,)`, each user's own positive.

    Returns:
        The histories with -1 in those places.
    """
    own = candidates[:, None] if len(candidates.shape) == 1 else candidates
    own = ops.cast(own, history.dtype)
    return ops.where(ops.any(history[:, :, None] == own[:, None, :], axis=-1), -1, history)
