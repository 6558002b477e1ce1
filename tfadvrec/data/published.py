"""Splits that somebody else published: several files, one vocabulary."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfadvrec.data.assembly import Choice, RawLog, assemble, build
from tfadvrec.data.checks import DataError
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.readers import read_log
from tfadvrec.data.splitting import Split


def published_split(
    train: str | Path, test: str | Path, *, validation: str | Path | None = None, **options: Any
) -> Split:
    """Reads a split from one file a part; all parts share one vocabulary.

    Users and items that only the test has are cold; `Split.describe` counts them, and the pairs
    of the test that train has as well.

    Args:
        train: The train file.
        test: The test file.
        validation: The validation file, or None.
        **options: The options of `Interactions.from_csv`. `duplicates` works within each part.

    Returns:
        The split, exactly as published: no row moves between parts.

    Raises:
        DataError: When a file holds no usable log.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train, test = pathlib.Path(folder, "train.tsv"), pathlib.Path(folder, "test.tsv")
        ...     _ = train.write_text("0\\t10\\n1\\t11\\n"), test.write_text("0\\t12\\n")
        ...     split = published_split(train, test)
        >>> len(split.train), split.train.n_items, split.describe()["test"]["with_cold_item"]
        (2, 3, 1)
    """
    layout = {
        key: options.pop(key)
        for key in ("separator", "header", "encoding", "quote")
        if key in options
    }
    name = options.pop("name", None) or Path(train).name.split(".")[0]
    asked = Choice(**options)
    paths = {"train": train, "validation": validation, "test": test}
    paths = {part: path for part, path in paths.items() if path is not None}
    read = {part: read_log(path, asked, **layout) for part, path in paths.items()}
    raw = _together({part: log for part, (log, _) in read.items()}, read["train"][1])
    fields = assemble(raw, read["train"][1])
    origin = "the published split " + ", ".join(map(str, paths.values()))
    log = build(Interactions, fields, name=name, origin=origin)
    part_of = raw.part[fields["rows"]]
    parts = {part: log.take(part_of == place) for place, part in enumerate(paths)}
    for part, path in paths.items():
        if not len(parts[part]):
            raise DataError(f"{path}: no interaction of the {part} part is left.")
    return Split(parts["train"], parts.get("validation"), parts["test"])


def _together(logs: dict[str, RawLog], choice: Choice) -> RawLog:
    """Puts the parts' columns one after the other, and remembers which row is whose."""
    first = logs["train"]
    for part, log in logs.items():
        if list(log.columns) != list(first.columns):
            raise DataError(
                f"{log.source}: the {part} file has the columns {list(log.columns)}, the train "
                f"file {list(first.columns)}. All files of a split have the same columns."
            )
    columns = {}
    for name in first.columns:
        columns[name] = _concatenated([log.columns[name] for log in logs.values()])
    sizes = [len(next(iter(log.columns.values()))) for log in logs.values()]
    starts = np.cumsum([0, *sizes])

    def locate(rows: np.ndarray) -> list[str]:
        found = []
        for place, log in enumerate(logs.values()):
            mine = rows[(rows >= starts[place]) & (rows < starts[place + 1])] - starts[place]
            if mine.size:
                found += [f"{log.source}, {where}" for where in log.locate(mine)]
        return found

    dropped: dict[str, int] = {}
    for log in logs.values():
        for reason, count in log.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    part = np.repeat(np.arange(len(sizes)), sizes)
    return RawLog(columns, " + ".join(log.source for log in logs.values()), locate, dropped, part)


def _concatenated(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    kinds = {column.type for column in columns}
    if len(kinds) > 1:
        numeric = all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds)
        columns = [column.cast(pa.float64() if numeric else pa.string()) for column in columns]
    chunks = [chunk for column in columns for chunk in column.chunks]
    return pa.chunked_array(chunks, columns[0].type)
