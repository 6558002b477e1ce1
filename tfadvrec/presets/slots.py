"""An optimizer's accumulators: read from a preset, and grown to other rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfadvrec.presets.files import PresetError
from tfadvrec.presets.tensors import numbered, shapes_of

Shapes = dict[str, tuple[tuple[int, ...], str]]


def slot_shapes(optimizer: Any, make: Callable[[], Any]) -> Shapes:
    """What an optimizer keeps for a model: its variables' shapes and dtypes, by number.

    Args:
        optimizer: A fresh Keras optimizer; it stays fresh.
        make: Makes the model.

    Raises:
        PresetError: When the optimizer holds the slots of another model already.
    """
    import tensorflow as tf

    if optimizer.built:
        raise PresetError(
            f"the {type(optimizer).__name__} has been built on another model's weights. Pass a "
            "fresh optimizer of the same class and settings; it gets the preset's accumulators."
        )
    config = optimizer.get_config()
    # In a graph that never runs, variables have shapes and take no memory.
    with tf.Graph().as_default():
        like = type(optimizer).from_config(config)
        like.build(make().trainable_variables)
        return shapes_of(numbered(like.variables))


def row_axes(shapes: Shapes, longer: Mapping[str, Shapes]) -> dict[str, dict[int, str]]:
    """Which axes of which slots are rows of users or items.

    An optimizer says nowhere whose slot is whose. But the axis that grows when the model has one
    row more is that of its rows, in every optimizer: a moment `(rows, width)`, a row's accumulator
    `(rows, 1)`, a factor `(rows,)`.

    Args:
        shapes: The slots of the model.
        longer: Side -> the slots of the same model with one row more on that side.

    Returns:
        Slot -> `{axis: side}`.

    >>> row_axes({"0": ((3, 2), "float32")}, {"item": {"0": ((4, 2), "float32")}})
    {'0': {0: 'item'}}
    """
    axes: dict[str, dict[int, str]] = {name: {} for name in shapes}
    for side, others in longer.items():
        for name, (shape, _) in shapes.items():
            other = others[name][0]
            axes[name] |= {i: side for i, size in enumerate(shape) if other[i] == size + 1}
    return axes


def fill_slots(
    optimizer: Any,
    variables: list[Any],
    arrays: Mapping[str, np.ndarray],
    axes: Mapping[str, Mapping[int, str]],
    sources: Mapping[str, np.ndarray],
) -> None:
    """Builds a fresh optimizer and gives it accumulators, row by row where rows changed.

    A new row has what the optimizer starts with; its moving average (`use_ema`) is the row itself,
    as it is for any row after a first step.

    Args:
        optimizer: The optimizer.
        variables: The model's trainable variables.
        arrays: Number of the slot -> what it held.
        axes: See `row_axes`.
        sources: Side -> the earlier row of each row, -1 where it is new.
    """
    optimizer.build(variables)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner.use_ema:
        averages = inner._model_variables_moving_average
        for variable, average in zip(variables, averages, strict=True):
            if average is not None:
                average.assign(variable)
    for name, slot in numbered(optimizer.variables).items():
        value = arrays[name]
        sides = {axis: side for axis, side in axes.get(name, {}).items() if side in sources}
        if sides:
            value = _rows(slot.numpy(), value, {a: sources[s] for a, s in sides.items()})
        slot.assign(value)


def _rows(fresh: np.ndarray, old: np.ndarray, sources: Mapping[int, np.ndarray]) -> np.ndarray:
    """`fresh` with the rows of `old` that are known along every axis that changed."""
    here = [np.arange(size) for size in fresh.shape]
    there = [np.arange(size) for size in fresh.shape]
    for axis, source in sources.items():
        here[axis] = np.flatnonzero(source >= 0)
        there[axis] = source[here[axis]]
    result = fresh.copy()
    result[np.ix_(*here)] = old[np.ix_(*there)]
    return result
