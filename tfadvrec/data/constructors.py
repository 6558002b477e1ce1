"""The ways into `Interactions`: files, frames and arrays."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfadvrec.data.assembly import RawLog, assemble, build
from tfadvrec.data.checks import DataError, check_length, check_rows
from tfadvrec.data.choice import Choice
from tfadvrec.data.frames import columns_of
from tfadvrec.data.list_files import read_lists
from tfadvrec.data.parquet_files import read_parquet
from tfadvrec.data.readers import read_log
from tfadvrec.data.several import files_of, together

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions


def from_arrays(
    cls: type["Interactions"],
    user: Sequence[Any] | np.ndarray,
    item: Sequence[Any] | np.ndarray,
    *,
    rating: Sequence[float] | np.ndarray | None = None,
    time: Sequence[Any] | np.ndarray | None = None,
    columns: Mapping[str, Sequence[Any] | np.ndarray] | None = None,
    user_ids: Sequence[Any] | np.ndarray | None = None,
    item_ids: Sequence[Any] | np.ndarray | None = None,
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str = "arrays",
) -> "Interactions":
    """Makes a log from arrays of ids, or of row numbers when their vocabulary is given too.

    Args:
        user: User ids of shape `(n,)`; row numbers of `user_ids` when those are given.
        item: Item ids of shape `(n,)`; row numbers of `item_ids` when those are given.
        rating: Numbers of shape `(n,)`.
        time: Numbers, dates or ISO 8601 text of shape `(n,)`.
        columns: Other values of each interaction, each of shape `(n,)`.
        user_ids: Row -> user id.
        item_ids: Row -> item id.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name.

    Returns:
        The log.

    Raises:
        DataError: When the arrays hold no usable log.

    Example:
        >>> from tfadvrec.data import Interactions
        >>> log = Interactions.from_arrays(["u", "u", "v"], [5, 6, 5], rating=[1.0, 2.0, 3.0])
        >>> log.item.tolist(), log.item_ids.tolist()
        ([0, 1, 0], [5, 6])
    """
    given = {"user": user, "item": item, "rating": rating, "time": time, **(columns or {})}
    arrays = {key: as_column(values) for key, values in given.items() if values is not None}
    for key, values in arrays.items():
        check_length(key, values, len(arrays["user"]), "users")
    vocabularies = {"user": user_ids, "item": item_ids}
    for side, ids in vocabularies.items():
        if ids is not None:
            arrays[side] = check_rows(side, arrays[side], len(ids))
    choice = Choice(
        user="user",
        item="item",
        rating="rating" if rating is not None else False,
        time="time" if time is not None else False,
        columns=tuple(columns or ()),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    fields = assemble(RawLog(arrays, name), choice)
    for side, ids in vocabularies.items():
        if ids is not None:
            fields[side] = fields[f"{side}_ids"][fields[side]]
            fields[f"{side}_ids"] = np.asarray(ids)
    return build(cls, fields, name=name, origin="arrays in memory")


def from_csv(
    cls: type["Interactions"],
    path: str | Path | Sequence[str | Path],
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    time: str | int | bool | None = None,
    columns: Sequence[str | int] = (),
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str | None = None,
) -> "Interactions":
    """Reads a log from a text file: CSV, TSV or any other separator, packed or not.

    The file is read a block at a time, and ids become row numbers as they come: what is held
    is numbers for every row, and the text of every distinct id. With ratings and times the
    peak is about 100 MB and 50 bytes a row, of which 20 a row stay (measured with 10 million
    rows of a million users).

    Args:
        path: The file; gzip and bzip2 are unpacked. Several files with the same columns, or a
            pattern such as `logs/part-*.csv`, make one log.
        user: The column of users, by name or position (from 0); by default the one with a usual
            name (`user`, `user_id`, ...).
        item: The column of items, likewise.
        rating: The column of ratings, likewise; `False` for none.
        time: The column of times, likewise; `False` for none.
        columns: Other columns to keep for each interaction.
        separator: What separates fields, of any length (`::`); found on the first lines when not
            given.
        header: Whether the first line names the columns; found out when not given. Without a
            header, user and item default to the first two columns, rating and time to none.
        encoding: The text's encoding.
        quote: The quote character, or None where quotes are ordinary characters.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name; the file's by default.

    Returns:
        The log.

    Raises:
        DataError: When the file holds no usable log; the message names the first bad lines.

    Example:
        >>> import pathlib, tempfile
        >>> from tfadvrec.data import Interactions
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "clicks.csv")
        ...     _ = path.write_text("user,item,when\\nann,tea,100\\nbob,tea,90\\nann,milk,120\\n")
        ...     log = Interactions.from_csv(path, time="when")
        >>> log.item_ids.tolist(), log.time.tolist()
        (['milk', 'tea'], [100, 90, 120])
    """
    choice = Choice(
        user=user,
        item=item,
        rating=rating,
        time=time,
        columns=tuple(columns),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    layout = {"separator": separator, "header": header, "encoding": encoding, "quote": quote}
    return _read(cls, path, read_log, choice, name, **layout)


def from_lists(
    cls: type["Interactions"],
    path: str | Path | Sequence[str | Path],
    *,
    encoding: str = "utf-8",
    duplicates: str = "keep",
    invalid: str = "error",
    name: str | None = None,
) -> "Interactions":
    """Reads a log from a text file of which a line is a user and the user's items, in order.

    Many published sets of graph and sequence models are such files. There are no times: what
    orders a user's interactions is their place in the line.

    Args:
        path: The file, several of them, or a pattern; gzip and bzip2 are unpacked.
        encoding: The text's encoding.
        duplicates: Which of an item that a user has more than once stays: `"last"` or `"first"`,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses lines without any item; `"drop"` counts them.
        name: The log's name; the file's by default.

    Returns:
        The log.

    Raises:
        DataError: When the file holds no usable log; the message names the first bad lines.

    Example:
        >>> import pathlib, tempfile
        >>> from tfadvrec.data import Interactions
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "plays.txt")
        ...     _ = path.write_text("ann tea milk jam\\nbob tea\\n")
        ...     log = Interactions.from_lists(path)
        >>> log.user_ids[log.user].tolist(), log.item_ids[log.item].tolist()
        (['ann', 'ann', 'ann', 'bob'], ['tea', 'milk', 'jam', 'tea'])
    """
    choice = Choice(duplicates=duplicates, invalid=invalid)
    return _read(cls, path, read_lists, choice, name, encoding=encoding)


def from_parquet(
    cls: type["Interactions"],
    path: str | Path | Sequence[str | Path],
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    time: str | int | bool | None = None,
    columns: Sequence[str | int] = (),
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str | None = None,
) -> "Interactions":
    """Reads a log from a Parquet file, or from a folder of them.

    It is read a batch at a time, and no other columns than the named ones; see `from_csv` for
    what that takes.

    Args:
        path: The file or folder, several files, or a pattern such as `logs/part-*.parquet`.
        user: The column of users, by name or position (from 0); by default the one with a usual
            name (`user`, `user_id`, ...).
        item: The column of items, likewise.
        rating: The column of ratings, likewise; `False` for none.
        time: The column of times, likewise; `False` for none.
        columns: Other columns to keep for each interaction.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name; the file's by default.

    Returns:
        The log.

    Raises:
        DataError: When the file holds no usable log.
    """
    choice = Choice(
        user=user,
        item=item,
        rating=rating,
        time=time,
        columns=tuple(columns),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    fields = assemble(*read_parquet(path, choice))
    paths = files_of(path)
    return build(cls, fields, name=name or paths[0].stem, origin=_origin(paths))


def from_frame(
    cls: type["Interactions"],
    frame: object,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    time: str | int | bool | None = None,
    columns: Sequence[str | int] = (),
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str | None = None,
) -> "Interactions":
    """Takes a log from a pandas, polars or Arrow table, or from a mapping of columns.

    Args:
        frame: The table.
        user: The column of users, by name or position (from 0); by default the one with a usual
            name (`user`, `user_id`, ...).
        item: The column of items, likewise.
        rating: The column of ratings, likewise; `False` for none.
        time: The column of times, likewise; `False` for none.
        columns: Other columns to keep for each interaction.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name.

    Returns:
        The log.

    Raises:
        DataError: When the table holds no usable log.

    Example:
        >>> from tfadvrec.data import Interactions
        >>> len(Interactions.from_frame({"user_id": [1, 1, 2], "item_id": ["a", "b", "a"]}))
        3
    """
    choice = Choice(
        user=user,
        item=item,
        rating=rating,
        time=time,
        columns=tuple(columns),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    fields = assemble(RawLog(columns_of(frame), "frame"), choice)
    kind = f"{type(frame).__module__.split('.')[0]} {type(frame).__name__}"
    return build(cls, fields, name=name or "frame", origin=f"a table in memory ({kind})")


def _read(
    cls: type["Interactions"],
    path: str | Path | Sequence[str | Path],
    read: Callable[..., tuple[RawLog, Choice]],
    choice: Choice,
    name: str | None,
    **layout: Any,
) -> "Interactions":
    """The log of one file or several, each read in the same way."""
    paths = files_of(path)
    parts = [read(one, choice, **layout) for one in paths]
    fields = assemble(together([raw for raw, _ in parts]), parts[0][1])
    return build(cls, fields, name=name or paths[0].name.split(".")[0], origin=_origin(paths))


def _origin(paths: Sequence[Path]) -> str:
    return f"the file{'' if len(paths) == 1 else 's'} {', '.join(map(str, paths))}"


def as_column(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Returns values as one axis; a list of mixed types keeps each value as it is."""
    if isinstance(values, np.ndarray):
        array = values
    else:
        values = list(values)
        kinds = {type(value) for value in values}
        array = np.array(values, dtype=object if len(kinds) > 1 else None)
    if array.ndim != 1:
        raise DataError(f"expected one value an interaction, got an array of shape {array.shape}.")
    return array
