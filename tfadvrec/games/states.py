"""What of a network must outlive a pass, and what of an example is made."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def kept(network: Any) -> Iterator[None]:
    """Puts batch statistics and the like back after a pass; dropout's seeds go on.

    Args:
        network: A Keras model or layer.
    """
    tables = getattr(network, "row_weights", dict)()  # given, however large; no pass changes them
    before = [
        (v, tf.identity(v.value))
        for v in getattr(network, "non_trainable_variables", ())
        if "seed_generator_state" not in v.path
        and v.path not in tables
        and v.dtype.startswith(("float", "bfloat"))
    ]
    yield
    for variable, value in before:
        variable.assign(value)


def leaves(game: Any, example: Any) -> list[tf.Tensor]:
    """The floating-point tensors of an example that are made, not given."""
    if isinstance(example, Mapping):
        example = {k: v for k, v in example.items() if k not in game.conditions}
    return list(keras.tree.flatten(example))


@contextlib.contextmanager
def in_float32(network: Any) -> Iterator[None]:
    """Computes a network in float32 whatever its precision: second derivatives need it.

    Args:
        network: A Keras model or layer.
    """
    mixed = [
        (layer, layer.dtype_policy)
        for layer in getattr(network, "_flatten_layers", list)()
        if layer.compute_dtype != layer.variable_dtype
    ]
    for layer, _ in mixed:
        layer.dtype_policy = "float32"
    try:
        yield
    finally:
        for layer, policy in mixed:
            layer.dtype_policy = policy
