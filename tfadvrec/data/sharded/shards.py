"""One shard: all that every `shards`-th user did, sorted by user, in the order of the log."""

from pathlib import Path

import numpy as np

from tfadvrec.data.assembly import RawLog, unrepeated
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.ordering import stable_sort
from tfadvrec.data.sharded.columns import dealt_to, read_columns, write_columns
from tfadvrec.data.sharded.pieces import SHARDS, SIDES, home, homes
from tfadvrec.data.sharded.records import write_records
from tfadvrec.data.sharded.tally import Tally
from tfadvrec.data.splitting import leave_last_out

BUCKETS = 1 << 16


def gather(
    shard: int, *, folder: Path, stage: str, pieces: int, duplicates: str, sizes: tuple[int, int]
) -> Tally:
    """Puts a shard together out of what was dealt, and treats repeated pairs.

    Args:
        shard: Which shard.
        folder: The folder of the preparation.
        stage: Where it was dealt.
        pieces: How many files were dealt there.
        duplicates: As in `Interactions.from_arrays`.
        sizes: How many users and items there are.

    Returns:
        How many interactions each user and item has, and what was dropped.
    """
    columns = dealt_to(homes(folder, stage, pieces), shard)
    order = stable_sort(columns["user"])[1]
    columns = {name: values[order] for name, values in columns.items()}
    found = len(order)
    if found:
        raw = RawLog({}, "the log", lambda rows: _pair_names(folder, columns, rows))
        stays = unrepeated(raw, duplicates, columns, slice(None), None)
        if stays is not None:
            columns = {name: values[stays] for name, values in columns.items()}
    write_columns(home(folder, SHARDS, shard), columns)
    fact = {"rows": len(columns["user"]), "repeated": found - len(columns["user"])}
    for name in ("rating", "time"):
        if fact["rows"] and name in columns:
            fact[name] = [columns[name].min().item(), columns[name].max().item()]
    return Tally(counts=_counts(columns, sizes), facts=[fact])


def core(shard: int, *, folder: Path, sizes: tuple[int, int]) -> Tally:
    """Counts the interactions whose user and item are both still in the core."""
    columns = read_columns(home(folder, SHARDS, shard), names=SIDES)
    fine = [np.load(folder / f"{side}-fine.npy")[columns[side]] for side in SIDES]
    keep = fine[0] & fine[1]
    return Tally(counts=_counts({side: columns[side][keep] for side in SIDES}, sizes))


def time_counts(shard: int, *, folder: Path, low: int, high: int, width: int) -> Tally:
    """Counts the times from `low` to `high` in buckets of `width` seconds."""
    time = read_columns(home(folder, SHARDS, shard), names=("time",))["time"]
    time = time[(time >= low) & (time <= high)]
    return Tally(counts={"bucket": np.bincount((time - low) // width, minlength=BUCKETS)})


def write(
    shard: int,
    *,
    folder: Path,
    target: Path,
    shards: int,
    split: str | None,
    cuts: dict[str, int],
    validation: bool,
    sizes: tuple[int, int],
) -> Tally:
    """Writes the parts of a shard as the prepared set has them.

    Returns:
        Each part's counts of users and items, and a fact for every file.
    """
    columns = read_columns(home(folder, SHARDS, shard))
    counts, facts = {}, []
    for part, rows in _parts(columns, split, cuts, validation, sizes).items():
        own = {name: values[rows] for name, values in columns.items()}
        counts |= {f"{part}-{side}": n for side, n in _counts(own, sizes).items()}
        fact = write_records(target, part, shard, shards, own)
        facts.append({**fact, "most": _most(own, sizes)})
    return Tally(counts=counts, facts=facts)


def _parts(
    columns: dict[str, np.ndarray],
    split: str | None,
    cuts: dict[str, int],
    validation: bool,
    sizes: tuple[int, int],
) -> dict[str, np.ndarray]:
    """Part -> which rows it has, a mask or positions."""
    if split is None or not len(columns["user"]):
        names = ["train", *(["validation"] if validation else []), "test"]
        return {name: slice(None) for name in (names if split else names[:1])}
    if split == "by_time":
        late = columns["time"] >= cuts["test"]
        middle = (columns["time"] >= cuts.get("validation", cuts["test"])) & ~late
        parts = {"train": ~(late | middle), "validation": middle, "test": late}
    else:
        place = {"row": np.arange(len(columns["user"]))}
        ids = [np.arange(size) for size in sizes]
        log = Interactions(**columns, columns=place, user_ids=ids[0], item_ids=ids[1])
        held = leave_last_out(log, validation=validation)
        found = zip(held._fields, held, strict=True)
        parts = {name: log.columns["row"] for name, log in found if log is not None}
    return parts if validation else {n: rows for n, rows in parts.items() if n != "validation"}


def _counts(columns: dict[str, np.ndarray], sizes: tuple[int, int]) -> dict[str, np.ndarray]:
    return {
        side: np.bincount(columns[side], minlength=size)
        for side, size in zip(SIDES, sizes, strict=True)
    }


def _most(columns: dict[str, np.ndarray], sizes: tuple[int, int]) -> list[int]:
    """How many different items the user with the most of them has, and which user that is."""
    if not len(columns["user"]):
        return [0, 0]
    pairs = np.unique(columns["user"] * np.int64(sizes[1]) + columns["item"])
    user, items = np.unique(pairs // sizes[1], return_counts=True)
    return [int(items.max()), int(user[items.argmax()])]


def _pair_names(folder: Path, columns: dict[str, np.ndarray], rows: np.ndarray) -> list[str]:
    ids = [np.load(folder / f"{side}-ids.npy", allow_pickle=False) for side in SIDES]
    user, item = (ids[n][columns[side][rows]].tolist() for n, side in enumerate(SIDES))
    return [f"user {u!r} with item {i!r}" for u, i in zip(user, item, strict=True)]
