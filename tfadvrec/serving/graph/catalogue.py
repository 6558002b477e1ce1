"""What a model without user vectors is in a servable: its own scores of the whole catalogue."""

import tensorflow as tf

from tfadvrec.serving.graph.signatures import MASKED_SCORE
from tfadvrec.serving.graph.traced import Traced


class Catalogue(tf.Module):
    """Ranks by a model's traced scores. Scores that are not finite count as masked.

    Args:
        scoring: The model's `score_catalogue` or `score_history`: rows -> `(batch, n_items)`.
        n_items: Number of items.
    """

    dimension: int | None = None

    def __init__(self, scoring: Traced, n_items: int) -> None:
        super().__init__(name="catalogue")
        self.scoring, self.n_items = scoring, n_items

    @property
    def n_bytes(self) -> int:
        """Bytes of the tensors that the trace reads."""
        return self.scoring.n_bytes

    def scores(self, askers: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items, `(batch, n_items)`, finite."""
        if askers.shape.rank == 1:  # an unknown user's row is none of the model's; it gets masked
            askers = tf.maximum(askers, 0)
        scores = self.scoring(askers)
        return tf.where(tf.math.is_finite(scores), scores, MASKED_SCORE)

    def top(self, askers: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each asker: scores and item rows."""
        return tf.math.top_k(self.scores(askers), count)

    def pairs(self, askers: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Returns the score of asker i with item `items[i]`, `(batch,)`."""
        return tf.gather(self.scores(askers), items, batch_dims=1)
