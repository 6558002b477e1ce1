"""The user side of a trained recommender, as TensorFlow Recommenders takes it."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.tfrs.item_vectors import ids_of, vectors_of
from tfadvrec.tfrs.loading import tf_keras

POLICIES = ("error", "mean")


class QueryModel(tf_keras.Model):
    """Gives the vectors of users: the `query_model` of a TFRS index.

    The vectors are read from the model once, when this is made, as those of `candidates` are, so
    that both belong together; no Keras 3 runs inside Keras 2, and a saved index needs neither
    Keras nor this package.

    Args:
        model: A trained recommender that ranks by inner products of vectors, or what trains it.
        unknown: What a user gets whom the model does not know: `"error"`, or the vector of the
            `"mean"` user, whose ranking is that of `recommend(unknown="mean")`.
        name: The Keras model name.

    Shapes: user ids as the model has them (string or integer), or integer rows where it has none,
    `(batch,)`; gives float32 `(batch, dimension)`.

    Raises:
        ValueError: The model does not rank by vectors, or `unknown` is none of these.

    Example:

    >>> import tensorflow as tf
    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(n_users=5, n_items=9, n_interactions=20, seed=0)
    >>> model = tar.TwoTower(n_users=5, n_items=9, dimension=4, seed=0).bind(log)
    >>> tar.tfrs.QueryModel(model)(tf.constant(log.user_ids[:2])).shape
    TensorShape([2, 4])
    """

    def __init__(self, model: Any, *, unknown: str = "error", name: str | None = None) -> None:
        super().__init__(name=name)
        if unknown not in POLICIES:
            raise ValueError(f"unknown must be one of {POLICIES}. Received: {unknown!r}")
        ranker, users, _ = vectors_of(model)
        self.unknown, self.n_users = unknown, len(users)
        mean = users.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
        table = np.concatenate([users, mean])
        self.vectors = self.add_weight(
            name="vectors",
            shape=table.shape,
            initializer=tf_keras.initializers.Zeros(),
            trainable=False,
        )
        self.vectors.assign(table)
        ids = ids_of(ranker, "user")
        rows = None if ids is None else tf.range(self.n_users, dtype=tf.int64)
        self._row_of = rows if rows is None else _lookup(ids, rows)

    def call(self, users: tf.Tensor) -> tf.Tensor:
        """The vectors of users; see the class."""
        rows = self._rows(users)
        known = (rows >= 0) & (rows < self.n_users)
        if self.unknown == "error":
            strangers = tf.boolean_mask(users, ~known)
            message = "users whom the model does not know; QueryModel(unknown='mean') ranks for "
            message += "the average user:"
            tf.debugging.Assert(tf.reduce_all(known), [message, strangers], summarize=5)
        return tf.gather(self.vectors, tf.where(known, rows, self.n_users))

    def _rows(self, users: tf.Tensor) -> tf.Tensor:
        if self._row_of is None:
            return tf.cast(users, tf.int64)
        if users.dtype != tf.string:
            users = tf.cast(users, self._row_of.key_dtype)
        return self._row_of.lookup(users)


def _lookup(ids: tf.Tensor, rows: tf.Tensor) -> tf.lookup.StaticHashTable:
    pairs = tf.lookup.KeyValueTensorInitializer(ids, rows)
    return tf.lookup.StaticHashTable(pairs, default_value=-1)
