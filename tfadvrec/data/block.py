"""A block: several mini-batches that one compiled training step runs in a loop."""

from collections.abc import Mapping

import tensorflow as tf

from tfadvrec.data.negatives import Negatives


class Block(tf.experimental.ExtensionType):
    """Several mini-batches of positives; negatives are drawn when a batch is asked for.

    To Keras a block is one step, so callbacks, progress bars and histories stay, while the inner
    loop over the batches is compiled (`tfadvrec.training.run_block`). Samplers make blocks; a
    `train_step` recognises them by this type and never by a shape.

    Attributes:
        user: int32 `(size, batch)`, user rows of the positives.
        item: int32 `(size, batch)`, item rows of the positives.
        label: float32 `(size, batch)`, the target of each positive, or `(0, 0)` where all are 1.
        steps: int32 `()`, how many of the `size` batches there are; those behind them are padding.
        seed: int32 `(2,)`: the key of the random draws, and the number of the first batch.
        negatives: How negatives are drawn.
        kind: `"pairs"`, `"points"` or `"in_batch"`: how a batch is laid out.
    """

    user: tf.Tensor
    item: tf.Tensor
    label: tf.Tensor
    steps: tf.Tensor
    seed: tf.Tensor
    negatives: Negatives
    kind: str

    def draw(self) -> tf.Tensor:
        """The negatives of all batches, int32 `(size, batch, negatives)`."""
        return self.negatives.draw(self.user, self.seed)

    def batch(
        self, step: tf.Tensor | int, drawn: tf.Tensor | None = None
    ) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        """Lays out one mini-batch.

        Args:
            step: Which batch, from 0 to `steps - 1`.
            drawn: What `draw` gave, where more than one batch is laid out.

        Returns:
            `(inputs, labels)` as `Recommender.call` and the losses take them: see
            `tfadvrec.data.pairs`, `points` and `in_batch`.
        """
        user, item = self.user[step], self.item[step]
        if self.kind == "in_batch":
            return self._in_batch(user, item)
        negative = (self.draw() if drawn is None else drawn)[step]
        count = self.negatives.count
        candidates = tf.concat([item[:, None], negative], axis=1)
        label = self.label[step] if self.label.shape[-1] else tf.ones_like(user, tf.float32)
        labels = tf.concat([label[:, None], tf.zeros([tf.shape(user)[0], count])], axis=1)
        if self.kind == "pairs":
            return {"user_id": user, "item_id": candidates}, labels
        flat = {"user_id": tf.repeat(user, 1 + count), "item_id": tf.reshape(candidates, [-1, 1])}
        return flat, tf.reshape(labels, [-1, 1])

    def _in_batch(
        self, user: tf.Tensor, item: tf.Tensor
    ) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        own = tf.eye(tf.shape(user)[0], dtype=tf.bool)
        hit = (item[None, :] == item[:, None]) | self.negatives.is_positive(user, item)
        labels = tf.where(own, 1.0, tf.where(hit, -1.0, 0.0))
        probability = tf.gather(self.negatives.share, item)
        return {"user_id": user, "item_id": item, "sampling_probability": probability}, labels
