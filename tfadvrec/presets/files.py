"""The files of a preset: their names, how large they may be, and how they are read."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = "config.json"  # registered class name and constructor arguments
RECIPE = "recipe.toml"  # how the preset is rebuilt
USER_IDS = "user_ids.txt"  # line r is the caller's id of user row r
ITEM_IDS = "item_ids.txt"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"  # optional: accumulators, to continue a training
METRICS = "metrics.json"
PROBE = "probe.npz"  # a few inputs and the scores they must give
HEALTH = "health.json"  # of a game: what was watched while it was played
CURVES = "health.png"
MANIFEST = "manifest.json"  # sha-256 and size of each file above
CARD = "README.md"  # for people; never parsed, so not in the manifest

_MB = 1024 * 1024
# The most bytes of each file that are read: a folder cannot make its reader run out of memory.
LIMITS = {
    CONFIG: 4 * _MB,
    RECIPE: _MB,
    USER_IDS: 1024 * _MB,
    ITEM_IDS: 1024 * _MB,
    WEIGHTS: 16384 * _MB,
    OPTIMIZER: 32768 * _MB,
    METRICS: 16 * _MB,
    PROBE: 16 * _MB,
    HEALTH: 4 * _MB,
    CURVES: 4 * _MB,
    MANIFEST: _MB,
}
NAMES = frozenset(LIMITS) | {CARD}
HASH = hashlib.sha256


class PresetError(ValueError):
    """A preset that cannot be found, read, trusted or written."""


def read_file(folder: Path, name: str, *, limit: int | None = None) -> bytes:
    """Reads one regular file of a folder, following no link and no more than its limit.

    Args:
        folder: The preset's folder.
        name: One of this module's file names.
        limit: Most bytes; the name's own limit when `None`.

    Returns:
        The bytes.

    Raises:
        PresetError: When the file is missing, is no regular file, or is too large.
    """
    limit = LIMITS[name] if limit is None else limit
    path = folder / name
    try:
        kind = os.lstat(path)
    except FileNotFoundError:
        raise PresetError(f"{folder} has no {name}: it is incomplete or no preset.") from None
    if not stat.S_ISREG(kind.st_mode):
        raise PresetError(
            f"{path} is not a regular file. A preset holds plain files only: no links, folders or "
            "devices."
        )
    if os.path.realpath(path) != os.path.join(os.path.realpath(folder), name):
        raise PresetError(f"{path} leads out of its folder; it is not read.")
    # Opened without following a link that was put there since, and without waiting on a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno())
        if not stat.S_ISREG(size.st_mode) or size.st_size > limit:
            raise PresetError(f"{path} has {size.st_size:,} bytes; at most {limit:,} are read.")
        data = file.read(size.st_size + 1)
    if len(data) > size.st_size:
        raise PresetError(f"{path} grew while it was read.")
    return data


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Parses a JSON object strictly: UTF-8, no repeated key, no NaN or Infinity.

    Args:
        data: The bytes of the file.
        name: What to call it in an error.

    Raises:
        PresetError: When it is not such an object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            raise PresetError(f"{name} repeats the keys {twice[:5]}.")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise PresetError(f"{name} holds {constant}, which is no JSON number.")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise PresetError(f"{name} is not valid JSON ({error}): truncated or damaged.") from error
    if not isinstance(value, dict):
        raise PresetError(f"{name} must hold a JSON object, not a {type(value).__name__}.")
    return value


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """A JSON object as readable, reproducible UTF-8 bytes."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def manifest_of(files: Mapping[str, bytes], **facts: Any) -> dict[str, Any]:
    """The manifest of a preset: format, hash and size of each file, and facts."""
    listed = {
        name: {"sha256": HASH(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(files.items())
    }
    return {"format": 1, "files": listed, **facts}


def verified_files(folder: Path, *, sha256: str | None = None) -> tuple[dict, dict[str, bytes]]:
    """Reads a preset's manifest and every file that it lists, and proves the bytes read.

    What is hashed is what is returned, so nothing can change between the check and the parse.

    Args:
        folder: The preset's folder.
        sha256: The manifest's own hash, where the caller pins one.

    Returns:
        The manifest and the bytes by file name.

    Raises:
        PresetError: When a file is missing, truncated, altered, oversized or not plain.
    """
    raw = read_file(folder, MANIFEST)
    if sha256 is not None and HASH(raw).hexdigest() != sha256.lower():
        raise PresetError(f"{folder / MANIFEST} is not the pinned one: its sha-256 differs.")
    manifest = parse_json(raw, str(folder / MANIFEST))
    files = manifest.get("files")
    if manifest.get("format") != 1 or not isinstance(files, dict):
        raise PresetError(f"{folder / MANIFEST} is not a format 1 manifest.")
    contents = {}
    for name, entry in files.items():
        if name not in LIMITS or name == MANIFEST:
            raise PresetError(
                f"{folder / MANIFEST} lists {name[:80]!r}; a preset holds only "
                f"{', '.join(sorted(set(LIMITS) - {MANIFEST}))}."
            )
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if type(size) is not int or not 0 <= size <= LIMITS[name]:
            raise PresetError(
                f"{folder / MANIFEST} gives {name} a size of {size!r}; at most "
                f"{LIMITS[name]:,} bytes are read."
            )
        data = read_file(folder, name, limit=LIMITS[name])
        if len(data) != size:
            raise PresetError(
                f"{folder / name} has {len(data):,} bytes and the manifest says {size:,}: it is "
                "truncated or was changed. Get the preset again, or rebuild it from its recipe."
            )
        if HASH(data).hexdigest() != entry.get("sha256"):
            raise PresetError(
                f"{folder / name} does not have the sha-256 of the manifest: it was changed. Get "
                "the preset again, or rebuild it from its recipe."
            )
        contents[name] = data
    return manifest, contents
