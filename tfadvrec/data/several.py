"""Logs of several files become one, with one vocabulary."""

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfadvrec.data.assembly import RawLog
from tfadvrec.data.checks import DataError, FileMissing
from tfadvrec.data.numbers import Column


def files_of(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """Lists files: a pattern finds them in the order of their names.

    Args:
        path: A file or folder, several of them, or a pattern such as `logs/part-*.csv`.

    Returns:
        The files, at least one.

    Raises:
        DataError: When the pattern finds none, or no file was named.
    """
    if not isinstance(path, str | Path):
        paths = [Path(one) for one in path]
        if not paths:
            raise DataError("expected the path of at least one file, got an empty list.")
        return paths
    if Path(path).exists() or not glob.has_magic(str(path)):
        return [Path(path)]
    paths = [Path(one) for one in sorted(glob.glob(str(path), recursive=True))]
    if not paths:
        raise FileMissing(f"{path}: no file fits this pattern.")
    return paths


def together(logs: Sequence[RawLog], of: str = "log") -> RawLog:
    """Puts the columns of several files one after the other.

    Args:
        logs: The files; their columns are taken from them.
        of: What the files make up, for messages.

    Returns:
        One log; it names rows by their file and line.

    Raises:
        DataError: When the files have different columns.
    """
    first = logs[0]
    if len(logs) == 1:
        return first
    for log in logs:
        if list(log.columns) != list(first.columns):
            raise DataError(
                f"{log.source}: it has the columns {list(log.columns)}, and {first.source} has "
                f"{list(first.columns)}. All files of a {of} have the same columns."
            )
    sizes = [len(log) for log in logs]
    columns = {}
    for name in list(first.columns):
        columns[name] = _concatenated([log.columns.pop(name) for log in logs])
    starts = np.cumsum([0, *sizes])

    def locate(rows: np.ndarray) -> list[str]:
        found = []
        for place, log in enumerate(logs):
            mine = rows[(rows >= starts[place]) & (rows < starts[place + 1])] - starts[place]
            if mine.size:
                found += [f"{log.source}, {where}" for where in log.locate(mine)]
        return found

    dropped: dict[str, int] = {}
    for log in logs:
        for reason, count in log.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return RawLog(columns, " + ".join(log.source for log in logs), locate, dropped)


def _concatenated(columns: Sequence[Column]) -> Column:
    """Joins a column of several files; where their types differ, as floats or as text."""
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns)
    arrays = [pa.array(c) if isinstance(c, np.ndarray) else c for c in columns]
    kinds = {array.type for array in arrays}
    if len(kinds) > 1:
        numeric = all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds)
        arrays = [array.cast(pa.float64() if numeric else pa.string()) for array in arrays]
    chunks = [c for a in arrays for c in (a.chunks if isinstance(a, pa.ChunkedArray) else [a])]
    return pa.chunked_array(chunks, arrays[0].type)
