"""A block of batches of sequences: what was taken so far, and what came next, event by event."""

from typing import Any

import tensorflow as tf

from tfadvrec.data.negatives import Negatives

Drawn = tuple[tf.Tensor, tf.Tensor]


class SequenceBlock(tf.experimental.ExtensionType):
    """Several mini-batches of sequences; negatives are drawn when asked for; see `Block`.

    Attributes:
        chosen: int32 `(size, batch)`, positions in the tables.
        steps: int32 `()`, how many of the `size` batches there are; those behind them are padding.
        seed: int32 `(2,)`: a key of this epoch, and the number of the first batch.
        user: int32 `(sequences,)`, whose each sequence is.
        events: int32 `(sequences, length + 1)`, item rows in time order, -1 as padding in front.
        gaps: int32 `(sequences, length)`, buckets of the time since the event before, or `(0, 0)`.
        own: What is no negative of a user; draws a position's own negatives.
        shared: Draws the negatives that a batch shares, for a user without positives.
        candidates: `"own"`, `"shared"` or `"catalogue"`; see `tfadvrec.data.sequences`.
        per_epoch: How many batches an epoch has.
    """

    chosen: tf.Tensor
    steps: tf.Tensor
    seed: tf.Tensor
    user: tf.Tensor
    events: tf.Tensor
    gaps: tf.Tensor
    own: Negatives
    shared: Negatives
    candidates: str
    per_epoch: int

    def draw(self) -> Drawn:
        """The negatives of all batches: each position's own, and those that are shared."""
        owners = tf.gather(self.user, self.chosen)
        nobody = tf.zeros_like(self.chosen[:, :1])
        return self.own.draw(owners, self.seed), self.shared.draw(nobody, self.seed)

    def batch(self, step: tf.Tensor | int, drawn: Drawn | None = None) -> tuple[Any, tf.Tensor]:
        """Lays out one mini-batch.

        Args:
            step: Which batch, from 0 to `steps - 1`.
            drawn: What `draw` gave, where more than one batch is laid out.

        Returns:
            `(inputs, labels)`; see `tfadvrec.data.sequences`.
        """
        own, shared = self.draw() if drawn is None else drawn
        chosen = self.chosen[step]
        events = tf.gather(self.events, chosen)
        history, target = events[:, :-1], events[:, 1:]
        inputs = {"history": history}
        if self.gaps.shape[-1]:
            inputs["history_gap"] = tf.gather(self.gaps, chosen)
        if self.candidates == "catalogue":
            inputs["item_id"] = tf.range(self.own.n_items)[None, None]
            labels = tf.one_hot(target, self.own.n_items)
        elif self.candidates == "own":
            many, length = tf.shape(history)[0], history.shape[1]
            negative = tf.reshape(own[step], [many, length, self.own.count // length])
            inputs["item_id"] = tf.concat([tf.maximum(target, 0)[..., None], negative], axis=-1)
            labels = tf.one_hot(tf.zeros_like(target), inputs["item_id"].shape[-1])
        else:
            labels = self._shared(inputs, target, tf.gather(self.user, chosen), shared[step, 0])
        labels = tf.where(history[..., None] >= 0, labels, -1.0)
        return inputs, tf.reshape(labels, [-1, labels.shape[-1]])

    def _shared(
        self, inputs: dict[str, tf.Tensor], target: tf.Tensor, user: tf.Tensor, negative: tf.Tensor
    ) -> tf.Tensor:
        """Adds the positives and the shared negatives to the inputs, and gives the labels."""
        positive = tf.maximum(target, 0)[..., None]
        inputs["item_id"], inputs["shared_id"] = positive, negative
        if self.shared.strategy == "popularity":
            inputs["sampling_probability"] = tf.gather(self.shared.share, positive)
            inputs["shared_probability"] = tf.gather(self.shared.share, negative)
        taken = self.own.is_positive(user, negative)[:, None]
        hit = tf.broadcast_to(taken, tf.concat([tf.shape(target), tf.shape(negative)], 0))
        return tf.concat([tf.ones_like(positive, tf.float32), tf.where(hit, -1.0, 0.0)], axis=-1)
