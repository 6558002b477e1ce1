"""A model's own computation in a servable: one method, traced into core operations."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

REFUSED = (AttributeError, NotImplementedError, TypeError, ValueError, RuntimeError)


class Traced(tf.Module):
    """One method of a model as a graph, with the variables that it reads and no Keras object.

    Constants become part of the graph.

    Args:
        model: What has the method, made of TensorFlow operations on the tensors it is given.
        method: The method's name.
        inputs: The specs of its arguments; the first dimension is the batch.
        gives: The shape of the answer, None for the batch; without it any shape will do.

    Raises:
        ValueError: If it cannot be traced, reads something else than variables, or answers in
            another shape.

    Example:

    >>> class Doubling:
    ...     def double(self, rows):
    ...         return 2 * rows
    >>> made = Traced(Doubling(), "double", [tf.TensorSpec([None], tf.int32)], gives=[None])
    >>> made(tf.constant([1, 2])).numpy().tolist()  # always float32
    [2.0, 4.0]
    """

    def __init__(
        self,
        model: Any,
        method: str,
        inputs: Sequence[tf.TensorSpec],
        *,
        gives: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__(name=method)
        self.called = f"{type(model).__name__}.{method}"

        def call(*tensors: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.convert_to_tensor(getattr(model, method)(*tensors)), tf.float32)

        try:
            traced = tf.function(call, input_signature=inputs).get_concrete_function()
        except REFUSED as error:
            said = str(error).strip().splitlines()[-1:]
            raise ValueError(
                f"{self.called} cannot be traced into a graph: {' '.join(said).strip()}. It must "
                "be made of TensorFlow operations on the tensors that it is given."
            ) from error
        if not traced.output_shapes.is_compatible_with(gives):
            wanted = ", ".join(["batch", *(str(size) for size in gives[1:])])
            raise ValueError(
                f"{self.called} must give ({wanted}) for a batch of rows, got "
                f"{traced.output_shapes}."
            )
        self.held = list(traced.graph.variables)
        handles = {id(variable.handle) for variable in self.held}
        if any(
            one.dtype == tf.resource and id(one) not in handles for one in traced.captured_inputs
        ):
            raise ValueError(
                f"{self.called} reads a resource that is no variable, such as a lookup table; a "
                "servable holds variables and constants only. The servable looks the ids up "
                "itself: the model gets rows."
            )
        self.traced, self.gives = traced, tf.TensorShape(traced.output_shapes).merge_with(gives)

    @property
    def n_bytes(self) -> int:
        """Bytes of the tensors that the trace reads."""
        constants = [one for one in self.traced.captured_inputs if one.dtype != tf.resource]
        return sum(one.dtype.size * one.shape.num_elements() for one in (*self.held, *constants))

    def __call__(self, *tensors: tf.Tensor) -> tf.Tensor:
        """Computes the answer, float32."""
        return tf.ensure_shape(self.traced(*tensors), self.gives)
