"""Which weights are frozen for a while, and keep their place in the optimizer."""

from typing import Any

import keras

_MARK = "_frozen_by_tfadvrec"


def mark_frozen(part: keras.layers.Layer | keras.Variable, frozen: bool) -> None:
    """Notes that a layer without layers of its own, or a weight, is frozen for a while, or not."""
    setattr(part, _MARK, frozen)


def is_frozen(part: keras.layers.Layer | keras.Variable) -> bool:
    """Whether `tfadvrec.tuning.freeze` has frozen it; not so what was never trainable."""
    return getattr(part, _MARK, False)


def optimized_variables(model: keras.Model) -> list[keras.Variable]:
    """What an optimizer is built over: trainable weights, and those frozen for a while.

    The order is that of the model whatever is frozen, so that an optimizer's state fits before and
    after.
    """
    return [v for v in model.variables if v.trainable or is_frozen(v)]


def trainable_state(model: keras.Model) -> tuple[Any, ...]:
    """What a traced training step has taken for granted of what is trainable."""
    layers = tuple(bool(layer.trainable) for layer in model._flatten_layers())
    return tuple(id(v) for v in model.trainable_variables), layers
