"""How a text file is laid out: separator, header, encoding; told from its first rows."""

import codecs
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfadvrec.data.checks import SHOWN, DataError, FileMissing
from tfadvrec.data.choice import KNOWN_AS
from tfadvrec.data.text_files import explain_encoding, open_bytes, open_text, records

SEPARATORS = ("::", "\t", ",", ";", "|", " ")
"""What is tried, in this order, when the caller names no separator."""

_USUAL = frozenset(name for names in KNOWN_AS.values() for name in names)
_HEAD_BYTES = 1 << 16
_HEAD_LINES = 25
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|\d{4}-\d\d-\d\d.*")


@dataclass(frozen=True)
class Layout:
    """A text file's layout.

    Attributes:
        path: The file.
        separator: What separates fields; one or more characters.
        names: Column names; `"0"`, `"1"`, ... without a header.
        skip: Lines before the first row of data.
        encoding: The text's encoding.
        quote: The quote character, or None.
    """

    path: Path
    separator: str
    names: tuple[str, ...]
    skip: int
    encoding: str
    quote: str | None

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yields line number (from 1) and fields of every row of data, slowly and exactly."""
        with open_text(self.path, self.encoding) as lines:
            for number, fields in records(lines, self.separator, self.quote):
                if number > self.skip:
                    yield number, fields

    def locate(self, rows: Sequence[int]) -> list[str]:
        """Finds rows of data (from 0, ascending) again: `line 7: 3,x`."""
        wanted, found, row = set(map(int, rows)), [], 0
        for number, fields in self.records():
            if len(fields) != len(self.names):
                continue
            if row in wanted:
                found.append(self.show(number, fields))
                if len(found) == len(wanted):
                    break
            row += 1
        return found

    def ragged(self) -> list[str]:
        """Finds the first rows of data with too few or too many fields."""
        found = []
        for number, fields in self.records():
            if len(fields) != len(self.names):
                found.append(self.show(number, fields))
                if len(found) == SHOWN:
                    break
        return found

    def show(self, number: int, fields: list[str]) -> str:
        """Writes a row as a person finds it."""
        text = self.separator.join(fields)
        return f"line {number}: {text if len(text) <= 80 else text[:77] + '...'}"


def lay_out(
    path: str | Path,
    *,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
    by_name: bool = False,
    number_columns: Sequence[int] = (),
) -> Layout:
    """Finds or checks a text file's layout on its first rows.

    Args:
        path: The file; gzip and bzip2 are unpacked.
        separator: What separates fields; None to find it.
        header: Whether the first line names the columns; None to find out.
        encoding: The text's encoding.
        quote: The quote character, or None where quotes are ordinary characters.
        by_name: Whether the caller asked for columns by name, so that there must be a header.
        number_columns: Positions of columns that hold numbers (ratings, times).

    Returns:
        The layout.

    Raises:
        DataError: When the first rows do not fit what was said about them.
    """
    path = Path(path)
    if separator == "":
        raise ValueError("separator: expected at least one character.")
    lines = _head(path, encoding)
    if separator is None:
        separator = _find_separator(lines, quote, path)
    quote = quote if len(separator) == 1 else None
    rows = list(records(lines, separator, quote))
    if len(lines) == _HEAD_LINES:
        rows = rows[:-1]  # a quoted field may go on after the lines that were read
    if not rows:
        raise DataError(f"{path}: the file is empty. Expected a row for each interaction.")
    _check_width(path, rows, separator, lines, quote)
    first, rest = rows[0][1], [fields for _, fields in rows[1:]]
    header = _check_header(path, first, rest, header, by_name, number_columns)
    names = tuple(name.strip() for name in first) if header else tuple(map(str, range(len(first))))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: the header names {sorted(twice)} more than once.")
    return Layout(path, separator, names, rows[0][0] - (not header), encoding, quote)


def _head(path: Path, encoding: str) -> list[str]:
    try:
        with open_bytes(path) as file:
            start = file.read(_HEAD_BYTES)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileMissing):
            raise
        raise DataError(f"{path}: cannot be unpacked ({error}); the file is damaged.") from None
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, len(start) < _HEAD_BYTES)
    except UnicodeDecodeError:
        raise explain_encoding(path, encoding) from None
    except LookupError:
        raise ValueError(f"encoding: Python knows no encoding {encoding!r}.") from None
    if "\0" in text:
        raise DataError(f"{path}: there are zero bytes in it, so it is no text in {encoding}.")
    # not str.splitlines, which also cuts at characters that are no line breaks in a file
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    if len(start) == _HEAD_BYTES and len(lines) > 1:
        lines = lines[:-1]
    return lines[:_HEAD_LINES]


def _find_separator(lines: Sequence[str], quote: str | None, path: Path) -> str:
    for separator in SEPARATORS:
        if _fits(lines, separator, quote):
            return separator
    shown = "; ".join(f"line {n}: {line.rstrip()[:80]}" for n, line in enumerate(lines[:3], 1))
    if not shown:
        raise DataError(f"{path}: the file is empty. Expected a row for each interaction.")
    raise DataError(
        f"{path}: no separator of {', '.join(map(repr, SEPARATORS))} cuts the first lines into the "
        f"same number of fields. Pass separator=... The file begins: {shown}"
    )


def _fits(lines: Sequence[str], separator: str, quote: str | None) -> bool:
    """Tells whether a separator cuts nearly all of the first lines into equally many fields."""
    widths = [len(fields) for _, fields in records(lines, separator, quote)]
    usual = max(set(widths), key=widths.count, default=0)
    return usual > 1 and widths.count(usual) >= 0.9 * len(widths)


def _check_width(
    path: Path,
    rows: Sequence[tuple[int, list[str]]],
    separator: str,
    lines: Sequence[str],
    quote: str | None,
) -> None:
    number, first = rows[0]
    if len(first) == 1:
        better = next((s for s in SEPARATORS if _fits(lines, s, quote)), None)
        hint = f" They look separated by {better!r}: pass separator={better!r}." if better else ""
        raise DataError(
            f"{path}: separated by {separator!r}, the first lines have one column (line {number}: "
            f"{first[0][:80]}). A log needs at least a user and an item.{hint}"
        )
    widths = [len(fields) for _, fields in rows[1:]]
    if len(widths) > 1 and widths.count(len(first)) == 0:
        raise DataError(
            f"{path}: line {number} has {len(first)} fields and line {rows[1][0]} has {widths[0]} "
            f"when separated by {separator!r} ({separator.join(first)[:60]} / "
            f"{separator.join(rows[1][1])[:60]}). Check separator=... and the header."
        )


def _check_header(
    path: Path,
    first: Sequence[str],
    rest: Sequence[Sequence[str]],
    header: bool | None,
    by_name: bool,
    number_columns: Sequence[int],
) -> bool:
    """Decides whether the first line is a header; says so when it cannot be what it was called."""
    numbers = [bool(_NUMBER.fullmatch(field.strip())) for field in first]
    shown = repr(", ".join(first))[:90]
    rows = [row for row in rest if len(row) == len(first)]
    # a column of numbers below a word is a column below its name
    below = [
        sum(bool(_NUMBER.fullmatch(row[c].strip())) for row in rows) for c in range(len(first))
    ]
    turned = any(
        count * 2 > len(rows) and first[c].strip() and not numbers[c]
        for c, count in enumerate(below)
    )
    named = sum(field.strip().lower() in _USUAL for field in first) >= 2
    titled = (turned or named) and not any(numbers)
    if header is None:
        if by_name or titled:
            return True
        if any(numbers) or not rows:
            return False
        raise DataError(
            f"{path}: cannot tell whether the first line {shown} is a header or a row, since there "
            "are no numbers below it. Pass header=True or header=False."
        )
    if header and sum(numbers) * 2 > len(first):
        raise DataError(
            f"{path}: the first line {shown} looks like a row, not like a header. Pass "
            "header=False and name the columns by position (user=0, item=1)."
        )
    if not header and (
        titled or any(not numbers[c] and below[c] for c in number_columns if c < len(first))
    ):
        raise DataError(
            f"{path}: the first line {shown} looks like a header, not like a row. Pass header=True."
        )
    return header
