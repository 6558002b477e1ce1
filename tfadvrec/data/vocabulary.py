"""Ids become row numbers: one rule for integers, text and mixtures of both."""

import hashlib
import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfadvrec.data.checks import SHOWN, DataError, plain

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})
"""Texts (in lower case) that stand for no id."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))\.0+")


class Encoded(NamedTuple):
    """A column of ids as row numbers.

    Attributes:
        ids: Row -> id, sorted; int64 where every id is a whole number, else text.
        rows: Row number of each value, int64 of shape `(n,)`; -1 where there is no id.
        merged: Spellings that stand for one id, for example `("1", "1.0")`.
    """

    ids: np.ndarray
    rows: np.ndarray
    merged: list[tuple[str, ...]]


def encode(column: pa.ChunkedArray | pa.Array | np.ndarray, name: str = "id") -> Encoded:
    """Gives every distinct id a row number, in sorted order.

    Text is stripped of surrounding blanks. A column in which every id is a whole number becomes
    int64; text with leading zeros stays text. A whole number that is also written as a float
    (`1`, `"1"`, `1.0`, `"1.0"`) is one id, and its spellings are reported.

    Args:
        column: Ids of shape `(n,)`.
        name: What the ids are, for messages.

    Returns:
        The vocabulary, the rows and the merged spellings.

    Raises:
        DataError: When the ids are fractions.

    Example:
        >>> encode(np.array([30, 10, 30])).rows
        array([1, 0, 1])
        >>> encode(np.array(["1", 1, 1.0, "b"], dtype=object)).ids
        array(['1', 'b'], dtype='<U1')
    """
    values, codes = _distinct(column)
    used = _used(codes, len(values))
    if values.dtype.kind == "f":
        values = _whole_numbers(values, used, name)
    if values.dtype.kind in "iu":
        keys, merged = values, []
        missing = np.zeros(len(values), bool)
    else:
        keys, missing, merged = _text_keys(values, used)
    missing[np.setdiff1d(np.arange(len(values)), used)] = True
    ids, inverse = np.unique(keys[~missing], return_inverse=True)
    table = np.full(len(values) + 1, -1, np.int64)
    table[np.flatnonzero(~missing)] = inverse
    return Encoded(ids, table[codes], merged)


def _distinct(column: pa.ChunkedArray | pa.Array | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct values and, for each entry, which of them it is (-1: none)."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "O":
            column = pa.array([_object_text(value) for value in column], pa.large_string())
        else:
            column = pa.array(column, from_pandas=True)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = _decoded(column)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return _plain_values(column.dictionary), codes


def _plain_values(values: pa.Array) -> np.ndarray:
    kind = values.type
    if pa.types.is_signed_integer(kind) or kind in (pa.uint8(), pa.uint16(), pa.uint32()):
        return values.to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_floating(kind):
        return values.to_numpy(zero_copy_only=False).astype(np.float64)
    out = np.empty(len(values), dtype=object)
    out[:] = [_object_text(value) for value in values.to_pylist()]
    return out


def _object_text(value: object) -> str | None:
    """One string rule for anything: a whole float is its integer, bytes are UTF-8."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, float | np.floating):
        return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
    return str(value)


def _used(codes: np.ndarray, size: int) -> np.ndarray:
    """Returns which of the distinct values occur."""
    if codes.size and (codes.max() >= size or codes.min() < -1):
        raise DataError("the ids' dictionary does not cover its indices; the file is damaged.")
    return np.flatnonzero(np.bincount(codes + 1, minlength=size + 1)[1:])


def _decoded(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        raise DataError("ids are bytes that are not UTF-8; decode them first.") from None


def _whole_numbers(values: np.ndarray, used: np.ndarray, name: str) -> np.ndarray:
    """Turns whole floats into integers; NaN stays a missing text; fractions are an error."""
    real = used[np.isfinite(values[used])]
    fractions = real[(values[real] != np.floor(values[real])) | (np.abs(values[real]) >= 2**53)]
    if fractions.size:
        shown = ", ".join(plain(value) for value in values[fractions][:SHOWN])
        raise DataError(
            f"{name}: ids must be integers or text, got the floats {shown}. Read the column as "
            "text, or check that it is the right column."
        )
    out = np.empty(len(values), dtype=object)
    out[:] = [str(int(v)) if np.isfinite(v) else "nan" for v in values]
    return out


def _text_keys(
    values: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, ...]]]:
    """Returns the id of each distinct text, whether it is none, and the merged spellings."""
    texts = ["" if value is None else value.strip() for value in values]
    missing = np.array([text.lower() in MISSING for text in texts], bool)
    present = [index for index in used if not missing[index]]
    folded = {index: _WHOLE.sub(r"\1", texts[index]) for index in present}
    whole = all(_INTEGER.fullmatch(text) for text in folded.values())
    plainly = {texts[index] for index in present}
    keys = [""] * len(texts)
    spellings: dict[str, set[str]] = {}
    for index in present:
        fold = whole or folded[index] in plainly
        keys[index] = folded[index] if fold else texts[index]
        spellings.setdefault(keys[index], set()).add(values[index])
    merged = [tuple(sorted(group)) for group in spellings.values() if len(group) > 1]
    if whole and present:
        return np.array([int(key or 0) for key in keys], np.int64), missing, sorted(merged)
    return np.array(keys, np.str_), missing, sorted(merged)


def known_rows(ids: np.ndarray, order: np.ndarray, asked: object) -> np.ndarray:
    """Looks ids up in a vocabulary.

    Args:
        ids: Row -> id, int64 or text.
        order: Positions that sort `ids`.
        asked: Ids of shape `(n,)`; integers, text or bytes, by the same rule as `encode`.

    Returns:
        Row numbers, int32 of shape `(n,)`; -1 where the id is unknown.
    """
    asked = np.atleast_1d(np.asarray(asked))
    if asked.dtype.kind not in "iu" or ids.dtype.kind == "U":
        asked = _same_kind(asked, ids.dtype.kind == "U")
    known = np.zeros(asked.shape, bool)
    if not ids.size:
        return np.full(asked.shape, -1, np.int32)
    place = np.minimum(np.searchsorted(ids, asked, sorter=order), ids.size - 1)
    rows = order[place]
    known = ids[rows] == asked
    return np.where(known, rows, -1).astype(np.int32)


def _same_kind(asked: np.ndarray, text: bool) -> np.ndarray:
    texts = [(_object_text(v) or "").strip() for v in asked.astype(object).ravel()]
    if text:
        return np.array(texts, np.str_).reshape(asked.shape)
    texts = [_WHOLE.sub(r"\1", value) for value in texts]
    unknown = np.iinfo(np.int64).min
    numbers = [int(value) if _INTEGER.fullmatch(value) else unknown for value in texts]
    return np.array(numbers, np.int64).reshape(asked.shape)


def hash_ids(ids: object, *, buckets: int) -> np.ndarray:
    """Folds ids into a fixed number of buckets, for vocabularies that fit no machine.

    The bucket of an id is the same on every machine and in every version.

    Args:
        ids: Ids of shape `(n,)`, integers or text.
        buckets: How many buckets; different ids may share one.

    Returns:
        Buckets `0..buckets - 1`, int64 of shape `(n,)`, to be used as ids.

    Example:
        >>> hash_ids(["ann", "bob", "ann"], buckets=1000)
        array([837, 842, 837])
    """
    if buckets < 1:
        raise ValueError(f"buckets: expected at least 1, got {buckets}.")
    vocabulary = encode(np.asarray(ids))
    hashed = [
        int.from_bytes(hashlib.blake2b(str(value).encode(), digest_size=8).digest(), "big")
        % buckets
        for value in vocabulary.ids.tolist()
    ]
    return np.array([*hashed, -1], np.int64)[vocabulary.rows]
