"""The process that lets TensorFlow Datasets download MovieLens, so that it can be ended in time."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.cache import store
from tfadvrec.data.from_datasets import per_id, read_dataset
from tfadvrec.data.grouplens import Tables, read_folder

_RATINGS = {"user": "user_id", "item": "movie_id", "rating": "user_rating", "time": "timestamp"}
_ITEMS = {"title": "movie_title", "genre": "movie_genres"}
_USERS = {"age": "raw_user_age", "gender": "user_gender", "occupation": "user_occupation_text"}


def tables_of(builder: Any) -> Tables:
    """Reads the tables of a prepared MovieLens builder (`...-ratings`).

    Args:
        builder: The builder; what it does not have yet it downloads.
    """
    names = {**_RATINGS, **_ITEMS}
    has_users = _USERS["age"] in builder.info.features
    if has_users:
        names |= _USERS
    read, _ = read_dataset(builder, names.values(), download=False)
    columns = {name: read[column] for name, column in names.items()}
    user, item = (columns[side].astype(np.int64) for side in ("user", "item"))
    ratings = {"user": user, "item": item}
    ratings["rating"] = columns["rating"].astype(np.float32)
    ratings["time"] = columns["time"].astype(np.int64)
    ids, titles = per_id(item, columns["title"])
    genres = per_id(item, columns["genre"])[1]
    items = {"id": ids, "title": titles, "genre": np.array(["|".join(row) for row in genres])}
    if not has_users:
        return Tables(ratings, items, None)
    ids, ages = per_id(user, columns["age"].astype(np.float32))
    male = per_id(user, columns["gender"])[1].astype(bool)
    work = per_id(user, columns["occupation"])[1]
    gender = np.where(male, "M", "F")
    return Tables(ratings, items, {"id": ids, "age": ages, "gender": gender, "occupation": work})


def fetch(builder: Any, which: str) -> Tables:
    """Reads a set that is prepared already, or downloads it and reads what was published.

    The download and its checksums are TensorFlow Datasets' own. Preparing its records from it
    takes more than a minute and changes nothing, so the files are read as they are.

    Args:
        builder: The MovieLens builder (`...-ratings`).
        which: `"100k"` or `"latest-small"`.
    """
    import tensorflow_datasets as tfds

    if builder.data_path.exists():
        print("downloaded", flush=True)
        return tables_of(builder)
    downloads = tfds.download.DownloadManager(
        download_dir=builder.data_dir_root / "downloads",
        url_infos=builder.url_infos,
        dataset_name=builder.name,
        force_checksums_validation=True,
    )
    folder = downloads.download_and_extract(builder.builder_config.download_url)
    print("downloaded", flush=True)
    return read_folder(Path(folder), which)


def main(which: str, target: str) -> None:
    """Says how far it is, and leaves the tables in a file."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(f"movielens/{which}-ratings")
    print("ready", flush=True)
    store(fetch(builder, which), Path(target))
    print("prepared", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
