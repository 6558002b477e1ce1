"""Batches of columns become whole columns; the text of ids is never held for every row."""

from collections.abc import Collection, Iterable
from itertools import chain

import numpy as np
import pyarrow as pa

from tfadvrec.data.numbers import Column

_WAITING = 1 << 18


def gather(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], ids: Collection[str] = ()
) -> dict[str, Column]:
    """Reads all batches.

    Args:
        schema: What every batch holds.
        batches: The rows.
        ids: The columns that hold ids; of these int32 codes are kept, and a vocabulary of the
            distinct ids that grows batch by batch.

    Returns:
        Name -> all rows: ids as a dictionary array, numbers without gaps as a NumPy array, other
        columns as Arrow chunks.

    Example:
        >>> table = pa.table({"id": ["b", "a", "b"], "size": [3, 1, 2]})
        >>> columns = gather(table.schema, table.to_batches(max_chunksize=1), ids=["id"])
        >>> columns["id"].to_pylist(), columns["size"]
        (['b', 'a', 'b'], array([3, 1, 2]))
    """
    codes = {name: _Codes() for name in ids}
    others = {
        name: _Fixed(kind) if _width(kind) else _Chunks(kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
        if name not in codes
    }
    growing = {**codes, **others}
    nothing = pa.record_batch([pa.array([], kind) for kind in schema.types], schema=schema)
    for batch in chain([nothing], batches):
        for name, values in zip(schema.names, batch.columns, strict=True):
            growing[name].add(values)
    return {name: growing.pop(name).column() for name in schema.names}


class _Rows:
    """An array that grows at its end, an eighth at a time."""

    def __init__(self, kind: np.dtype | type[np.generic]) -> None:
        self._room, self.size = np.empty(1 << 16, kind), 0

    def add(self, values: np.ndarray) -> None:
        end = self.size + len(values)
        if end > len(self._room):
            # in place where the system can, so that there are never two of them
            self._room.resize(max(end, len(self._room) * 9 // 8), refcheck=False)
        self._room[self.size : end] = values
        self.size = end

    def rows(self, start: int = 0) -> np.ndarray:
        return self._room[start : self.size]

    def whole(self) -> np.ndarray:
        """Returns the array, cut to size and read-only; nothing can be added any more."""
        self._room.resize(self.size, refcheck=False)
        self._room.flags.writeable = False
        return self._room


class _Codes:
    """One column of ids: codes of all rows, and the distinct ids.

    Each batch is encoded alone. Its distinct ids wait until there are twice as many as the
    vocabulary has, and are merged then, so that merging stays linear in what is read.
    """

    def __init__(self) -> None:
        self._codes = _Rows(np.int32)
        self._known: pa.Array | None = None
        self._waiting: list[tuple[int, pa.Array]] = []
        self._most = _WAITING

    def add(self, values: pa.Array) -> None:
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        self._waiting.append((self._codes.size, _wide(values.dictionary)))
        codes = values.indices.cast(pa.int32())
        codes = codes.fill_null(-1) if codes.null_count else codes
        self._codes.add(codes.to_numpy(zero_copy_only=False))
        if sum(len(ids) for _, ids in self._waiting) > self._most:
            self._merge()

    def column(self) -> pa.DictionaryArray:
        if self._waiting:
            self._merge()
        codes = self._codes.whole()
        absent = codes < 0
        indices = pa.array(codes, mask=absent if absent.any() else None)
        return pa.DictionaryArray.from_arrays(indices, self._known)

    def _merge(self) -> None:
        """Puts the waiting ids into the vocabulary and renumbers the codes that meant them."""
        known = [] if self._known is None else [self._known]
        texts = [*known, *(ids for _, ids in self._waiting)]
        encoded = pa.chunked_array(texts).dictionary_encode().combine_chunks()
        places = encoded.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        start = sum(map(len, known))
        ends = [*(first for first, _ in self._waiting[1:]), self._codes.size]
        for (first, ids), end in zip(self._waiting, ends, strict=True):
            # the last entry is what the code -1 (no id) finds
            table = np.append(places[start : start + len(ids)], np.int32(-1))
            codes = self._codes.rows(first)[: end - first]
            codes[:] = table[codes]
            start += len(ids)
        self._known, self._waiting = encoded.dictionary, []
        self._most = max(_WAITING, 2 * len(self._known))
        del encoded, places, texts, known
        # Arrow keeps what it freed; a vocabulary's worth of that counts
        pa.default_memory_pool().release_unused()


class _Fixed:
    """A column of numbers or dates, which all take the same number of bytes."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind, self._values = kind, _Rows(f"i{_width(kind)}")
        self._there, self._gaps = _Rows(np.bool_), False

    def add(self, values: pa.Array) -> None:
        bits = pa.Array.from_buffers(
            pa.from_numpy_dtype(f"i{_width(self._kind)}"),
            len(values),
            [None, values.buffers()[1]],
            offset=values.offset,
        )
        if values.null_count and not self._gaps:
            self._gaps = True
            self._there.add(np.ones(self._values.size, np.bool_))
        self._values.add(bits.to_numpy())
        if self._gaps:
            self._there.add(values.is_valid().to_numpy(zero_copy_only=False))

    def column(self) -> Column:
        values = self._values.whole()
        plain = pa.types.is_integer(self._kind) or pa.types.is_floating(self._kind)
        if plain and not self._gaps:
            return values.view(self._kind.to_pandas_dtype())
        there = pa.array(self._there.whole()).buffers()[1] if self._gaps else None
        return pa.Array.from_buffers(self._kind, len(values), [there, pa.py_buffer(values)])


class _Chunks:
    """A column of anything else, for example text."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind, self._parts = kind, []

    def add(self, values: pa.Array) -> None:
        self._parts.append(values)

    def column(self) -> pa.ChunkedArray:
        return pa.chunked_array(self._parts, self._kind)


def _width(kind: pa.DataType) -> int:
    """Returns the bytes of a value, or 0 where it has no whole number of them."""
    return kind.bit_width // 8 if pa.types.is_primitive(kind) else 0


def _wide(ids: pa.Array) -> pa.Array:
    """Gives text 64-bit offsets: all distinct ids together may exceed two gigabytes."""
    if pa.types.is_string(ids.type) or ids.type == pa.string_view():
        return ids.cast(pa.large_string())
    return ids.cast(pa.large_binary()) if pa.types.is_binary(ids.type) else ids
