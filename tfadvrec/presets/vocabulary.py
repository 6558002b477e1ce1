"""Vocabularies as text files: line r is the id of row r."""

import re
from typing import Any

import numpy as np

from tfadvrec.presets.files import PresetError

LONGEST = 512  # characters of an id
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


def write_ids(ids: Any, name: str) -> tuple[bytes, dict[str, Any]]:
    """Writes ids as text, one a line.

    Args:
        ids: `(rows,)` integers or strings, all different.
        name: What they are, for errors (`"item_ids"`).

    Returns:
        The bytes of the file, and the record `{"type": "integer" | "text", "count": rows}` that
        goes into `config.json`, so that integers come back as integers.

    Raises:
        PresetError: When an id is empty, repeated, holds a line break or a null character, or is
            neither an integer nor text.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iuUO":
        raise PresetError(
            f"{name} must be one row of integers or strings; got shape {ids.shape} of {ids.dtype}."
        )
    integer = ids.dtype.kind in "iu"
    if integer and len(ids) and int(ids.max()) > np.iinfo(np.int64).max:
        raise PresetError(f"{name} holds integers past 64 bits; keep such ids as text.")
    texts = [str(i) for i in ids.tolist()] if integer else ids.tolist()
    for row, text in enumerate(texts):
        if not _is_id(text):
            raise PresetError(
                f"{name}[{row}] is {text!r:.80}: an id is a text of 1 to {LONGEST} characters "
                "without "
                "line breaks or null characters. Clean these ids, or map them to integers."
            )
    if len(set(texts)) != len(texts):
        raise PresetError(f"{name} repeats {_repeated(texts)}; each row needs its own id.")
    record = {"type": "integer" if integer else "text", "count": len(texts)}
    try:
        return "".join(f"{text}\n" for text in texts).encode("utf-8"), record
    except UnicodeEncodeError as error:
        raise PresetError(f"{name} holds text that is no valid Unicode: {error}.") from error


def read_ids(data: bytes, record: dict[str, Any], name: str) -> np.ndarray:
    """Reads what `write_ids` wrote.

    Args:
        data: The bytes of the file.
        record: The ids' record from `config.json`.
        name: What they are, for errors.

    Returns:
        `(rows,)` int64 or text ids.

    Raises:
        PresetError: When the lines are not exactly the promised ids.
    """
    count, kind = record.get("count"), record.get("type")
    if (
        set(record) != {"count", "type"}
        or kind not in ("integer", "text")
        or type(count) is not int
    ):
        raise PresetError(f"config.json describes {name} as {record!r}, which is no id record.")
    lines = data.count(b"\n")
    if lines != count or (data and not data.endswith(b"\n")):
        raise PresetError(f"{name}.txt has {lines:,} lines and config.json promises {count:,}.")
    try:
        texts = data.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise PresetError(f"{name}.txt is not UTF-8: {error}.") from error
    if len(set(texts)) != count:
        raise PresetError(f"{name}.txt repeats {_repeated(texts)}.")
    wrong = [
        (line, text)
        for line, text in enumerate(texts, start=1)
        if not _is_id(text) or (kind == "integer" and not _is_integer(text))
    ]
    if wrong:
        shown = ", ".join(f"line {line}: {text!r:.80}" for line, text in wrong[:5])
        raise PresetError(f"{name}.txt holds what is no {kind} id: {shown}.")
    return (
        np.array([int(t) for t in texts], np.int64) if kind == "integer" else np.array(texts, str)
    )


def _is_id(text: Any) -> bool:
    """Whether a value can stand on a line of its own."""
    return (
        isinstance(text, str) and 0 < len(text) <= LONGEST and not any(c in text for c in "\n\r\0")
    )


def _is_integer(text: str) -> bool:
    """Whether a text is the one way to write a 64-bit integer."""
    return _INTEGER.fullmatch(text) is not None and text != "-0" and -(2**63) <= int(text) < 2**63


def _repeated(texts: list[str]) -> str:
    """The first few texts that occur twice."""
    seen: set[str] = set()
    twice = [t for t in texts if t in seen or seen.add(t)]
    return ", ".join(repr(t) for t in twice[:5])
