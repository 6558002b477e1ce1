"""Numbered versions that appear whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def versions(base: Path) -> dict[int, Path]:
    """Lists the version folders below a base path: those whose name is a number."""
    if not base.is_dir():
        return {}
    return {
        int(child.name): child
        for child in sorted(base.iterdir())
        if re.fullmatch("[0-9]+", child.name) and child.is_dir()
    }


def choose_version(base: Path, version: int | None) -> int:
    """Chooses the number of the next version.

    Args:
        base: The base path; it need not exist.
        version: The number that is wanted; None for the highest plus one.

    Returns:
        A number that is free.

    Raises:
        FileExistsError: If the version is there.
        ValueError: If the number or the base path cannot be meant.
    """
    if base.exists() and not base.is_dir():
        raise ValueError(f"{base} must be a folder that holds numbered versions, it is a file.")
    if (base / "saved_model.pb").exists():
        raise ValueError(
            f"{base} is a version folder. Give the base path above it; the number is added."
        )
    taken = versions(base)
    if version is None:
        return max(taken, default=0) + 1
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"version must be an integer >= 1 or None, got {version!r}.")
    if version in taken:
        raise FileExistsError(
            f"{taken[version]} exists, and a published version is never changed. Take "
            f"version=None for the next free number, {max(taken) + 1}."
        )
    return version


@contextmanager
def staging(base: Path, version: int) -> Iterator[Path]:
    """Gives a folder beside the versions to write in; whatever is left of it is removed.

    Its name is no number, so a model server does not see it.
    """
    made = not base.exists()
    base.mkdir(parents=True, exist_ok=True)
    folder = base / f".tmp-{version}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if made and not any(base.iterdir()):
            base.rmdir()


def publish(folder: Path, base: Path, version: int) -> Path:
    """Flushes a staged folder to the disk and gives it its number in one rename.

    Raises:
        FileExistsError: If somebody else has published that version meanwhile.
    """
    for path in (*folder.rglob("*"), folder):
        flush(path)
    target = base / str(version)
    try:
        os.rename(folder, target)
    except OSError as error:
        if not target.exists():
            raise
        raise FileExistsError(
            f"{target} was published by somebody else meanwhile. Export once more."
        ) from error
    flush(base)
    return target


def flush(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
