"""A log larger than memory becomes a prepared set: checked, numbered, filtered, split, sharded."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tfadvrec.data.checks import DataError, FileMissing
from tfadvrec.data.choice import Choice
from tfadvrec.data.several import files_of
from tfadvrec.data.sharded.engine import BeamEngine, Engine
from tfadvrec.data.sharded.plan import Plan
from tfadvrec.data.sharded.preparation import Preparation
from tfadvrec.data.sharded.sharded_log import ShardedLog


def prepare(
    source: str | Path | Sequence[str | Path],
    path: str | Path,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    time: str | int | bool | None = None,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    k_core: int | None = None,
    rounds: int = 100,
    split: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    shard_rows: int = 1_000_000,
    name: str | None = None,
    options: Sequence[str] | None = None,
) -> ShardedLog:
    """Prepares a log that need not fit in memory, with Apache Beam.

    The checks, the vocabularies, the treatment of repeated pairs, the k-core and the split are
    those of `Interactions.from_csv` (or `from_parquet`), `k_core`, and `by_time` or
    `leave_last_out`. In memory are: one file of the source at a time (a worker), the distinct ids
    and a few numbers for each of them, one shard at a time. The interactions themselves go from
    file to file.

    Args:
        source: The shards of the log: files, or a pattern such as `logs/part-*.parquet`. Those
            that end in `.parquet` or `.pq` are Parquet, all others text.
        path: The folder that is made. It appears when it is whole, or not at all.
        user: The column of users, by name or position; see `Interactions.from_csv`, also for the
            arguments from `item` to `invalid`.
        k_core: Fewest interactions of a user and of an item; None keeps all.
        rounds: Most rounds of the k-core.
        split: `"by_time"`, `"leave_last_out"`, or None for no split.
        validation: With `"by_time"`, the share of the interactions just before the test; with
            `"leave_last_out"`, whether the last but one is held out; 0 for none.
        test: With `"by_time"`, the share of the latest interactions.
        shard_rows: About how many interactions a shard of the result holds.
        name: The log's name; that of the folder by default.
        options: Beam's pipeline options, such as `["--runner=FlinkRunner", ...]`; by default
            its direct runner in this process. All workers must see the files and the folder.

    Returns:
        The prepared log's `train` part.

    Raises:
        DataError: When the log cannot be used as it is; the message names files and lines.
        FileExistsError: When there is something at `path`.
        ImportError: When Apache Beam is not installed.
    """
    choice = Choice(
        user=user,
        item=item,
        rating=rating,
        time=time,
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    target = Path(path).absolute()
    plan = Plan(
        choice=choice,
        layout={"separator": separator, "header": header, "encoding": encoding, "quote": quote},
        k_core=k_core,
        rounds=rounds,
        split=split,
        validation=validation,
        test=test,
        shard_rows=shard_rows,
        name=name or target.name,
    )
    return carried_out(_files(source), target, plan, lambda room: BeamEngine(room, options))


def carried_out(
    files: Sequence[Path], target: Path, plan: Plan, engine_in: Callable[[Path], Engine]
) -> ShardedLog:
    """Prepares the files beside the target, and moves the result there when it is whole."""
    if target.exists():
        raise FileExistsError(
            f"{target}: there is something already. A prepared log is never written over: name "
            "another folder, or remove this one."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-unfinished-"))
    try:
        made = Preparation(room, plan, engine_in(room)).run(files)
        os.rename(made, target)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return ShardedLog(target)


def _files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """All files of the source; a folder stands for what lies in it."""
    files: list[Path] = []
    for path in files_of(source):
        inside = sorted(path.iterdir()) if path.is_dir() else None
        if inside is None:
            files.append(path)
        else:  # what begins so is what others leave beside their files
            files += [p for p in inside if p.is_file() and not p.name.startswith((".", "_"))]
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise FileMissing(f"{missing[0]}: there is no such file.")
    if not files:
        raise DataError(f"{source}: there is no file in it.")
    return [path.absolute() for path in files]
