"""MovieLens by name: found on this machine, or fetched through tools that the user has."""

from pathlib import Path

import numpy as np

from tfadvrec.data import grouplens
from tfadvrec.data.checks import DataError
from tfadvrec.data.grouplens import Tables
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.titles import title_year

_SAME_GENRE = {"Children's": "Children"}
_NO_GENRE = frozenset({"unknown", "Unknown", "(no genres listed)", ""})


def movielens(
    which: str = "100k", path: str | Path | None = None, *, offline: bool = False
) -> Interactions:
    """Returns a MovieLens set.

    Args:
        which: `"100k"` or `"latest-small"`.
        path: A folder or zip with the files as GroupLens publishes them.
        offline: Whether to leave the network alone.

    Returns:
        The log, sorted by time.

    Raises:
        DataError: When the files at `path` are not the set.
    """
    if which not in grouplens.MEMBERS:
        raise ValueError(f"which: expected one of {', '.join(grouplens.MEMBERS)}, got {which!r}.")
    if path is None:
        raise DataError("movielens: pass path=, a folder or zip of GroupLens.")
    return assemble(grouplens.read_folder(Path(path), which), which, f"the files at {path}")


def assemble(tables: Tables, which: str, origin: str) -> Interactions:
    """Makes the log; whichever way the tables came, it is the same to the last bit."""
    ratings = tables.ratings
    order = np.lexsort((ratings["item"], ratings["user"], ratings["time"]))
    log = Interactions.from_arrays(
        ratings["user"][order],
        ratings["item"][order],
        rating=ratings["rating"][order],
        time=ratings["time"][order],
        time_unit="s",
        duplicates="error",
        name=f"movielens-{which}",
    )
    filled: dict[str, int] = {}
    features = {"item_features": _item_features(tables.items, log.item_ids, filled)}
    if tables.users is not None:
        rows = _rows(tables.users["id"], log.user_ids)
        features["user_features"] = {
            key: values[rows] for key, values in tables.users.items() if key != "id"
        }
    return log.replace(**features, origin=origin, dropped={**log.dropped, **filled})


def _item_features(
    items: dict[str, np.ndarray], ids: np.ndarray, filled: dict[str, int]
) -> dict[str, np.ndarray]:
    rows = _rows(items["id"], ids)
    titles = np.array([title.strip() for title in items["title"][rows].tolist()])
    _, years = title_year(titles)
    unknown = np.isnan(years)
    if unknown.any():
        years[unknown] = np.rint(years[~unknown].mean(dtype=np.float64))
        filled["items without year, given the mean year"] = int(unknown.sum())
    genres = np.empty(len(rows), object)
    genres[:] = [_genres(text) for text in items["genre"][rows].tolist()]
    return {"title": titles, "year": years, "genre": genres}


def _genres(joined: str) -> tuple[str, ...]:
    names = {_SAME_GENRE.get(name, name) for name in joined.split("|")}
    return tuple(sorted(names - _NO_GENRE))


def _rows(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    order = np.argsort(table, kind="stable")
    place = np.minimum(np.searchsorted(table, ids, sorter=order), len(table) - 1)
    rows = order[place]
    if not (table[rows] == ids).all():
        raise DataError(f"no features for id {ids[table[rows] != ids][0]}: the files do not fit.")
    return rows
