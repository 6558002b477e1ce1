"""Frames of any library become columns, through the Arrow interfaces that they all offer."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tfadvrec.data.checks import DataError, check_length
from tfadvrec.data.numbers import Column


def columns_of(frame: object, names: Collection[str] | None = None) -> dict[str, Column]:
    """Returns the columns of a frame.

    Args:
        frame: A pandas, polars or Arrow table, any object with `__arrow_c_stream__`, `to_arrow` or
            `__dataframe__`, or a mapping of names to sequences.
        names: The columns that are wanted; None for all.

    Returns:
        Name -> values; a column of mixed types stays an object array.

    Raises:
        DataError: When the object is no frame.

    Example:
        >>> list(columns_of({"user": [1, 2], "item": ["a", "b"]}))
        ['user', 'item']
    """
    if isinstance(frame, Mapping):
        arrays = {str(key): _array(value) for key, value in frame.items()}
        size = len(next(iter(arrays.values()), ()))
        for key, values in arrays.items():
            check_length(key, values, size, "rows of the frame's first column")
        return arrays
    table = _table(frame)
    if table is None:
        # pandas with a column of mixed types, which no Arrow type holds
        wanted = [str(key) for key in frame.columns if names is None or str(key) in names]
        return {key: _array(frame[key].to_numpy()) for key in wanted}
    return {key: table[key] for key in table.column_names}


def _table(frame: object) -> pa.Table | None:
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return frame
    try:
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
        if hasattr(frame, "to_arrow"):
            return pa.table(frame.to_arrow())
        if hasattr(frame, "__dataframe__"):
            from pyarrow import interchange

            return interchange.from_dataframe(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, NotImplementedError):
        if hasattr(frame, "columns") and hasattr(frame, "__getitem__"):
            return None
        raise
    raise DataError(
        "expected a pandas, polars or Arrow table, or a mapping of names to arrays, got "
        f"{type(frame).__module__}.{type(frame).__name__}."
    )


def _array(values: Any) -> Column:
    if isinstance(values, pa.ChunkedArray | pa.Array):
        return values
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    values = list(values)
    kinds = {type(value) for value in values}
    if len(kinds) > 1 or kinds & {list, tuple}:
        out = np.empty(len(values), object)
        out[:] = values
        return out
    return np.array(values)
