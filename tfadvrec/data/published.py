"""Splits that somebody else published: several files, one vocabulary."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.assembly import assemble, build
from tfadvrec.data.checks import DataError
from tfadvrec.data.choice import Choice
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.list_files import read_lists
from tfadvrec.data.readers import read_log
from tfadvrec.data.several import together
from tfadvrec.data.splitting import Split

READERS = {"table": read_log, "lists": read_lists}


def published_split(
    train: str | Path,
    test: str | Path,
    *,
    validation: str | Path | None = None,
    layout: str = "table",
    **options: Any,
) -> Split:
    """Reads a split from one file a part; all parts share one vocabulary.

    Users and items that only the test has are cold; `Split.describe` counts them, and the pairs
    of the test that train has as well.

    Args:
        train: The train file.
        test: The test file.
        validation: The validation file, or None.
        layout: `"table"`, a line an interaction, or `"lists"`, a line a user and the user's items.
        **options: The options of `Interactions.from_csv`, or of `from_lists`. `duplicates` works
            within each part.

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
    if layout not in READERS:
        raise ValueError(f"layout: expected one of {', '.join(READERS)}, got {layout!r}.")
    if layout == "lists":
        options = {"duplicates": "keep", **options}
        unknown = set(options) - {"encoding", "duplicates", "invalid", "name"}
        if unknown:
            raise ValueError(f"a file of lists has no columns: {', '.join(sorted(unknown))}.")
    how = {
        key: options.pop(key)
        for key in ("separator", "header", "encoding", "quote")
        if key in options
    }
    name = options.pop("name", None) or Path(train).name.split(".")[0]
    asked = Choice(**options)
    paths = {"train": train, "validation": validation, "test": test}
    paths = {part: path for part, path in paths.items() if path is not None}
    read = {part: READERS[layout](path, asked, **how) for part, path in paths.items()}
    part = np.repeat(np.arange(len(read)), [len(log) for log, _ in read.values()])
    raw = together([log for log, _ in read.values()], "split")
    raw = dataclasses.replace(raw, part=part)
    fields = assemble(raw, read["train"][1])
    origin = "the published split " + ", ".join(map(str, paths.values()))
    log = build(Interactions, fields, name=name, origin=origin)
    part_of = part[fields["rows"]]
    parts = {part: log.take(part_of == place) for place, part in enumerate(paths)}
    for part, path in paths.items():
        if not len(parts[part]):
            raise DataError(f"{path}: no interaction of the {part} part is left.")
    return Split(parts["train"], parts.get("validation"), parts["test"])
