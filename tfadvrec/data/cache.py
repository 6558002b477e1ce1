"""Parsed copies of public sets in the user's cache: written atomically, checked when read."""

import hashlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.grouplens import Tables


def cache_folder() -> Path:
    """Returns the package's cache folder; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tfadvrec"


def store(tables: Tables, path: Path) -> None:
    """Writes tables to a file: the SHA-256 of what follows, a line break, a NumPy archive.

    A reader sees the old file or the new one, never a part.

    Args:
        tables: The tables.
        path: The file; its folder is made, private to the user, when it is not there.
    """
    arrays = {
        f"{table}.{name}": values
        for table, columns in tables._asdict().items()
        for name, values in (columns or {}).items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    write_atomically(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def load(path: Path) -> Tables:
    """Reads tables that `store` wrote.

    Raises:
        DataError: When the file is not what was written.
    """
    checksum, _, content = path.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise DataError(f"{path}: the checksum does not fit; the file is damaged.")
    tables: dict[str, dict[str, np.ndarray]] = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        for key in archive.files:
            table, name = key.split(".", 1)
            tables.setdefault(table, {})[name] = archive[key]
    return Tables(tables["ratings"], tables["items"], tables.get("users"))


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file through a temporary one in the same folder, which only the user may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
