"""Writing a folder so that it is complete or not there."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path

from tfadvrec.presets.files import PresetError


def write_file(path: Path, data: bytes) -> None:
    """Writes a new file and has it reach the disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(folder: str | os.PathLike, *, known: Collection[str]) -> Iterator[Path]:
    """Gives a temporary folder that takes the place of `folder` when the block ends well.

    The temporary folder lies beside the final one, so that the last step is a rename. When the
    block raises, it is removed and `folder` is what it was: nothing is ever half-written.

    Args:
        folder: The folder to create or replace.
        known: The names that a folder made by the caller can hold. A folder with anything else in
        it
            is somebody's, and is not replaced.

    Yields:
        The temporary folder.

    Raises:
        PresetError: When `folder` holds other things, or cannot be written.
    """
    folder = check_replaceable(folder, known=known)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        _sync_folder(temporary)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(folder: str | os.PathLike, *, known: Collection[str]) -> Path:
    """Makes sure that `replacing` would replace a folder, before hours of work are put in it.

    Returns:
        The folder's absolute path.

    Raises:
        PresetError: When `folder` holds other things or is none.
    """
    folder = Path(os.path.abspath(folder))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise PresetError(f"{folder} exists and is not a folder; choose another place.")
    strange = (
        sorted(p.name for p in folder.iterdir() if not any(fnmatch(p.name, k) for k in known))
        if folder.exists()
        else []
    )
    if strange:
        raise PresetError(
            f"{folder} holds other things ({', '.join(strange[:5])}) and is not replaced. "
            "Choose a new or an empty folder."
        )
    return folder


def _swap(temporary: Path, folder: Path) -> None:
    """Puts `temporary` in the place of `folder`; the earlier folder comes back if that fails."""
    if not folder.exists():
        os.rename(temporary, folder)
    else:
        earlier = temporary.with_suffix(".old")
        os.rename(folder, earlier)
        try:
            os.rename(temporary, folder)
        except OSError:
            os.rename(earlier, folder)
            raise
        shutil.rmtree(earlier)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Has a folder's entries reach the disk, where the system can be asked to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
