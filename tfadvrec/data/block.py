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
        user: int32 `(steps, batch)`, user rows of the positives.
        item: int32 `(steps, batch)`, item rows of the positives.
        label: float32 `(steps, batch)`, the target of each positive (ones, or its rating).
        seed: int32 `(2,)`, what the random draws of this block are keyed by.
        negatives: How negatives are drawn.
        kind: `"pairs"`, `"points"` or `"in_batch"`: how a batch is laid out.
    """

    user: tf.Tensor
    item: tf.Tensor
    label: tf.Tensor
    seed: tf.Tensor
    negatives: Negatives
    kind: str

    @property
    def steps(self) -> tf.Tensor:
        """The number of batches, a scalar int32 tensor."""
        return tf.shape(self.user)[0]

    def batch(self, step: tf.Tensor | int) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        """Lays out one mini-batch.

        Args:
            step: Which batch, from 0 to `steps - 1`.

        Returns:
            `(inputs, labels)` as `Recommender.call` and the losses take them: see
            `tfadvrec.data.pairs`, `points` and `in_batch`.
        """
        user, item, label = self.user[step], self.item[step], self.label[step]
        if self.kind == "in_batch":
            return self._in_batch(user, item)
        seed = self.seed + tf.stack([0, tf.cast(step, tf.int32)])
        count = self.negatives.count
        candidates = tf.concat([item[:, None], self.negatives.draw(user, seed)], axis=1)
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
