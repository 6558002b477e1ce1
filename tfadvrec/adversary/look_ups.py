"""Look-ups of embedding tables in a pass: seen, and shifted without writing to the table."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.calls import replaced


class LookUps:
    """What a model's `keras.layers.Embedding` layers look up while a pass runs.

    In a pass the layers' results are gathered apart from the table, so that the tape gives the
    gradient of each look-up, and a shift can be added to it. A layer with a `call` of its own that
    looks up by `super().call` (keras-rs's `EmbedReduce`) is seen there. A table that is also read
    in another way (a tied output layer, say) has a gradient of its own beside these. Look-ups
    inside a loop or branch of the model's own, sparse ones, and layers with LoRA or quantised
    weights are left alone: their gradient is all of the second kind.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        trainable = {id(v) for v in model.trainable_variables}
        self.layers = [
            layer
            for layer in model._flatten_layers()
            if _embedding(layer) and id(layer.embeddings) in trainable
        ]

    @contextmanager
    def seen(
        self, tape: tf.GradientTape, shifts: Mapping[int, tf.Tensor]
    ) -> Iterator[dict[int, list[tuple[tf.Tensor, tf.Tensor]]]]:
        """Records the look-ups of the pass inside.

        Args:
            tape: Records the pass, and watches the vectors.
            shifts: `id(table)` -> `(n, width)`, added to the table's n look-ups in their order.

        Yields:
            `id(table)` -> rows `(...)` and vectors `(..., width)` of each look-up, in order.
        """
        found: dict[int, list[tuple[tf.Tensor, tf.Tensor]]] = {}
        graph = tf.compat.v1.get_default_graph()

        def look_up(layer: keras.layers.Embedding, inputs: Any) -> Any:
            outside = tf.compat.v1.get_default_graph() is not graph
            if outside or isinstance(inputs, tf.SparseTensor):
                return keras.layers.Embedding.call(layer, inputs)
            if isinstance(inputs, tf.RaggedTensor):
                return inputs.with_flat_values(look_up(layer, inputs.flat_values))
            table = layer.embeddings
            rows = tf.cast(inputs, tf.int32)
            rows = tf.where(rows < 0, rows + table.shape[0], rows)
            before = found.setdefault(id(table), [])
            vectors = tf.stop_gradient(tf.gather(table.value, rows))
            if id(table) in shifts:
                vectors += _part(shifts[id(table)], before, rows, vectors)
            tape.watch(vectors)
            before.append((rows, vectors))
            return tf.cast(vectors, layer.compute_dtype)

        with ExitStack() as stack:
            for layer in self.layers:
                function = _looking_up_by(layer, look_up)
                stack.enter_context(replaced(layer, lambda _, function=function: function))
            yield found


def slices(
    found: Sequence[tuple[tf.Tensor, tf.Tensor]],
    gradients: Sequence[tf.Tensor | None],
    table: keras.Variable,
    *,
    rows: tf.Tensor | None = None,
) -> tf.IndexedSlices | None:
    """The gradient of a table's look-ups, one slice a look-up, repeated rows included.

    Args:
        found: The table's look-ups in a pass, as `LookUps.seen` gives them.
        gradients: The gradient of each look-up's vectors.
        table: The table.
        rows: The rows, where an earlier pass of the same batch has looked them up already.
    """
    if all(g is None for g in gradients):
        return None
    width = table.shape[1]
    values = [
        tf.reshape(tf.zeros_like(vectors) if g is None else g, [-1, width])
        for (_, vectors), g in zip(found, gradients, strict=True)
    ]
    if rows is None:
        rows = tf.concat([tf.reshape(part, [-1]) for part, _ in found], 0)
    return tf.IndexedSlices(tf.concat(values, 0), rows, tf.constant([table.shape[0], width]))


def _part(
    shift: tf.Tensor, before: Sequence[tuple], rows: tf.Tensor, vectors: tf.Tensor
) -> tf.Tensor:
    """The shift of the next look-up, in its shape."""
    start = sum(_size(rows) for rows, _ in before)
    return tf.reshape(shift[start : start + _size(rows)], tf.shape(vectors))


def _size(tensor: tf.Tensor) -> int | tf.Tensor:
    known = tensor.shape.num_elements()
    return tf.size(tensor) if known is None else known


def _embedding(layer: Any) -> bool:
    return (
        isinstance(layer, keras.layers.Embedding)
        and layer.built
        and layer.quantization_mode is None
        and not layer.lora_enabled
    )


def _looking_up_by(layer: keras.layers.Embedding, function: Any) -> Callable[..., Any]:
    """What a layer computes where `function(layer, inputs)` does its look-ups."""
    if type(layer).call is keras.layers.Embedding.call:
        return functools.partial(function, layer)
    return functools.partial(type(layer).call, _looks_up_by(layer, function))


def _looks_up_by(layer: keras.layers.Embedding, function: Any) -> keras.layers.Embedding:
    """All that a layer is, but that its `super().call(inputs)` is `function(layer, inputs)`."""

    class LookUp(keras.layers.Embedding):
        def call(self, inputs: Any) -> Any:
            return function(layer, inputs)

    kind = type(layer)
    twin = object.__new__(type(kind.__name__, (kind, LookUp), {}))
    object.__setattr__(twin, "__dict__", vars(layer))  # one state, not a copy
    return twin
