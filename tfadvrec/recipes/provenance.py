"""Where a model's data came from, and under which terms."""

import hashlib
import re
from typing import Any

from tfadvrec.recipes.recipe import Recipe

ORIGINS = {"movielens": "GroupLens, University of Minnesota"}
# Terms of the sources that a recipe can name, for the card
LICENCES = {
    "movielens": "GroupLens: research use, no redistribution of the data, no commercial use "
    "without permission; cite Harper and Konstan, ACM TiiS 5(4), 2015. No rating is shipped.",
    "synthetic": "made up by this package; free",
}


def provenance(recipe: Recipe, split: Any) -> dict[str, str]:
    """Name, origin, terms and fingerprint of the data."""
    train, source = split.train, recipe.data["source"]
    return {
        "name": train.name,
        "origin": recipe.data.get("origin") or ORIGINS.get(source) or shareable(train.origin),
        "licence": recipe.data.get("licence") or LICENCES.get(source, "not stated"),
        "fingerprint": fingerprint(split),
    }


def shareable(origin: str) -> str:
    """Where a log came from, without the folders of the machine that read it.

    Example:

    >>> shareable("the files /home/ann lee/shop/may.csv, C:\\\\logs\\\\june.csv")
    'the files may.csv, june.csv'
    >>> shareable("TensorFlow Datasets: movielens/100k-ratings, split train")
    'TensorFlow Datasets: movielens/100k-ratings, split train'
    """
    return re.sub(r"(?<![^\s,])(?:~|[A-Za-z]:)?[/\\][^,]*[/\\]", "", origin)


def fingerprint(split: Any) -> str:
    """One SHA-256 of all parts of a split."""
    parts = [part.fingerprint() for part in split if part is not None]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
