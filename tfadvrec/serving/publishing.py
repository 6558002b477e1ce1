"""Numbered versions that appear whole or not at all, and are withdrawn in one rename."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHDRAWN = ".withdrawn-"


def versions(base: Path) -> dict[int, Path]:
    """Lists the version folders below a base path: those whose name is a number."""
    return numbered(base, "")


def withdrawn(base: Path) -> dict[int, Path]:
    """Lists the versions that were withdrawn: number -> `.withdrawn-<number>`."""
    return numbered(base, WITHDRAWN)


def numbered(base: Path, prefix: str) -> dict[int, Path]:
    """Lists the folders whose name is a prefix and a number."""
    if not base.is_dir():
        return {}
    return {
        int(child.name.removeprefix(prefix)): child
        for child in sorted(base.iterdir())
        if re.fullmatch(re.escape(prefix) + "[0-9]+", child.name) and child.is_dir()
    }


def find_version(path: Path) -> Path:
    """Finds the version folder that a path means.

    Args:
        path: A version folder, or a base path, which means its newest version.

    Raises:
        FileNotFoundError: If it is neither.
    """
    if (path / "saved_model.pb").exists() or (path / "assets.extra").exists():
        return path
    found = versions(path)
    if not found:
        raise FileNotFoundError(
            f"{path} is neither a version folder (with a saved_model.pb) nor a base path with "
            "numbered versions."
        )
    return found[max(found)]


def choose_version(base: Path, version: int | None) -> int:
    """Chooses the number of the next version.

    Args:
        base: The base path; it need not exist.
        version: The number that is wanted; None for the highest plus one.

    Returns:
        A number that was never taken, not even by a version that is withdrawn now: a server or a
        client may remember what it meant.

    Raises:
        FileExistsError: If the version is there or was withdrawn.
        ValueError: If the number or the base path cannot be meant.
    """
    if base.exists() and not base.is_dir():
        raise ValueError(f"{base} must be a folder that holds numbered versions, it is a file.")
    if (base / "saved_model.pb").exists():
        raise ValueError(
            f"{base} is a version folder. Give the base path above it; the number is added."
        )
    taken = withdrawn(base) | versions(base)
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
        FileExistsError: If somebody else has published that version meanwhile, or withdrawn it.
    """
    for path in (*folder.rglob("*"), folder):
        flush(path)
    target = base / str(version)
    if version in withdrawn(base):
        raise FileExistsError(f"{target} was withdrawn meanwhile. Export once more.")
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


def rollback(base: str | Path, to: int | None = None) -> Path:
    """Withdraws the newest version, so that a server goes back to the one before.

    A withdrawn version is renamed to `.withdrawn-<number>`, which is no version to a server: one
    with the default policy (the latest version) loads the highest number that is left, and then
    unloads the other. Nothing is deleted, and the number is never given again. Of several versions
    the newest goes last: until then a server keeps what it serves, and after it the right version
    is the newest. If the process is killed between, the same call with `to` does the rest.

    Args:
        base: The base path.
        to: The version to go back to; the one before the newest by default.

    Returns:
        The version folder that is the newest now.

    Raises:
        FileNotFoundError: If there is no version below `base`, or no version `to`.
        ValueError: If there is none to go back to.
    """
    base = Path(base)
    found = versions(base)
    if not found:
        raise FileNotFoundError(f"{base} has no numbered versions; give the base path above them.")
    if to is not None and to not in found:
        back = f" Version {to} was withdrawn: restore it." if to in withdrawn(base) else ""
        raise FileNotFoundError(f"{base} has no version {to}, it has {sorted(found)}.{back}")
    earlier = sorted(found)[:-1]
    if not earlier or to == max(found):
        raise ValueError(
            f"{base} has no version to go back to: it has {sorted(found)}, and a server without "
            "any version would answer nobody. Publish another version first."
        )
    target = earlier[-1] if to is None else to
    for number in sorted(number for number in found if number > target):
        move(found[number], base / f"{WITHDRAWN}{found[number].name}")
    return found[target]


def restore(base: str | Path, number: int) -> Path:
    """Brings a withdrawn version back under its number.

    Args:
        base: The base path.
        number: The version's number.

    Returns:
        The version folder. Servers take it if it is the newest.

    Raises:
        FileNotFoundError: If no version of that number was withdrawn.
        FileExistsError: If a version of that number is there.
    """
    base = Path(base)
    found = withdrawn(base)
    if number not in found:
        raise FileNotFoundError(
            f"{base} has no withdrawn version {number}; withdrawn are {sorted(found)}."
        )
    return move(found[number], base / found[number].name.removeprefix(WITHDRAWN))


def move(folder: Path, target: Path) -> Path:
    """Renames a version folder in one step, and waits until that is on the disk."""
    if target.exists():
        raise FileExistsError(f"{target} exists; move it away before {folder} can take its place.")
    os.rename(folder, target)
    flush(target.parent)
    return target


def flush(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
