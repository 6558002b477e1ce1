"""Text files become columns: read by Arrow, and looked at row by row only to explain an error."""

import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from tfadvrec.data.assembly import RawLog
from tfadvrec.data.checks import DataError, plural
from tfadvrec.data.choice import Choice, column_name
from tfadvrec.data.gathering import gather
from tfadvrec.data.numbers import Column
from tfadvrec.data.text_files import UNIT, Replaced, explain_encoding, open_bytes
from tfadvrec.data.text_layout import Layout, lay_out

_BLOCK_BYTES = 1 << 20
_COLUMN = re.compile(r"^In CSV column #(\d+): ")
_TYPES = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
)
_LOOSER = dict(pairwise(_TYPES))
"""Type -> the next one that Arrow tries for a column whose values do not all fit."""


def read_log(
    path: str | Path,
    choice: Choice,
    *,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
) -> tuple[RawLog, Choice]:
    """Reads the columns of a log from a text file.

    Args:
        path: The file.
        choice: Which columns are what; without a header, user and item default to the first two.
        separator: What separates fields; None to find it.
        header: Whether the first line names the columns; None to find out.
        encoding: The text's encoding.
        quote: The quote character, or None.

    Returns:
        The columns, and the choice with every default filled in.

    Raises:
        DataError: When the file cannot be read as a log.
    """
    asked = (choice.user, choice.item, choice.rating, choice.time, *choice.columns)
    layout = lay_out(
        path,
        separator=separator,
        header=header,
        encoding=encoding,
        quote=quote,
        by_name=any(isinstance(name, str) for name in asked),
        number_columns=[c for c in (choice.rating,) if type(c) is int],
    )
    if layout.names == tuple(map(str, range(len(layout.names)))):
        choice = _by_position(choice)
    roles = choice.resolve(layout.names, str(path))
    extra = [column_name(asked, layout.names, str(path)) for asked in choice.columns]
    kinds: dict[str, pa.DataType] = {roles["user"]: pa.string(), roles["item"]: pa.string()}
    if "rating" in roles:
        kinds[roles["rating"]] = pa.float64()
    names = list(dict.fromkeys([*roles.values(), *extra]))
    columns, ragged = read_columns(layout, names, kinds, (roles["user"], roles["item"]))
    if ragged and choice.invalid == "error":
        raise ragged_error(layout, ragged)
    dropped = {"row with too few or too many fields": ragged} if ragged else {}
    return RawLog(columns, str(path), layout.locate, dropped), choice.named(roles, extra)


def read_table(
    path: str | Path,
    *,
    names: Sequence[str] | None = None,
    text: Collection[str | int] = (0,),
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
) -> pa.Table:
    """Reads a text file of any kind, for example one with the features of items.

    Args:
        path: The file; gzip and bzip2 are unpacked.
        names: Names for the columns of a file without header.
        text: Columns (by name or position) that stay text; by default the first, which usually
            holds ids. The types of the others are inferred.
        separator: What separates fields, of any length; None to find it.
        header: Whether the first line names the columns; None to find out.
        encoding: The text's encoding.
        quote: The quote character, or None where quotes are ordinary characters.

    Returns:
        A table, which is a frame to `Interactions.from_frame` and `with_features`.

    Raises:
        DataError: When the file cannot be read.
    """
    if names is not None:
        header = False
    layout = lay_out(path, separator=separator, header=header, encoding=encoding, quote=quote)
    if names is not None and len(names) != len(layout.names):
        raise DataError(
            f"{path}: {plural(len(names), 'name')} for {plural(len(layout.names), 'column')}."
        )
    known = tuple(names or layout.names)
    position = {known.index(column_name(asked, known, str(path))) for asked in text}
    kinds = {layout.names[place]: pa.string() for place in position}
    columns, ragged = read_columns(layout, layout.names, kinds)
    if ragged:
        raise ragged_error(layout, ragged)
    return pa.table([columns[name] for name in layout.names], names=list(known))


def read_columns(
    layout: Layout,
    names: Sequence[str],
    kinds: Mapping[str, pa.DataType],
    ids: Collection[str] = (),
) -> tuple[dict[str, Column], int]:
    """Reads columns, a block of the file at a time.

    A column whose type is inferred starts with the strictest type that fits the first block. A
    later value that does not fit makes the reader begin again with the next type.

    Args:
        layout: The file and how it is laid out.
        names: The columns to read.
        kinds: Name -> type; the other columns' types are inferred. Where a value is not of the
            type asked for, every column is read as text.
        ids: The columns that hold ids; see `gather`.

    Returns:
        Name -> values, and how many rows with too few or too many fields are not in them.

    Raises:
        DataError: When the file is damaged or in another encoding.
    """
    asked, tried = dict(kinds), dict(kinds)
    while True:
        found: dict[str, pa.DataType] = {}
        try:
            return _one_pass(layout, names, tried, ids, found)
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error) or "UTF-8" in str(error):
                raise explain_encoding(layout.path, layout.encoding) from None
            number = _COLUMN.search(str(error))
            name = layout.names[int(number[1])] if number else None
            kind = found.get(name) or tried.get(name)
            if name not in asked and kind in _LOOSER:
                tried = {**tried, **found, name: _LOOSER[kind]}
            elif asked != dict.fromkeys(names, pa.string()):
                asked = tried = dict.fromkeys(names, pa.string())
            else:
                raise DataError(f"{layout.path}: cannot be read: {error}") from None


def ragged_error(layout: Layout, count: int) -> DataError:
    """Makes the error for rows with too few or too many fields."""
    return DataError(
        f"{layout.path}: expected {len(layout.names)} fields separated by {layout.separator!r} in "
        f"every row; {plural(count, 'row')} differ. First of them: {'; '.join(layout.ragged())}. "
        "Check the separator and the quotes; a log's constructor can leave such rows out and "
        'count them with invalid="drop".'
    )


def _by_position(choice: Choice) -> Choice:
    """Without a header, the first column is the user and the second the item."""
    known: dict[str, Any] = {key: getattr(choice, key) for key in choice.__dataclass_fields__}
    for place, side in enumerate(("user", "item")):
        known[side] = place if known[side] is None else known[side]
    for side in ("rating", "time"):
        known[side] = False if known[side] is None else known[side]
    return Choice(**known)


def _one_pass(
    layout: Layout,
    names: Sequence[str],
    kinds: Mapping[str, pa.DataType],
    ids: Collection[str],
    found: dict[str, pa.DataType],
) -> tuple[dict[str, Column], int]:
    """Reads the file once; fills `found` with the types that the first block had."""
    ragged = 0

    def skip(row: pacsv.InvalidRow) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    simple = len(layout.separator) == 1
    parse = pacsv.ParseOptions(
        delimiter=layout.separator if simple else UNIT,
        quote_char=layout.quote or False,
        newlines_in_values=layout.quote is not None and _has_quote(layout),
        invalid_row_handler=skip,
    )
    read = pacsv.ReadOptions(
        column_names=list(layout.names),
        skip_rows=layout.skip,
        encoding=layout.encoding if simple else "utf8",
        block_size=_BLOCK_BYTES,
        use_threads=False,
    )
    convert = pacsv.ConvertOptions(column_types=dict(kinds), include_columns=list(names))
    try:
        with (
            open_bytes(layout.path)
            if simple
            else Replaced(layout.path, layout.encoding, layout.separator) as source
        ):
            reader = pacsv.open_csv(
                source, read_options=read, parse_options=parse, convert_options=convert
            )
            found.update(zip(reader.schema.names, reader.schema.types, strict=True))
            return gather(reader.schema, reader, ids), ragged
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{layout.path}: cannot be unpacked ({error}); it is damaged.") from None
    except UnicodeDecodeError:
        raise explain_encoding(layout.path, layout.encoding) from None


def _has_quote(layout: Layout) -> bool:
    """Tells whether quotes occur, so that a line break inside them has to be expected."""
    quote = (layout.quote or "").encode()
    with open_bytes(layout.path) as file:
        while block := file.read(1 << 22):
            if quote in block:
                return True
    return False
