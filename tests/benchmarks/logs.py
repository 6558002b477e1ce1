"""The logs that are trained on: MovieLens-1M where the data is, generated ones elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.benchmarks.context import Context

Log = dict[str, np.ndarray]
SIZE = {"interactions": 994_169, "users": 6_040, "items": 3_706}  # of ml-1m-loo
QUICK = {"interactions": 20_000, "users": 600, "items": 400}


def standard(context: Context) -> tuple[Log, str]:
    """The log of the training parts, and what it is; a small generated one if quick."""
    file = context.data / "ml-1m-loo" / "interactions.npz" if context.data else None
    if context.quick or file is None or not file.exists():
        size = QUICK if context.quick else SIZE
        return generated(**size), f"GENERATED, not real: {_size(size)}, Zipf popularity"
    with np.load(file) as arrays:
        log = {key: arrays[key].astype(np.int32) for key in arrays.files}
    for side in ("user", "item"):
        rows = 1 + max(log[f"train_{side}"].max(), log[f"test_{side}"].max())
        log[f"n_{side}s"] = np.array(rows, np.int64)
    size = {"interactions": len(log["train_user"]), "users": log["n_users"]}
    return log, f"ml-1m-loo (MovieLens-1M): {_size({**size, 'items': log['n_items']})}"


def generated(*, interactions: int, users: int, items: int, seed: int = 0) -> Log:
    """A log of distinct pairs: users at random, items by a Zipf law; an item more a user for tests.

    Items are numbered at random, so that popular rows do not lie side by side.
    """
    wanted = interactions + users
    if wanted > users * items // 2:
        raise ValueError(f"{users} x {items} pairs are too few for {interactions} interactions")
    random = np.random.default_rng(seed)
    edges = np.cumsum(1.0 / np.arange(1, items + 1))
    number = random.permutation(items)
    pairs = np.empty(0, np.int64)
    while len(pairs) < wanted:
        missing = int(1.3 * (wanted - len(pairs))) + 1000
        user = random.integers(users, size=missing)
        rank = np.searchsorted(edges, random.random(missing) * edges[-1], side="right")
        item = number[np.minimum(rank, items - 1)]
        pairs = np.union1d(pairs, user * items + item)
    pairs = random.permutation(pairs)[:wanted]
    test = np.unique(pairs // items, return_index=True)[1]
    train = np.delete(pairs, test)[:interactions]
    return {
        "train_user": (train // items).astype(np.int32),
        "train_item": (train % items).astype(np.int32),
        "test_user": (pairs[test] // items).astype(np.int32),
        "test_item": (pairs[test] % items).astype(np.int32),
        "n_users": np.array(users),
        "n_items": np.array(items),
    }


@contextmanager
def on_disk(log: Log) -> Iterator[Path]:
    """A file that workers read the log from; it is gone afterwards."""
    with TemporaryDirectory(prefix="benchmark-") as room:
        path = Path(room) / "log.npz"
        np.savez(path, **log)
        yield path


def _size(size: dict[str, int]) -> str:
    return ", ".join(f"{int(count):,} {name}" for name, count in size.items())
