"""A movie log for a program: MovieLens, a file, or a made-up log that says so."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from tfadvrec import data as logs


def load_log(source: Any = "movielens") -> logs.Interactions:
    """Returns a log with ratings.

    Args:
        source: A log; `"movielens"` (100k, or the made-up log where it cannot be had: `real` is
            then False, and a line on the standard error says why); `"synthetic"`; the path of a
            MovieLens-100K folder or zip; or the path of a text file with a rating column.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The log has no ratings.
    """
    log = _found(source)
    if log.rating is None:
        raise logs.DataError(
            f"{log.name}: this program needs ratings, and the log has none. Read it with "
            "rating=<column>."
        )
    return log


def _found(source: Any) -> logs.Interactions:
    if isinstance(source, logs.Interactions):
        return source
    if source == "synthetic":
        return logs.synthetic()
    if source == "movielens":
        try:
            return logs.movielens("100k")
        except logs.SourceUnavailable as error:
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(f"NOT REAL DATA: {error}", markup=False)
            console.print("NOT REAL DATA: going on with a made-up log.", markup=False)
            return logs.synthetic()
    if not os.path.exists(source):
        raise FileNotFoundError(2, "there is no such log", str(source))
    if os.path.isdir(source) or str(source).endswith(".zip"):
        return logs.movielens("100k", path=source)
    return logs.Interactions.from_csv(Path(source))


def described(log: logs.Interactions) -> dict[str, Any]:
    """What a record says of a log."""
    return {
        "name": log.name,
        "origin": log.origin,
        "real": log.real,
        "interactions": len(log),
        "users": log.n_users,
        "items": log.n_items,
    }
