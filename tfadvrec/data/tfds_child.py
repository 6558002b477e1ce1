"""The process that lets TensorFlow Datasets download MovieLens, so that it can be ended in time."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.cache import store
from tfadvrec.data.from_datasets import per_id, read_dataset
from tfadvrec.data.grouplens import Tables

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


def main(which: str, target: str) -> None:
    """Downloads, says so, prepares, says so, and leaves the tables in a file."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(f"movielens/{which}-ratings")
    print("ready", flush=True)
    if not builder.data_path.exists():
        downloads = tfds.download.DownloadManager(
            download_dir=builder.data_dir_root / "downloads",
            url_infos=builder.url_infos,
            dataset_name=builder.name,
        )
        downloads.download_and_extract(builder.builder_config.download_url)
    print("downloaded", flush=True)
    builder.download_and_prepare()
    store(tables_of(builder), Path(target))
    print("prepared", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
