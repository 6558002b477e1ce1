"""Tables of features become arrays, one value a row of a vocabulary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tfadvrec.data.checks import SHOWN, DataError, check_varies, plain, plural
from tfadvrec.data.choice import column_name
from tfadvrec.data.frames import columns_of
from tfadvrec.data.numbers import Column
from tfadvrec.data.vocabulary import encode, known_rows

MISSING = ("error", "fill")


def feature_table(
    frame: object,
    ids: np.ndarray,
    *,
    side: str,
    key: str | int | None = None,
    lists: Mapping[str, str] | None = None,
    missing: str = "error",
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Aligns a frame of features with a vocabulary.

    Args:
        frame: A frame with one row an id; ids that the vocabulary lacks are left out.
        ids: Row -> id.
        side: `user` or `item`, for messages.
        key: The column of ids; the first column when not given.
        lists: Text columns that hold several values -> what separates those.
        missing: `"error"`, or `"fill"` to give rows without a value the mean (numbers), the empty
            text or the empty tuple.

    Returns:
        Name -> array of shape `(len(ids),)`, and reason -> count of what was filled or left out.

    Raises:
        DataError: When an id is named twice, or values are missing and may not be filled.
    """
    if missing not in MISSING:
        raise ValueError(f"missing: expected one of {', '.join(MISSING)}, got {missing!r}.")
    columns = columns_of(frame)
    where = f"{side} features"
    key = column_name(0 if key is None else key, list(columns), where)
    for name in lists or {}:
        column_name(name, list(columns), where)
    place, unknown = _places(columns.pop(key), ids, where, key)
    counts = {f"{where}: ids that the log lacks": unknown} if unknown else {}
    if missing == "error" and (place < 0).any():
        absent = np.flatnonzero(place < 0)
        raise DataError(
            f"{where}: no row for {plural(absent.size, side)} of the log: "
            f"{', '.join(plain(ids[row]) for row in absent[:SHOWN])}. Add them, or pass "
            'missing="fill".'
        )
    features = {}
    for name, column in columns.items():
        values, gaps = _values(column, place, (lists or {}).get(name))
        if gaps.any() and missing == "error":
            shown = ", ".join(plain(ids[row]) for row in np.flatnonzero(gaps)[:SHOWN])
            raise DataError(
                f"{where}: column {name!r} has no value for {plural(int(gaps.sum()), side)}: "
                f'{shown}. Correct them, leave the column out, or pass missing="fill".'
            )
        if gaps.any():
            counts[f"{where}: {name} filled"] = int(gaps.sum())
        if values.dtype.kind == "f":
            check_varies(where, name, values)
        features[name] = values
    return features, counts


def _places(column: Column, ids: np.ndarray, where: str, key: str) -> tuple[np.ndarray, int]:
    """Returns the frame's row of each id (-1: none), and how many of its ids are unknown."""
    encoded = encode(column, key)
    if (encoded.rows < 0).any():
        row = int(np.flatnonzero(encoded.rows < 0)[0])
        raise DataError(f"{where}: row {row} has no id in column {key!r}.")
    repeated = np.flatnonzero(np.bincount(encoded.rows) > 1)
    if repeated.size:
        shown = ", ".join(plain(encoded.ids[row]) for row in repeated[:SHOWN])
        raise DataError(f"{where}: {plural(repeated.size, 'id')} with several rows: {shown}.")
    rows = known_rows(ids, np.argsort(ids, kind="stable"), encoded.ids)[encoded.rows]
    place = np.full(len(ids), -1, np.int64)
    place[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    return place, int((rows < 0).sum())


def _values(
    column: Column, place: np.ndarray, separator: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a column's values at the given rows, filled, and a mask of what was filled."""
    arrow = _arrow(column)
    absent = place < 0
    rows = np.where(absent, 0, place)
    if separator is None and _is_number(arrow.type):
        numbers = np.asarray(arrow.cast(pa.float64()).fill_null(np.nan), np.float64)[rows]
        gaps = absent | ~np.isfinite(numbers)
        mean = numbers[~gaps].mean() if (~gaps).any() else 0.0
        return np.where(gaps, mean, numbers).astype(np.float32), gaps
    values = arrow.to_pylist()
    taken: list[Any] = [None if a else values[r] for a, r in zip(absent, rows, strict=True)]
    gaps = np.array([value is None for value in taken], bool)
    if separator is not None:
        taken = [_split(value, separator) for value in taken]
    elif any(isinstance(value, list) for value in taken):
        taken = [tuple(_text(part) for part in value or ()) for value in taken]
    else:
        return np.array([_text(value) for value in taken], np.str_), gaps
    out = np.empty(len(taken), object)
    out[:] = taken
    return out, gaps


def _arrow(column: Column) -> pa.Array | pa.ChunkedArray:
    if not isinstance(column, np.ndarray):
        kind = column.type
        return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column
    if column.dtype.kind == "O":
        listed = [list(v) if isinstance(v, tuple | np.ndarray) else v for v in column]
        try:
            return pa.array(listed, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array([None if v is None else _text(v) for v in listed], pa.large_string())
    return pa.array(column, from_pandas=True)


def _is_number(kind: pa.DataType) -> bool:
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _split(value: object, separator: str) -> tuple[str, ...]:
    parts = (part.strip() for part in _text(value).split(separator))
    return tuple(part for part in parts if part)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
