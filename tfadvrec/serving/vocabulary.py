"""Ids as they travel: UTF-8 strings, one a line of a vocabulary file, row r on line r."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHOWN = 3


def wire_ids(ids: Sequence[str | int] | np.ndarray, side: str) -> list[str]:
    r"""Turns the caller's ids into the strings that clients send and receive.

    Args:
        ids: `(rows,)` text or integers in the row order of the model's table.
        side: `"user"` or `"item"`, for the errors.

    Returns:
        One string a row; integers become decimal strings.

    Raises:
        ValueError: If there are none, or one is neither text nor integer, is empty, holds a line
            break (the file has one id a line), is not valid Unicode, or comes twice.

    Example:

    >>> wire_ids([7, 42], "item")
    ['7', '42']
    >>> wire_ids(["tea", "tea"], "item")
    Traceback (most recent call last):
    ...
    ValueError: item_ids must differ from each other: row 1: 'tea' (1 of 2 rows). Give each row ...
    """
    array = np.asarray(ids)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"{side}_ids must be a list with one id for each row of the model, got an array of "
            f"shape {array.shape}."
        )
    values = array.tolist()
    if array.dtype.kind not in "iuU":
        values = list(ids)
        refuse(
            [not (isinstance(one, str) or is_integer(one)) for one in values],
            values,
            f"{side}_ids must be text or integers, and not {array.dtype}",
            "Convert them, for example with .astype(str).",
        )
    strings = [str(one) for one in values]
    refuse(
        [one == "" for one in strings],
        values,
        f"{side}_ids must not be empty",
        "An empty string is the padding of `exclude` and the mark of a masked slot.",
    )
    refuse(
        ["\n" in one or "\r" in one for one in strings],
        values,
        f"{side}_ids must not hold line breaks (\\n, \\r)",
        "The vocabulary file has one id a line.",
    )
    refuse(
        [not encodable(one) for one in strings],
        values,
        f"{side}_ids must be valid Unicode",
        "They travel as UTF-8.",
    )
    if len(set(strings)) < len(strings):
        seen: set[str] = set()
        again = [one in seen or bool(seen.add(one)) for one in strings]
        refuse(
            again,
            values,
            f"{side}_ids must differ from each other",
            "Give each row one id of its own.",
        )
    return strings


def refuse(bad: Sequence[bool], values: Sequence[object], rule: str, advice: str) -> None:
    """Raises a ValueError that shows the first bad rows, if there are any."""
    rows = [row for row, one in enumerate(bad) if one]
    if rows:
        shown = ", ".join(f"row {row}: {values[row]!r}" for row in rows[:SHOWN])
        raise ValueError(f"{rule}: {shown} ({len(rows)} of {len(values)} rows). {advice}")


def is_integer(one: object) -> bool:
    """Tells whether `one` is an integer, of Python or NumPy, and no truth value."""
    return isinstance(one, int | np.integer) and not isinstance(one, bool)


def encodable(one: str) -> bool:
    """Tells whether `one` can be written as UTF-8 (lone surrogates cannot)."""
    try:
        one.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def write_vocabulary(path: Path, ids: Sequence[str]) -> None:
    """Writes one id a line, as UTF-8 without a byte order mark."""
    path.write_bytes("".join(f"{one}\n" for one in ids).encode("utf-8"))


def read_vocabulary(path: Path) -> list[str]:
    """Reads the ids back; only `\\n` ends a line."""
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def sha256(path: Path) -> str:
    """Computes a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
