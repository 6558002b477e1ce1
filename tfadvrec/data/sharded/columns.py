"""Columns of one length in a folder, one NumPy file each; slices are read without the rest."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

ROLES = ("user", "item", "rating", "time")
STARTS = "starts"


def write_columns(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Writes columns into a folder, which is made; what a broken attempt left is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)


def read_columns(
    folder: Path, part: slice = slice(None), names: Iterable[str] = ROLES
) -> dict[str, np.ndarray]:
    """Reads those columns of a log that are in a folder, or some of their rows."""
    found = {}
    for name in names:
        path = folder / f"{name}.npy"
        if path.exists():
            found[name] = np.array(np.load(path, mmap_mode="r", allow_pickle=False)[part])
    return found


def deal(folder: Path, columns: Mapping[str, np.ndarray], shards: int) -> None:
    """Writes rows by the shard of their user, `user % shards`, and where each shard begins."""
    shard = columns["user"] % np.int32(shards)
    starts = np.concatenate([[0], np.cumsum(np.bincount(shard, minlength=shards))])
    order = np.argsort(shard, kind="stable")
    dealt = {name: values[order] for name, values in columns.items()}
    write_columns(folder, {**dealt, STARTS: starts})


def dealt_to(folders: Iterable[Path], shard: int) -> dict[str, np.ndarray]:
    """Reads a shard's rows out of every folder that `deal` wrote, in the order of the folders."""
    parts = []
    for folder in folders:
        starts = np.load(folder / f"{STARTS}.npy", mmap_mode="r", allow_pickle=False)
        parts.append(read_columns(folder, slice(int(starts[shard]), int(starts[shard + 1]))))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
