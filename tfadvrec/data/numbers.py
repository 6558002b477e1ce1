"""Columns of ratings and times, whatever they were written as, become plain numbers."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfadvrec.data.checks import DataError

Column = pa.ChunkedArray | pa.Array | np.ndarray

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Unit of time -> how many of it make a second."""

_LARGEST = {"s": 10**11, "ms": 10**14, "us": 10**17}


def ratings(column: Column) -> np.ndarray:
    """Reads numbers; what is no number, missing or infinite becomes NaN.

    Args:
        column: Numbers or text of shape `(n,)`.

    Returns:
        float64 of shape `(n,)`.

    Example:
        >>> ratings(np.array(["4.5", "five"])).tolist()
        [4.5, nan]
    """
    values = _floats(column)
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def seconds(column: Column, unit: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Reads times as whole seconds since the epoch.

    Dates (of a frame, or as ISO 8601 text) have a unit. For numbers it is taken from `unit`, or
    inferred from their size when all of them agree: below 1e11 seconds, below 1e14 milliseconds,
    below 1e17 microseconds, above that nanoseconds.

    Args:
        column: Numbers, dates or text of shape `(n,)`.
        unit: `"s"`, `"ms"`, `"us"`, `"ns"`, or None to infer it.

    Returns:
        int64 seconds of shape `(n,)`, rounded down, and a mask of the values that are no time.

    Raises:
        DataError: When the values disagree about the unit, or are before 1970 without a `unit`.

    Example:
        >>> seconds(np.array([881_250_949_000, 891_717_742_000]))[0].tolist()
        [881250949, 891717742]
    """
    if unit is not None and unit not in UNITS:
        raise ValueError(f"time_unit: expected one of {', '.join(UNITS)} or None, got {unit!r}.")
    dates = _dates(column)
    if dates is not None:
        return dates
    whole = _integers(column)
    if whole is not None:
        bad = np.zeros(len(whole), bool)
        unit = unit or _unit(whole, bad)
        return (whole if unit == "s" else whole // UNITS[unit]), bad
    values = _floats(column)
    bad = ~(np.abs(values) < 2.0**63)
    unit = unit or _unit(values, bad)
    return np.floor(np.where(bad, 0, values) / UNITS[unit]).astype(np.int64), bad


def unit_of(column: Column) -> str | None:
    """Tells in which unit `seconds` takes a column to be.

    Args:
        column: Numbers, dates or text of shape `(n,)`.

    Returns:
        `"date"`, `"s"`, `"ms"`, `"us"`, `"ns"`, or None where nothing tells: there is no time, or
        zeros alone.

    Raises:
        DataError: As `seconds`.

    Example:
        >>> unit_of(np.array([881_250_949_000])), unit_of(np.array(["2024-03-01"]))
        ('ms', 'date')
    """
    values = _arrow(column)
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date"
    if _is_text(kind) and _looks_like_dates(values):
        return "date"
    whole = _integers(column)
    numbers = _floats(column) if whole is None else whole
    bad = ~(np.abs(numbers) < 2.0**63)
    return _unit(numbers, bad) if (numbers[~bad] != 0).any() else None


def _unit(values: np.ndarray, bad: np.ndarray) -> str:
    good = values[~bad] if bad.any() else values
    if good.size and good.min() > 0 and good.max() < _LARGEST["s"]:
        return "s"
    negative = np.flatnonzero(~bad & (values < 0))
    if negative.size:
        raise UnitError(
            f"{negative.size:,} negative times (before 1970). If they are meant, say the unit: "
            'time_unit="s" (or "ms", "us", "ns").',
            negative,
        )
    bounds = np.array([_LARGEST["s"], _LARGEST["ms"], _LARGEST["us"]], float)
    classes = np.searchsorted(bounds, good, side="right")
    # zero stands for "unknown time" in some logs and is the same in every unit
    classes = classes[good != 0]
    if classes.size == 0:
        return "s"
    counts = np.bincount(classes, minlength=4)
    if (counts > 0).sum() > 1:
        found = ", ".join(f"{c:,} look like {u}" for c, u in zip(counts, UNITS, strict=True) if c)
        rare = np.flatnonzero(counts)[np.argmin(counts[counts > 0])]
        odd = np.flatnonzero(~bad & (values != 0))[classes == rare]
        raise UnitError(
            f"times in more than one unit ({found}). Convert them to one unit, or say which it is "
            'with time_unit="s" (or "ms", "us", "ns").',
            odd,
        )
    return list(UNITS)[int(np.argmax(counts))]


class UnitError(DataError):
    """Times that do not agree about their unit; `rows` are the odd ones."""

    def __init__(self, message: str, rows: np.ndarray) -> None:
        super().__init__(message)
        self.rows = rows


def _arrow(column: Column) -> pa.ChunkedArray | pa.Array:
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "O":
            return pa.array(["" if v is None else str(v) for v in column], pa.large_string())
        return pa.array(column)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.large_string())
    return column


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _floats(column: Column) -> np.ndarray:
    values = _arrow(column)
    if _is_text(values.type):
        trimmed = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
        try:
            values = trimmed.cast(pa.float64())
        except pa.ArrowInvalid:
            return np.array([_float(v) for v in trimmed.to_pylist()], np.float64)
    elif pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    elif pa.types.is_decimal(values.type) or pa.types.is_boolean(values.type):
        values = values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(f"expected numbers, got a column of type {values.type}.")
    plain = (
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    )
    return plain.astype(np.float64, copy=False)


def _float(text: str | None) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan


def _integers(column: Column) -> np.ndarray | None:
    """Returns the column as int64 when it holds nothing but whole numbers."""
    values = _arrow(column)
    if values.null_count:
        return None
    if _is_text(values.type):
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid:
            return None
    if not pa.types.is_integer(values.type) or values.type == pa.uint64():
        return None
    return np.asarray(values.cast(pa.int64()))


def _dates(column: Column) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns seconds and mask when the column holds dates or ISO 8601 text, else None."""
    values = _arrow(column)
    if _is_text(values.type):
        if not _looks_like_dates(values):
            return None
        values = _parse_dates(values)
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return None
    bad = np.asarray(values.is_null())
    values = values.cast(pa.timestamp("us"), safe=False) if not _zoned(values.type) else values
    micro = values.cast(pa.timestamp("us", getattr(values.type, "tz", None)), safe=False)
    whole = np.asarray(micro.cast(pa.int64()).fill_null(0)).astype(np.int64)
    return whole // UNITS["us"], bad


def _zoned(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _looks_like_dates(values: pa.ChunkedArray | pa.Array) -> bool:
    head = [text for text in values.slice(0, 100).to_pylist() if text]
    return bool(head) and sum(len(t) >= 8 and t[4:5] == "-" for t in head) * 2 >= len(head)


def _parse_dates(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    for zone in (None, "UTC"):
        try:
            return values.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
    return pa.array([_date(text) for text in values.to_pylist()], pa.timestamp("us", "UTC"))


def _date(text: str | None) -> object:
    try:
        date = datetime.datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
