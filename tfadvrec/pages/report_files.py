"""The files of a report: written whole, read with an error that helps."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_files(folder: str | os.PathLike[str], files: Mapping[str, bytes]) -> Path:
    """Writes files into a folder, each replacing its predecessor whole.

    Args:
        folder: Folder, made where it is missing.
        files: Name -> contents, written in this order.

    Returns:
        The folder.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        part = place / f".{name}.part"
        part.write_bytes(content)
        os.replace(part, place / name)
    return place


def read_record(path: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Reads a report's JSON.

    Args:
        path: The file, or a folder that holds it.
        name: The file's name in a folder.

    Raises:
        ValueError: If it is not a JSON object.
    """
    place = Path(path)
    place = place / name if place.is_dir() else place
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
    except json.JSONDecodeError as problem:
        raise ValueError(f"{place} is not JSON ({problem}); make the report again.") from None
    if not isinstance(record, dict):
        raise ValueError(f"{place} is not a report: expected an object, got a list or a value.")
    return record
