"""Scores of users' vectors against items' vectors."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_rs
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.models.two_tower import SMALLEST_PROBABILITY

SHORTEST = 1e-6  # a vector shorter than this keeps its direction and stays short


class VectorScores(keras.layers.Layer):
    """Inner products or cosines divided by a temperature, corrected for in-batch training.

    Args:
        similarity: `"dot"` or `"cosine"`.
        temperature: Divides the scores.
        name: Name of the layer.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> scores = VectorScores("cosine", 0.5)
    >>> users, items = tf.constant([[3.0, 4.0]]), tf.constant([[1.0, 0.0], [0.0, 2.0]])
    >>> scores(users, items).numpy().astype(float).round(2).tolist()
    [[1.2, 1.6]]
    """

    def __init__(
        self, similarity: str = "cosine", temperature: float = 0.1, *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        if similarity not in ("cosine", "dot") or not temperature > 0:
            raise ValueError(
                f"similarity is 'cosine' or 'dot', got {similarity!r}; temperature is above 0, "
                f"got {temperature!r}."
            )
        self.similarity, self.temperature = similarity, float(temperature)
        self.correction = keras_rs.layers.SamplingProbabilityCorrection(
            epsilon=SMALLEST_PROBABILITY, name="log_q"
        )
        self.built = True

    def of_items(self, vectors: Any) -> tf.Tensor:
        """Items' vectors as they are compared, float32."""
        vectors = ops.cast(vectors, "float32")
        if self.similarity == "dot":
            return vectors
        # keras.ops.normalize has a gradient of NaN at zero, and an item of which nothing is known
        # lies there
        return vectors * ops.rsqrt(ops.maximum(row_sums(ops.square(vectors)), SHORTEST**2))

    def of_users(self, vectors: Any) -> tf.Tensor:
        """Users' vectors as they are compared, divided by the temperature."""
        return self.of_items(vectors) / self.temperature

    def call(self, users: Any, items: Any, inputs: Mapping[str, Any] | None = None) -> tf.Tensor:
        """Scores candidates.

        Args:
            users: `(batch, dimension)`.
            items: `(batch, candidates, dimension)`, or `(candidates, dimension)` for the same
                candidates for all.
            inputs: What the model was called with; scores are lowered by the logarithm of its
                `"sampling_probability"`, if it has one.

        Returns:
            `(batch, candidates)`.
        """
        scores = vector_scores(self.of_users(users), self.of_items(items))
        if not inputs or "sampling_probability" not in inputs:
            return scores
        probability = ops.cast(inputs["sampling_probability"], scores.dtype)
        shared = len(probability.shape) == 1
        return self.correction(scores, probability[None, :] if shared else probability)


def vector_scores(users: Any, items: Any) -> tf.Tensor:
    """Inner products of users `(batch, d)` with candidates `(batch, c, d)` or `(c, d)`."""
    if len(items.shape) == 2:
        return ops.matmul(users, ops.transpose(items))
    return row_sums(users[:, None, :] * items)[..., 0]
