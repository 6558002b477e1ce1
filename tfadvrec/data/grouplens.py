"""MovieLens files as GroupLens lays them out, in a folder or a zip."""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from tfadvrec.data.checks import DataError

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""The genre columns of `u.item`, in order."""

MEMBERS = {
    "100k": ("u.data", "u.item", "u.user"),
    "latest-small": ("ratings.csv", "movies.csv"),
}
"""The files of each set that are read."""

_LARGEST_MEMBER = 64 * 2**20


class Tables(NamedTuple):
    """A set as plain columns, before ids become rows.

    Attributes:
        ratings: `user`, `item` (int64), `rating`, `time`.
        items: `id`, `title`, `genre` (texts joined by `|`).
        users: `id`, `age`, `gender`, `occupation`; None where the set has no user table.
    """

    ratings: dict[str, np.ndarray]
    items: dict[str, np.ndarray]
    users: dict[str, np.ndarray] | None


def read_folder(path: Path, which: str) -> Tables:
    """Reads a set from the folder or zip that GroupLens publishes.

    Args:
        path: A folder, or a `.zip` with the files at any depth.
        which: `"100k"` or `"latest-small"`.

    Returns:
        The set's tables.

    Raises:
        DataError: When files are missing or are not what their names say.
    """
    files = {name: _member(path, name) for name in MEMBERS[which]}
    try:
        return _parse_100k(files) if which == "100k" else _parse_latest(files)
    except (pa.ArrowInvalid, UnicodeDecodeError, ValueError, IndexError, KeyError) as error:
        raise DataError(
            f"{path}: not the files of MovieLens {which} ({error}). Expected GroupLens's own "
            f"{', '.join(MEMBERS[which])}."
        ) from None


def _member(path: Path, name: str) -> bytes:
    if path.is_dir():
        found = [place for place in (path / name, *path.glob(f"*/{name}")) if place.is_file()]
        if found:
            return found[0].read_bytes()
    elif path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.rsplit("/", 1)[-1] == name:
                    if entry.file_size > _LARGEST_MEMBER:
                        raise DataError(f"{path}: {name} would unpack to {entry.file_size} bytes.")
                    return archive.read(entry)
    else:
        raise DataError(f"{path}: expected a folder or a zip file of MovieLens.")
    raise DataError(f"{path}: there is no {name} in it. Expected GroupLens's folder or zip.")


def _parse_100k(files: dict[str, bytes]) -> Tables:
    items = [line.split("|") for line in files["u.item"].decode("latin-1").splitlines() if line]
    genres = [[g for g, on in zip(GENRES, row[5:], strict=True) if on == "1"] for row in items]
    users = [line.split("|") for line in files["u.user"].decode("latin-1").splitlines() if line]
    return Tables(
        parse_ratings(files["u.data"]),
        {
            "id": np.array([int(row[0]) for row in items], np.int64),
            "title": np.array([row[1] for row in items]),
            "genre": np.array(["|".join(row) for row in genres]),
        },
        {
            "id": np.array([int(row[0]) for row in users], np.int64),
            "age": np.array([float(row[1]) for row in users], np.float32),
            "gender": np.array([row[2] for row in users]),
            "occupation": np.array([row[3] for row in users]),
        },
    )


def parse_ratings(content: bytes) -> dict[str, np.ndarray]:
    """Parses the lines `user, item, rating, time` of `u.data`, separated by tabs."""
    names = ["user", "item", "rating", "time"]
    kinds = {"user": pa.int64(), "item": pa.int64(), "rating": pa.float32(), "time": pa.int64()}
    table = pacsv.read_csv(
        io.BytesIO(content),
        read_options=pacsv.ReadOptions(column_names=names),
        parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pacsv.ConvertOptions(column_types=kinds),
    )
    return {name: table[name].to_numpy() for name in names}


def _parse_latest(files: dict[str, bytes]) -> Tables:
    ratings = pacsv.read_csv(io.BytesIO(files["ratings.csv"]))
    movies = pacsv.read_csv(io.BytesIO(files["movies.csv"]))
    return Tables(
        {
            "user": ratings["userId"].to_numpy(),
            "item": ratings["movieId"].to_numpy(),
            "rating": ratings["rating"].to_numpy().astype(np.float32),
            "time": ratings["timestamp"].to_numpy(),
        },
        {
            "id": movies["movieId"].to_numpy(),
            "title": np.array(movies["title"].to_pylist(), np.str_),
            "genre": np.array(movies["genres"].to_pylist(), np.str_),
        },
        None,
    )
