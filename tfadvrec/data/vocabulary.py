"""Ids become row numbers: one rule for integers, text and mixtures of both."""

import hashlib
import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfadvrec.data.checks import SHOWN, DataError, plain
from tfadvrec.data.ordering import taken, used_rows

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})
"""Texts (in lower case) that stand for no id."""

_INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
_WHOLE = rf"({_INTEGER})\.0+"


class Encoded(NamedTuple):
    """A column of ids as row numbers.

    Attributes:
        ids: Row -> id, sorted; int64 where every id is a whole number, else text.
        rows: Row number of each value, int32 of shape `(n,)`; -1 where there is no id.
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
        array([1, 0, 1], dtype=int32)
        >>> encode(np.array(["1", 1, 1.0, "b"], dtype=object)).ids
        array(['1', 'b'], dtype='<U1')
    """
    values, codes = distinct(column)
    used = _used(codes, len(values))
    merged: list[tuple[str, ...]] = []
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        keys, missing = values, ~used
    elif isinstance(values, np.ndarray):
        keys, missing = _whole_numbers(values, used, name)
    else:
        keys, missing, merged = _text_keys(values, used)
    if isinstance(keys, np.ndarray):
        ids, inverse = np.unique(keys, return_inverse=True)
    else:
        ids, inverse = _sorted_texts(keys)
    del values, keys
    pa.default_memory_pool().release_unused()
    # one entry more than there are values: what the code -1 (no id) finds
    table = np.full(len(missing) + 1, -1, np.int32)
    table[np.flatnonzero(~missing)] = inverse
    return Encoded(ids, taken(table, codes), merged)


def distinct(
    column: pa.ChunkedArray | pa.Array | np.ndarray,
) -> tuple[pa.Array | np.ndarray, np.ndarray]:
    """Returns the distinct values and, for each entry, which of them it is (-1: none).

    The values are int64, float64, or Arrow text.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "O":
            column = pa.array([_object_text(value) for value in column], pa.large_string())
        else:
            column = pa.array(column, from_pandas=True)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    codes = column.indices.cast(pa.int32())
    codes = codes.fill_null(-1) if codes.null_count else codes
    return _plain_values(column.dictionary), codes.to_numpy(zero_copy_only=False)


def _plain_values(values: pa.Array) -> pa.Array | np.ndarray:
    kind = values.type
    if pa.types.is_signed_integer(kind) or kind in (pa.uint8(), pa.uint16(), pa.uint32()):
        if not values.null_count:
            return values.to_numpy(zero_copy_only=False).astype(np.int64)
    elif pa.types.is_floating(kind):
        return values.to_numpy(zero_copy_only=False).astype(np.float64)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _decoded(values)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return values.cast(pa.large_string())
    return pa.array([_object_text(value) for value in values.to_pylist()], pa.large_string())


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
    """Marks which of the distinct values occur."""
    if codes.size and (codes.max() >= size or codes.min() < -1):
        raise DataError("the ids' dictionary does not cover its indices; the file is damaged.")
    return used_rows(codes, size + 1)[:size]


def _decoded(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        raise DataError("ids are bytes that are not UTF-8; decode them first.") from None


def _whole_numbers(
    values: np.ndarray, used: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Turns whole floats into integers; NaN and infinity are no id; fractions are an error."""
    real = used & np.isfinite(values)
    wrong = real & ((values != np.floor(values)) | (np.abs(values) >= 2**53))
    if wrong.any():
        shown = ", ".join(plain(value) for value in values[wrong][:SHOWN])
        raise DataError(
            f"{name}: ids must be integers or text, got the floats {shown}. Read the column as "
            "text, or check that it is the right column."
        )
    return values[real].astype(np.int64), ~real


def _text_keys(
    values: pa.Array, used: np.ndarray
) -> tuple[pa.Array | np.ndarray, np.ndarray, list[tuple[str, ...]]]:
    """Returns the id of each text that is one, which texts are none, and the merged spellings."""
    texts = pc.utf8_trim_whitespace(values.fill_null(""))
    none = pc.is_in(pc.utf8_lower(texts), pa.array(sorted(MISSING), texts.type))
    missing = ~used | none.to_numpy(zero_copy_only=False)
    there = pa.array(~missing)
    texts, values = texts.filter(there), values.filter(there)
    folded = pc.replace_substring_regex(texts, rf"\A{_WHOLE}\z", r"\1")
    whole = pc.all(pc.match_substring_regex(folded, rf"\A{_INTEGER}\z"), min_count=0).as_py()
    keys = folded
    if not whole:
        keys = pc.if_else(pc.is_in(folded, texts), folded, texts)
    merged = _merged(keys, values)
    if whole and len(keys):
        return keys.cast(pa.int64()).to_numpy(zero_copy_only=False), missing, merged
    return keys, missing, merged


def _merged(keys: pa.Array, values: pa.Array) -> list[tuple[str, ...]]:
    """Returns the spellings of every id that has several."""
    odd = keys.filter(pc.not_equal(keys, values))
    if not len(odd):
        return []
    some = pc.is_in(keys, odd.unique())
    spellings: dict[str, set[str]] = {}
    for key, value in zip(
        keys.filter(some).to_pylist(), values.filter(some).to_pylist(), strict=True
    ):
        spellings.setdefault(key, set()).add(value)
    return sorted(tuple(sorted(group)) for group in spellings.values() if len(group) > 1)


def _sorted_texts(keys: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct texts in order, and for each key which of them it is."""
    encoded = keys.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    ids = numpy_text(encoded.dictionary.take(order))
    return ids, rank[encoded.indices.to_numpy(zero_copy_only=False)]


def numpy_text(texts: pa.Array | pa.ChunkedArray, block: int = 1 << 16) -> np.ndarray:
    """Returns Arrow text as NumPy text of shape `(n,)`; a missing one is empty.

    Example:
        >>> numpy_text(pa.array(["tea", None]))
        array(['tea', ''], dtype='<U3')
    """
    width = pc.max(pc.utf8_length(texts)).as_py() or 1
    out = np.zeros(len(texts), f"<U{width}")
    for start in range(0, len(texts), block):
        part = texts.slice(start, block).fill_null("")
        out[start : start + len(part)] = part.to_pylist()
    return out


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
    if text and asked.dtype.kind == "U":
        return np.strings.strip(asked)
    texts = [(_object_text(v) or "").strip() for v in asked.astype(object).ravel()]
    if text:
        return np.array(texts, np.str_).reshape(asked.shape)
    unknown = np.iinfo(np.int64).min
    found = [re.fullmatch(rf"({_INTEGER})(\.0+)?", value) for value in texts]
    numbers = [unknown if match is None else int(match[1]) for match in found]
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
