"""Text files as bytes, as text and as rows with their line numbers."""

import bz2
import codecs
import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfadvrec.data.checks import SHOWN, DataError, FileMissing

UNIT = "\x1f"
"""What stands in for a separator of several characters, which Arrow does not take."""


def open_bytes(path: Path) -> io.BufferedIOBase:
    """Opens a file, unpacked when its first bytes are those of gzip or bzip2."""
    if not path.is_file():
        raise FileMissing(f"{path}: there is no such file.")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic[:3] == b"BZh":
        return bz2.open(path, "rb")
    if magic == b"PAR1":
        raise DataError(f"{path}: this is a Parquet file; read it with Interactions.from_parquet.")
    if magic == b"PK\x03\x04":
        raise DataError(f"{path}: this is a zip archive; unpack it and name the file inside.")
    return path.open("rb")


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Opens a file as text in which undecodable bytes are shown as �."""
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, errors="replace", newline="")


class Replaced(io.BufferedIOBase):
    """A text file as UTF-8 bytes, its separator of several characters replaced by `UNIT`.

    Args:
        path: The file.
        encoding: Its encoding.
        separator: What separates its fields.
    """

    def __init__(self, path: Path, encoding: str, separator: str) -> None:
        self._path, self._separator = path, separator
        self._text = io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")
        self._left, self._start = b"", True

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Returns the next bytes, none at the end.

        Raises:
            DataError: When the file contains `UNIT`.
        """
        parts, missing = [self._left], (1 << 62 if size is None or size < 0 else size)
        while sum(map(len, parts)) < missing:
            # whole lines, so that no separator is cut in two
            text = self._text.read(1 << 20) + self._text.readline()
            if not text:
                break
            if UNIT in text:
                raise DataError(
                    f"{self._path}: contains the character U+001F, which no log should."
                )
            if self._start:
                text, self._start = text.removeprefix("\ufeff"), False
            parts.append(text.replace(self._separator, UNIT).encode())
        content = b"".join(parts)
        self._left = content[missing:]
        return content[:missing]

    def close(self) -> None:
        self._text.close()
        super().close()


def explain_encoding(path: Path, encoding: str) -> DataError:
    """Makes the error for text that is not in the encoding it was said to be in."""
    bad, content = [], b""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                bad.append(f"line {number}: byte 0x{line[error.start]:02x} in {line[:60]!r}")
                content += line
            if len(bad) == SHOWN:
                break
    try:
        content.decode("cp1252")
        likely = "cp1252"
    except UnicodeDecodeError:
        likely = "latin-1"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        likely = "utf-16"
    return DataError(
        f'{path}: the text is not {encoding}. Pass its encoding, probably encoding="{likely}". '
        f"First offending lines: {'; '.join(bad)}"
    )


def records(
    lines: Iterable[str], separator: str, quote: str | None
) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number (from 1) and the fields of every line that is not blank."""
    if len(separator) > 1:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\r\n")
            if text:
                yield number, text.split(separator)
        return
    style = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(lines, delimiter=separator, **style)
    start = 1
    for fields in reader:
        if fields:
            yield start, fields
        start = reader.line_num + 1
