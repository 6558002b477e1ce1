"""What is wrong with a log, row by row: every rule here fails early and names the rows."""

import os
from collections.abc import Callable, Sequence

import numpy as np

SHOWN = 5
"""How many offending rows an error names."""

Locate = Callable[[np.ndarray], list[str]]
"""Rows of a source (ascending) -> how a person finds each of them, for example `line 7: 3,x`."""


class DataError(ValueError):
    """A log that cannot be used as it is; the message says where, why and what to do."""


class DataWarning(UserWarning):
    """A log that can be used, with something in it that its owner should know."""


def plural(count: int, noun: str) -> str:
    """Counts a noun.

    Example:
        >>> plural(1, "row"), plural(1200, "row")
        ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def rows_text(rows: np.ndarray, values: Sequence | np.ndarray) -> str:
    """Names the first offending rows of an array: `row 3: -1; row 9: 7`."""
    rows = np.asarray(rows)[:SHOWN]
    return "; ".join(f"row {int(row)}: {plain(values[int(row)])}" for row in rows)


def plain(value: object) -> str:
    """Writes a value as a person would: NumPy scalars lose their type's name."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def own(values: np.ndarray, kind: np.dtype | type[np.generic]) -> np.ndarray:
    """Returns a copy of a type, or the array itself where it has the type and is read-only.

    What is read-only belongs to a log, or was made for one.
    """
    return values if values.dtype == kind and not values.flags.writeable else values.astype(kind)


def check_rows(name: str, rows: np.ndarray, size: int) -> np.ndarray:
    """Checks that integer rows lie in a table of `size` rows.

    Args:
        name: What the rows are, for the message (`user` or `item`).
        rows: Row numbers of shape `(n,)`.
        size: Rows of the table.

    Returns:
        The rows as int32.

    Raises:
        DataError: When the rows are not integers, are negative or are `size` or more.

    Example:
        >>> check_rows("item", np.array([0, 2]), 3)
        array([0, 2], dtype=int32)
    """
    rows = np.asarray(rows)
    if rows.ndim != 1:
        raise DataError(f"{name}: expected one axis of row numbers, got shape {rows.shape}.")
    if rows.size and rows.dtype.kind not in "iu":
        raise DataError(
            f"{name}: row numbers must be integers, got {rows.dtype}. Raw ids (text, numbers with "
            "gaps, floats) belong in Interactions.from_arrays, which makes the row numbers."
        )
    if rows.size and (rows.min() < 0 or rows.max() >= size):
        bad = np.flatnonzero((rows < 0) | (rows >= size))
        raise DataError(
            f"{name}: {plural(bad.size, 'row number')} outside 0..{size - 1} "
            f"({rows_text(bad, rows)}). A row number is a line of the {name} vocabulary, which has "
            f"{plural(size, 'line')}; raw ids belong in Interactions.from_arrays."
        )
    return own(rows, np.int32)


def check_finite(name: str, values: np.ndarray) -> np.ndarray:
    """Checks that every value is a finite number; nothing is imputed.

    Args:
        name: The column's name, for the message.
        values: Numbers of shape `(n,)`.

    Returns:
        The values as float32.

    Raises:
        DataError: When a value is NaN or infinite, or the values are no numbers.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise DataError(f"{name}: expected numbers, got {values.dtype}.")
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise DataError(
            f"{name}: {plural(bad.size, 'value')} NaN or infinite ({rows_text(bad, values)}). "
            "Nothing is filled in silently: correct these rows or leave them out."
        )
    return own(values, np.float32)


def check_vocabulary(name: str, ids: np.ndarray) -> np.ndarray:
    """Checks a vocabulary: one axis, int64 or text, each id once.

    Args:
        name: What the ids are (`user` or `item`).
        ids: Row -> the caller's id, shape `(rows,)`.

    Returns:
        The ids as int64 or `<U`.

    Raises:
        DataError: When the ids are of another type or repeat.
    """
    ids = np.asarray(ids)
    if ids.dtype.kind == "O" and all(isinstance(value, str) for value in ids):
        ids = ids.astype(np.str_)
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise DataError(
            f"{name}_ids: expected one axis of integers or text, got {ids.dtype} of shape "
            f"{ids.shape}."
        )
    ids = ids if ids.dtype.kind == "U" else ids.astype(np.int64)
    if (ids[1:] > ids[:-1]).all():
        return ids
    unique, counts = np.unique(ids, return_counts=True)
    if unique.size != ids.size:
        twice = ", ".join(plain(value) for value in unique[counts > 1][:SHOWN])
        raise DataError(f"{name}_ids: every id has one row, but these have several: {twice}.")
    return ids


def check_memory(
    n_users: int, n_items: int, *, dimension: int = 64, available: int | None = None
) -> int:
    """Estimates what the embedding tables of a log take, before anybody builds them.

    Args:
        n_users: Rows of the user table.
        n_items: Rows of the item table.
        dimension: Columns of both tables.
        available: Bytes that may be used; the machine's memory when not given.

    Returns:
        The estimate in bytes: two float32 tables, each with two optimizer slots.

    Raises:
        DataError: When the estimate exceeds `available`.

    Example:
        >>> check_memory(943, 1682)
        2016000
    """
    needed = 3 * 4 * dimension * (n_users + n_items)
    if available is None:
        available = physical_memory()
    if needed > available:
        raise DataError(
            f"{n_users:,} users and {n_items:,} items need about {needed / 2**30:.1f} GiB for "
            f"tables of {dimension} columns with their optimizer slots; {available / 2**30:.1f} "
            "GiB are there. Drop rare ids first (data.k_core), or fold the ids into fewer with "
            "data.hash_ids(column, buckets=...)."
        )
    return needed


def physical_memory() -> int:
    """Returns the machine's memory in bytes, or a very large number where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**62


def check_catalogue(where: str, n_rows: int, n_items: int) -> None:
    """Checks that there is something to rank: at least one interaction and two items.

    Raises:
        DataError: When the log is empty or has a single item.
    """
    if not n_rows:
        raise DataError(
            f"{where}: no interactions. Expected at least one row with a user and item."
        )
    if n_items < 2:
        raise DataError(
            f"{where}: all {plural(n_rows, 'interaction')} are with one item, so there is nothing "
            "to rank. Check that the item column is the right one."
        )


def check_varies(where: str, name: str, values: np.ndarray, without: str = "") -> None:
    """Checks that a numeric column has at least two values, so that it can be scaled.

    Args:
        where: The source, for the message.
        name: The column.
        values: Numbers of shape `(n,)`.
        without: How to leave the column out, for the message.

    Raises:
        DataError: When every value of more than one row is the same.
    """
    if values.size > 1 and values.min() == values.max():
        raise DataError(
            f"{where}: column {name!r} is {plain(values[0])} in every row. It tells rows apart in "
            f"nothing and cannot be scaled: leave it out{without}."
        )


def check_length(name: str, values: np.ndarray | None, expected: int, of: str) -> None:
    """Checks that a column has one value for each row of what it describes.

    Raises:
        DataError: When the number of values differs.
    """
    if values is not None and len(values) != expected:
        raise DataError(
            f"{name}: {plural(len(values), 'value')} for {expected:,} {of}. Every column has "
            "exactly one value a row."
        )


def check_seconds(time: np.ndarray) -> np.ndarray:
    """Checks that times are whole seconds.

    Returns:
        The times as int64.

    Raises:
        DataError: When they are of another type.
    """
    time = np.asarray(time)
    if time.dtype.kind not in "iu" and time.size:
        raise DataError(
            f"time: expected whole seconds since the epoch, got {time.dtype}. "
            "Interactions.from_arrays turns dates, floats, milliseconds and text into seconds."
        )
    return own(time, np.int64)


def check_feature(name: str, values: np.ndarray, expected: int) -> np.ndarray:
    """Checks a feature: numbers are finite, text is text, several values are tuples of text.

    Returns:
        float32, `<U`, or an object array of tuples; shape `(expected,)`.

    Raises:
        DataError: When the length or a value's type does not fit.
    """
    values = np.asarray(values)
    check_length(name, values, expected, "rows of its vocabulary")
    if values.dtype.kind in "fiub" and values.ndim == 1:
        return check_finite(name, values)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        return values.astype(np.str_)
    if values.ndim != 1 or values.dtype.kind not in "UO":
        raise DataError(
            f"{name}: expected numbers, text or tuples of text, got {values.dtype} of shape "
            f"{values.shape}."
        )
    if values.dtype.kind == "O":
        bad = [row for row, value in enumerate(values) if not _texts(value)]
        if bad:
            raise DataError(
                f"{name}: expected a tuple of texts in every row ({rows_text(bad, values)})."
            )
    return values


def _texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(part, str) for part in value)


class FileMissing(DataError, FileNotFoundError):
    """There is no such file."""

    def __str__(self) -> str:
        return str(self.args[0])
