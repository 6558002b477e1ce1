"""What a prepared set says of itself: `manifest.json`, and the vocabularies as text."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.checks import DataError, FileMissing

MANIFEST = "manifest.json"
COUNTS = "counts.npz"
FORMAT = 1


def write_vocabulary(folder: Path, side: str, ids: np.ndarray) -> str:
    """Writes ids, one a line; line r is row r.

    Returns:
        `"integer"` or `"text"`.

    Raises:
        DataError: When an id holds a line break.
    """
    texts = list(map(str, ids.tolist()))
    broken = [text for text in texts if "\n" in text or "\r" in text]
    if broken:
        raise DataError(
            f"the {side} id {broken[0]!r} holds a line break, so that it is no line of a "
            "vocabulary file. Replace such ids first."
        )
    (folder / f"{side}_ids.txt").write_bytes("".join(f"{t}\n" for t in texts).encode("utf-8"))
    return "integer" if ids.dtype.kind == "i" else "text"


def read_vocabulary(folder: Path, side: str, kind: str) -> np.ndarray:
    """Reads what `write_vocabulary` wrote, int64 or text of shape `(rows,)`."""
    texts = (folder / f"{side}_ids.txt").read_bytes().decode("utf-8").split("\n")[:-1]
    return np.array(texts, np.int64 if kind == "integer" else np.str_)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads the manifest, and looks whether all files are there and whole in size.

    Raises:
        DataError: When the folder is no prepared log, or not all of one.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise FileMissing(
            f"{folder}: there is no {MANIFEST}, so this is no prepared log. Make one with "
            "tfadvrec.data.prepare(...)."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({error}).") from None
    if content.get("format") != FORMAT:
        raise DataError(
            f"{path}: is of format {content.get('format')!r}, and this version of tfadvrec reads "
            f"format {FORMAT}. Prepare the log again."
        )
    for name, sealed in content["files"].items():
        size = (folder / name).stat().st_size if (folder / name).exists() else None
        if size != sealed["bytes"]:
            found = "is missing" if size is None else f"has {size:,} bytes"
            raise DataError(
                f"{folder / name} {found}; {sealed['bytes']:,} bytes were written. Copy the whole "
                "folder again, or prepare the log again."
            )
    return content
