"""What a model without user vectors is in a servable: its own `score_catalogue`, traced."""

from typing import Any

import tensorflow as tf

from tfadvrec.serving.signatures import MASKED_SCORE


class Catalogue(tf.Module):
    """Ranks by a model's `score_catalogue`, traced into a graph of core operations.

    The variables that the trace reads are held as they are, raw `tf.Variable`s; constants become
    part of the graph. Scores that are not finite count as masked.

    Args:
        model: Anything with `score_catalogue(rows) -> (batch, n_items)` made of TensorFlow
            operations.
        n_items: Number of items.

    Raises:
        ValueError: If it cannot be traced or gives something else.
    """

    def __init__(self, model: Any, n_items: int) -> None:
        super().__init__(name="catalogue")

        def score_catalogue(rows: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.convert_to_tensor(model.score_catalogue(rows)), tf.float32)

        rows = tf.TensorSpec([None], tf.int32, name="rows")
        try:
            traced = tf.function(score_catalogue, input_signature=[rows]).get_concrete_function()
        except (AttributeError, NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            said = str(error).strip().splitlines()[-1:]
            raise ValueError(
                f"{type(model).__name__}.score_catalogue cannot be traced into a graph: "
                f"{' '.join(said).strip()}. It must be made of TensorFlow operations on the tensor "
                "that it is given."
            ) from error
        if not traced.output_shapes.is_compatible_with([None, n_items]):
            raise ValueError(
                f"{type(model).__name__}.score_catalogue(rows) must give (batch, {n_items}), one "
                f"score for each item id, got {traced.output_shapes}."
            )
        self.held = list(traced.graph.variables)
        handles = {id(variable.handle) for variable in self.held}
        if any(
            one.dtype == tf.resource and id(one) not in handles for one in traced.captured_inputs
        ):
            raise ValueError(
                f"{type(model).__name__}.score_catalogue reads a resource that is no variable, "
                "such as a lookup table; a servable holds variables and constants only. The "
                "servable looks the ids up itself: score_catalogue gets rows."
            )
        self.traced = traced
        self.n_items = n_items
        self.fallback_row = 0
        self.dimension: int | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of the tensors that the trace reads."""
        constants = [one for one in self.traced.captured_inputs if one.dtype != tf.resource]
        return sum(one.dtype.size * one.shape.num_elements() for one in (*self.held, *constants))

    def scores(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items, `(batch, n_items)`, finite."""
        scores = tf.ensure_shape(self.traced(rows), [None, self.n_items])
        return tf.where(tf.math.is_finite(scores), scores, MASKED_SCORE)

    def top(self, rows: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best `count` items of each user row: scores and item rows."""
        return tf.math.top_k(self.scores(rows), count)

    def pairs(self, rows: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Returns the score of user `rows[i]` with item `items[i]`, `(batch,)`."""
        return tf.gather(self.scores(rows), items, batch_dims=1)
