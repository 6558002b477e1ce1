"""What models share that read a user's events in their order."""

import zlib
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.data.event_windows import GAP_BUCKETS, UserEvents
from tfadvrec.models.baselines.fitting import bound
from tfadvrec.models.dropout import Dropout
from tfadvrec.models.history import probe_histories
from tfadvrec.models.recommender import Recommender, check_rows

SMALLEST_PROBABILITY = 1e-9


class SequenceRecommender(Recommender):
    """A recommender whose user is a history: a concrete one implements `read`.

    One table has the items' vectors, both those of a history and those that are scored: the score
    is the inner product of what `read` makes of the history and the item's vector. The history's
    vectors pass a layer named `history_vectors` as they are looked up, where an adversary can move
    them; then they are multiplied by the square root of `dimension`, and zero where there was no
    event. No weight has a row a user.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        length: How many of a user's last events are read.
        dropout: Share that training drops.
        time_aware: Whether the time since the event before is read too (a learned vector for each
            of 31 buckets is added to an event's; nothing is where it is unknown).
        initial_scale: Standard deviation of the truncated normal that item vectors start from.
        seed: Seed of initial values and dropout, or None.
        name: The Keras model name.
    """

    # an attack on the tables asks for all triples of a user at once: see `tfadvrec.audit.by_user`
    reads_histories = True

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int,
        length: int,
        dropout: float,
        time_aware: bool,
        initial_scale: float,
        seed: int | None,
        name: str | None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if min(dimension, length) < 1 or not 0 <= dropout < 1 or not initial_scale > 0:
            raise ValueError(
                "dimension and length must be 1 or more, dropout lie in [0, 1) and initial_scale "
                f"be above 0. Received: dimension={dimension!r}, length={length!r}, "
                f"dropout={dropout!r}, initial_scale={initial_scale!r}"
            )
        self.dimension, self.length, self.dropout = int(dimension), int(length), float(dropout)
        self.time_aware, self.initial_scale = bool(time_aware), float(initial_scale)
        self.seed = seed
        self._events: tuple[tf.Tensor, tf.Tensor] | None = None
        self.item_embedding = keras.layers.Embedding(
            n_items,
            dimension,
            embeddings_initializer=keras.initializers.TruncatedNormal(
                stddev=initial_scale, seed=self.part_seed("item_embedding")
            ),
            name="item_embedding",
        )
        self.item_embedding.build(())
        self.history_vectors = keras.layers.Identity(name="history_vectors")
        self.drop = Dropout(dropout, seed=self.part_seed("drop"), name="drop")
        for layer in (self.history_vectors, self.drop):
            layer.build((None, length, dimension))
        self.gaps = None
        if time_aware:
            self.gaps = self.add_weight(
                shape=(GAP_BUCKETS, dimension), initializer="zeros", name="gaps"
            )

    def part_seed(self, part: str) -> int | None:
        """A seed of its own for each part, the same in every process."""
        return None if self.seed is None else zlib.crc32(f"{self.seed}/{part}".encode())

    def read(self, vectors: tf.Tensor, known: tf.Tensor, training: bool | None) -> tf.Tensor:
        """What is made of the events up to each one.

        Args:
            vectors: `(batch, length, dimension)`, zero where there is no event.
            known: bool `(batch, length)`, where there is one: the last ones of a row.
            training: Whether dropout is on.

        Returns:
            `(batch, length, dimension)`; at an event it depends on no later one.
        """
        raise NotImplementedError

    def bind(self, log: Interactions) -> Self:
        """Takes the log's ids, and its users' last events as their histories."""
        super().bind(log)
        with tf.init_scope():
            self._events = tuple(tf.constant(part) for part in UserEvents(log).last(self.length))
        return self

    # -- scores ---------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates.

        Args:
            inputs: Users: `"user_id"` `(batch,)`, with the histories of the bound log, or
                `"history"` `(batch, any length)`, item rows in time order with -1 anywhere as
                padding, with `"history_gap"` of the same shape for a time-aware model. Candidates:
                `"item_id"` `(batch, candidates)` or `(candidates,)` for what comes after the whole
                history, or none for the whole catalogue. With three axes, `(batch, length,
                candidates)` or `(1, 1, candidates)`, they are those for what comes after each
                event of histories of the model's `length`: see `tfadvrec.data.sequences`.
            training: Whether dropout is on.

        Returns:
            `(batch, candidates)`; `(batch * length, candidates)` for candidates of three axes.
        """
        rows = inputs.get("item_id")
        rows = None if rows is None else ops.convert_to_tensor(rows)
        if rows is not None and len(rows.shape) == 3:
            states = self._states(inputs["history"], inputs.get("history_gap"), training)
            return self._each_event(states, rows, inputs)
        if "history" in inputs:
            events = last_known(inputs["history"], inputs.get("history_gap"), self.length)
        else:
            events = self._last_events(inputs["user_id"])
        users = self._states(*events, training)[:, -1]
        if rows is None or len(rows.shape) == 1:
            items = self.item_embedding(tf.range(self.n_items) if rows is None else rows)
            return ops.matmul(users, ops.transpose(items))
        return row_sums(users[:, None, :] * self.item_embedding(rows))[..., 0]

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of the bound log's users, `(batch, dimension)`."""
        events = self._last_events(check_rows(rows, self.n_users, "user"))
        return self._states(*events, False)[:, -1]

    def embed_history(self, history: Any, gap: Any = None) -> tf.Tensor:
        """Vectors of users who are known by what they took.

        Args:
            history: int item rows in time order, `(batch, any length)`, -1 anywhere as padding.
            gap: Buckets of the time since the event before, of the same shape, for a time-aware
                model (`tfadvrec.data.event_windows.gap_buckets`); None for unknown.

        Returns:
            `(batch, dimension)`.
        """
        if hasattr(history, "numpy") or not tf.is_tensor(history):
            check_rows(np.maximum(np.asarray(history), -1) + 1, self.n_items + 1, "item (plus 1)")
        return self._states(*last_known(history, gap, self.length), False)[:, -1]

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, dimension)`."""
        return self.item_embedding(check_rows(rows, self.n_items, "item"))

    def score_history(self, history: Any, gap: Any = None) -> tf.Tensor:
        """Scores of every item for users who are known by what they took; see `embed_history`.

        Returns:
            float32 `(batch, n_items)`.
        """
        users = ops.cast(self.embed_history(history, gap), "float32")
        items = ops.cast(self.embed_items(tf.range(self.n_items)), "float32")
        return ops.matmul(users, ops.transpose(items))

    def _last_events(self, users: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(tf.gather(part, users) for part in bound(self._events, self))

    def _states(self, history: Any, gap: Any, training: bool | None) -> tf.Tensor:
        """What `read` makes of item rows, -1 in front as padding: `(batch, length, dimension)`."""
        history = ops.convert_to_tensor(history)
        if history.shape[1] != self.length:
            raise ValueError(
                f"{type(self).__name__} reads {self.length} events, and the histories have "
                f"{history.shape[1]}: make the model and data.sequences with the same length."
            )
        known = history >= 0
        vectors = self.history_vectors(self.item_embedding(ops.maximum(history, 0)))
        vectors = vectors * ops.cast(self.dimension**0.5, vectors.dtype)
        if self.gaps is not None and gap is not None:
            vectors = vectors + ops.cast(ops.take(self.gaps, gap, axis=0), vectors.dtype)
        # after the adversary's place, so that padding has no gradient there
        vectors = vectors * ops.cast(known, vectors.dtype)[..., None]
        return self.read(vectors, known, training)

    def _each_event(self, states: tf.Tensor, rows: tf.Tensor, inputs: dict[str, Any]) -> tf.Tensor:
        """Scores of candidates for what comes after each event."""
        flat = ops.reshape(states, [-1, self.dimension])
        items = self.item_embedding(rows)
        if tuple(rows.shape[:2]) == (1, 1):
            scores = ops.matmul(flat, ops.transpose(items[0, 0]))
        else:
            scores = row_sums(states[:, :, None, :] * items)[..., 0]
            scores = ops.reshape(scores, [-1, rows.shape[-1]])
        scores = _corrected(scores, inputs.get("sampling_probability"))
        if "shared_id" not in inputs:
            return scores
        shared = ops.matmul(flat, ops.transpose(self.item_embedding(inputs["shared_id"])))
        shared = _corrected(shared, inputs.get("shared_probability"))
        return ops.concatenate([scores, shared], axis=-1)

    # -- sharing --------------------------------------------------------------------------

    def history_lengths(self, users: Any) -> np.ndarray:
        """How many events of users the model reads, int64 `(batch,)`."""
        items, _ = bound(self._events, self)
        return (items.numpy()[np.asarray(users)] >= 0).sum(axis=1)

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """A few histories and candidates, as a preset's probe asks for."""
        return probe_histories(self.n_items)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "length": self.length,
            "dropout": self.dropout,
            "time_aware": self.time_aware,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }


def last_known(history: Any, gap: Any, length: int) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Moves what is known to the end, in its order, and keeps the last of it.

    Args:
        history: int rows `(batch, width)`, negative ones unknown.
        gap: int `(batch, width)`, or None.
        length: How many are kept; where there are fewer, -1 (and gap 0) is put in front.

    Returns:
        int32 `(batch, length)`, and the gaps of what is kept.

    Example:

    >>> last_known([[5, -1, 7, 2, -1], [-1, -1, -1, 3, -1]], None, 2)[0].numpy().tolist()
    [[7, 2], [-1, 3]]
    """
    rows = tf.cast(tf.convert_to_tensor(history), tf.int32)
    order = tf.argsort(tf.cast(rows >= 0, tf.int32), axis=-1, stable=True)

    def kept(part: tf.Tensor, filling: int) -> tf.Tensor:
        part = tf.gather(tf.where(rows >= 0, part, filling), order, batch_dims=1)
        return tf.pad(part, [[0, 0], [length, 0]], constant_values=filling)[:, -length:]

    return kept(rows, -1), None if gap is None else kept(tf.cast(gap, tf.int32), 0)


def _corrected(scores: tf.Tensor, probability: Any) -> tf.Tensor:
    """Scores minus the logarithm of how likely each candidate was to be drawn."""
    if probability is None:
        return scores
    logs = ops.log(ops.maximum(ops.cast(probability, "float32"), SMALLEST_PROBABILITY))
    return scores - ops.cast(ops.reshape(logs, [-1, scores.shape[-1]]), scores.dtype)
