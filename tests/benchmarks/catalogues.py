"""Logs whose items have text: MovieLens, MovieTweetings, reviews of musical instruments."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

import tfadvrec as tar
from tests.benchmarks.fine_tuning import latest_small, movietweetings
from tfadvrec.data import Interactions, Split, leave_last_out, title_year


def ml_100k(folder: pathlib.Path) -> Interactions:
    """MovieLens-100K with titles, years and genres."""
    return tar.data.movielens("100k", path=folder / "ml-100k")


def musical_instruments(folder: pathlib.Path) -> Interactions:
    """Amazon reviews of musical instruments; the text of each is a column `review`."""
    path = folder / "musical-instruments" / "Musical_Instruments.json"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    log = Interactions.from_arrays(
        [row["reviewerID"] for row in rows],
        [row["asin"] for row in rows],
        time=[row["unixReviewTime"] for row in rows],
    )
    texts = [f"{row.get('summary', '')} {row.get('reviewText', '')}" for row in rows]
    by_place = {
        (row["reviewerID"], row["asin"]): text for row, text in zip(rows, texts, strict=True)
    }
    users, items = log.user_ids[log.user].tolist(), log.item_ids[log.item].tolist()
    reviews = [by_place[pair] for pair in zip(users, items, strict=True)]
    return log.replace(columns={"review": np.array(reviews)})


LOGS: dict[str, Callable[[pathlib.Path], Interactions]] = {
    "ml-100k": ml_100k,
    "ml-latest-small": latest_small,
    "movietweetings": movietweetings,
    "musical-instruments": musical_instruments,
}


def with_items(split: Split, features: dict[str, np.ndarray]) -> Split:
    """The split with these features of its items, and no others."""
    return Split(*(part and part.replace(item_features=features) for part in split))


def splits(folder: pathlib.Path, name: str) -> tuple[Split, Split]:
    """Leave-last-out twice: with a validation part to choose on, and without, to measure on.

    Items get a `text` each: title and genres; of musical instruments the reviews of the training
    part. What is computed from interactions comes from the training part alone.
    """
    log = LOGS[name](folder)
    both = (leave_last_out(log, validation=True), leave_last_out(log, validation=False))
    made = reviewed if name == "musical-instruments" else described
    return tuple(with_items(split, made(split.train)) for split in both)


def reviewed(train: Interactions) -> dict[str, np.ndarray]:
    """All training reviews of an item as its text."""
    texts: list[list[str]] = [[] for _ in range(train.n_items)]
    for item, review in zip(train.item.tolist(), train.columns["review"].tolist(), strict=True):
        texts[item].append(review)
    return {"text": np.array([" ".join(parts) for parts in texts])}


def described(train: Interactions) -> dict[str, np.ndarray]:
    """A film's title without year, genres, both, age among the catalogue's, and popularity.

    The age is the square root of the years before the newest film, the popularity ln(1 + count)
    over that of the most popular item: on one scale for all catalogues.
    """
    features = train.item_features
    names, years = title_year(features["title"])
    genres = [" ".join(genre) for genre in features["genre"]]
    age = np.sqrt(np.nanmax(years) - np.where(np.isnan(years), np.nanmean(years), years))
    counts = np.log1p(np.bincount(train.item, minlength=train.n_items))
    return {
        "title": np.array(names),
        "genre": np.array(genres),
        "text": np.array([f"{a} {b}" for a, b in zip(names, genres, strict=True)]),
        "age": age.clip(0, 8).astype(np.float32),
        "popularity": (counts / counts.max()).astype(np.float32),
    }
