"""Outputs of layers in a pass: seen, and shifted on their way through the model."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.calls import replaced


@dataclass(frozen=True)
class Called:
    """One floating-point tensor that a layer gave out in a pass.

    Attributes:
        place: Its place among all such tensors of the pass, in the order of the calls.
        layer: The layer's path.
        value: The tensor, shift included.
    """

    place: int
    layer: str
    value: tf.Tensor


class Outputs:
    """What the layers that a pattern names give out while a pass runs.

    A layer's path is its name behind those of the layers that hold it: `"tower/dense"`.

    Each output is watched by the tape, so that the loss has a gradient there, and a shift can be
    added to it; the gradients of the weights before it are those of the shifted model.

    Args:
        model: The model.
        pattern: A regular expression that the layer's path must contain, up to some part of the
            layer's own name.

    Raises:
        ValueError: No layer of the model is named so.
    """

    def __init__(self, model: keras.Model, pattern: str) -> None:
        self.pattern = pattern
        inner = {id(layer): (path, layer) for path, layer in reversed(list(_inside(model, "")))}
        self.paths = {at: path for at, (path, _) in inner.items() if named(path, pattern)}
        self.layers = [inner[at][1] for at in self.paths]
        if not self.layers:
            names = sorted({path for path, _ in inner.values()})
            raise ValueError(
                f"outputs_of({pattern!r}) names no layer of {model.name!r}. Its layers: "
                f"{names[:20]}. Give a regular expression that one of them contains."
            )

    @contextmanager
    def seen(
        self, tape: tf.GradientTape, shifts: Mapping[int, tf.Tensor]
    ) -> Iterator[list[Called]]:
        """Records the outputs of the pass inside.

        Args:
            tape: Records the pass, and watches the outputs.
            shifts: Place of an output -> what is added to it, as many numbers.

        Yields:
            The outputs, in the order of the calls.
        """
        found: list[Called] = []
        graph = tf.compat.v1.get_default_graph()

        def shifted(layer: keras.layers.Layer, value: Any) -> Any:
            if not _floating(value):
                return value
            path = self.paths[id(layer)]
            if tf.compat.v1.get_default_graph() is not graph:
                raise ValueError(
                    f"{path!r} is called inside a loop, a branch or a tf.function of "
                    "the model's own, where its output cannot be attacked. Name a layer whose "
                    "calls lie outside."
                )
            moved = tf.identity(value)
            if len(found) in shifts:
                shift = tf.cast(shifts[len(found)], value.dtype)
                moved += tf.reshape(shift, tf.shape(value))
                moved = tf.ensure_shape(moved, value.shape)
            mask = getattr(value, "_keras_mask", None)
            if mask is not None:
                moved._keras_mask = mask
            tape.watch(moved)
            found.append(Called(len(found), path, moved))
            return moved

        with ExitStack() as stack:
            for layer in self.layers:
                stack.enter_context(replaced(layer, _with_outputs(layer, shifted)))
            yield found


def _inside(layer: keras.layers.Layer, above: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers that a layer holds, with their paths."""
    for inner in layer._layers:
        path = above + inner.name
        yield path, inner
        yield from _inside(inner, path + "/")


def named(path: str, pattern: str) -> bool:
    """Whether a pattern matches a part of a model: not by the names of what is around it alone."""
    before = path.rfind("/") + 1
    return any(match.end() > before for match in re.finditer(pattern, path))


def _floating(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype.is_floating


def _with_outputs(
    layer: keras.layers.Layer, change: Callable[[keras.layers.Layer, Any], Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes of what a layer computes the same with each tensor as `change(layer, tensor)`."""

    def make(call: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*positional: Any, **named: Any) -> Any:
            result = call(*positional, **named)
            return keras.tree.map_structure(lambda value: change(layer, value), result)

        return changed

    return make
