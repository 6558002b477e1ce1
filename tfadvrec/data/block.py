"""A block: several mini-batches that one compiled training step runs in a loop."""

from collections.abc import Mapping
from typing import Any

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
        weight: float32 `(size, batch)`, the weight of each positive, or `(0, 0)` for none.
        class_weight: float32 `(classes,)`, Keras's `class_weight`, or `(0,)` for none.
        steps: int32 `()`, how many of the `size` batches there are; those behind them are padding.
        seed: int32 `(2,)`: the key of the random draws, and the number of the first batch.
        negatives: How negatives are drawn.
        kind: `"pairs"`, `"points"` or `"in_batch"`: how a batch is laid out.
        per_epoch: How many batches an epoch has.
    """

    user: tf.Tensor
    item: tf.Tensor
    label: tf.Tensor
    weight: tf.Tensor
    class_weight: tf.Tensor
    steps: tf.Tensor
    seed: tf.Tensor
    negatives: Negatives
    kind: str
    per_epoch: int

    def with_class_weight(self, class_weight: tf.Tensor) -> "Block":
        """The same batches, each row weighted by its class, as Keras's `class_weight` does."""
        fields = {name: getattr(self, name) for name in type(self).__annotations__}
        return Block(**{**fields, "class_weight": class_weight})

    def draw(self) -> tf.Tensor:
        """The negatives of all batches, int32 `(size, batch, negatives)`."""
        return self.negatives.draw(self.user, self.seed)

    def batch(self, step: tf.Tensor | int, drawn: tf.Tensor | None = None) -> tuple[Any, ...]:
        """Lays out one mini-batch.

        Args:
            step: Which batch, from 0 to `steps - 1`.
            drawn: What `draw` gave, where more than one batch is laid out.

        Returns:
            `(inputs, labels)`, or `(inputs, labels, sample_weight)`, as `Recommender.call`, the
            losses and Keras take them: see `tfadvrec.data.pairs`, `points` and `in_batch`.
        """
        user, item = self.user[step], self.item[step]
        weight = self.weight[step] if self.weight.shape[-1] else None
        if self.kind == "in_batch":
            return self._weighted(*self._in_batch(user, item), weight)
        negative = (self.draw() if drawn is None else drawn)[step]
        count = self.negatives.count
        candidates = tf.concat([item[:, None], negative], axis=1)
        label = self.label[step] if self.label.shape[-1] else tf.ones_like(user, tf.float32)
        labels = tf.concat([label[:, None], tf.zeros([tf.shape(user)[0], count])], axis=1)
        if self.kind == "pairs":
            return self._weighted({"user_id": user, "item_id": candidates}, labels, weight)
        flat = {"user_id": tf.repeat(user, 1 + count), "item_id": tf.reshape(candidates, [-1, 1])}
        weight = None if weight is None else tf.repeat(weight, 1 + count)
        return self._weighted(flat, tf.reshape(labels, [-1, 1]), weight)

    def _weighted(
        self, inputs: Mapping[str, tf.Tensor], labels: tf.Tensor, weight: tf.Tensor | None
    ) -> tuple[Any, ...]:
        if self.class_weight.shape[0]:  # a row's class is what Keras takes it to be
            one = labels.shape[-1] == 1
            classes = tf.round(labels[:, 0]) if one else tf.argmax(labels, axis=-1)
            weight = tf.gather(self.class_weight, tf.cast(classes, tf.int32))
        return (inputs, labels) if weight is None else (inputs, labels, weight)

    def _in_batch(
        self, user: tf.Tensor, item: tf.Tensor
    ) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        own = tf.eye(tf.shape(user)[0], dtype=tf.bool)
        hit = (item[None, :] == item[:, None]) | self.negatives.is_positive(user, item)
        labels = tf.where(own, 1.0, tf.where(hit, -1.0, 0.0))
        probability = tf.gather(self.negatives.share, item)
        return {"user_id": user, "item_id": item, "sampling_probability": probability}, labels
