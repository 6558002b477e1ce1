"""A recipe's `[data]` and `[split]` as a split, and where its files lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.schema import ABOUT, RecipeError


def make_split(recipe: Recipe, log: Any = None) -> Any:
    """The recipe's data, split.

    Args:
        recipe: The recipe.
        log: Interactions to split in place of the recipe's data.

    Returns:
        A `Split` of `train`, `validation` (or `None`) and `test`.
    """
    from tfadvrec import data

    settings = {key: value for key, value in recipe.data.items() if key not in ABOUT}
    source = settings.pop("source")
    if log is None and source == "published":
        return data.published_split(**settings)
    if source == "clicks":
        log = make_click_log(settings) if log is None else log
        shares = {key: value for key, value in recipe.split.items() if key != "kind"}
        return data.Split(*log.by_ratio(**shares))
    if log is None:
        log = make_log(source, settings)
    split = dict(recipe.split or {"kind": "leave_last_out"})
    return getattr(data, split.pop("kind"))(log, **split)


def make_log(source: str, settings: Mapping[str, Any]) -> Any:
    """The log that a `[data]` section names."""
    from tfadvrec import data

    settings = dict(settings)
    least, core = settings.pop("minimum_rating", None), settings.pop("k_core", None)
    if source == "movielens":
        log = data.movielens(settings.pop("which", "100k"), **settings)
    elif source == "synthetic":
        log = data.synthetic(**settings)
    else:
        path, layout = settings.pop("path"), settings.pop("layout", "table")
        items = settings.pop("items", None)
        log = _reader(path, layout)(path, **settings)
        log = log if items is None else _described(log, items)
    if least is not None:
        if log.rating is None:
            raise RecipeError("[data] minimum_rating needs a log with ratings; this one has none.")
        log = log.take(log.rating >= least)
    return log if core is None else data.k_core(log, core)


def _described(log: Any, items: Mapping[str, Any]) -> Any:
    """The log with the features that a table of items has; the first column is their ids."""
    from tfadvrec.data import read_table

    items = dict(items)
    how = {key: items.pop(key) for key in ("lists", "missing") if key in items}
    return log.with_features(items=read_table(items.pop("path"), **items), **how)


def _reader(path: str, layout: str) -> Any:
    """What reads a file of a layout."""
    from tfadvrec.data import Interactions

    if layout == "lists":
        return Interactions.from_lists
    parquet = path.endswith((".parquet", ".pq"))
    return Interactions.from_parquet if parquet else Interactions.from_csv


def located(settings: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """A `[data]` section with its files at a place: one file, or a folder that has them.

    Example:

    >>> located({"source": "file", "path": "a/log.csv"}, Path("/data/mine.csv"))["path"]
    '/data/mine.csv'
    """
    named = {key: settings[key] for key in ("train", "validation", "test") if key in settings}
    if not named:
        inside = settings["source"] in ("file", "clicks") and place.is_dir()
        path = place / Path(settings["path"]).name if inside else place
        items = dict(settings.get("items", {}))
        if items:
            items["path"] = str(path.parent / Path(items["path"]).name)
        return {**settings, "path": str(path), **({"items": items} if items else {})}
    return {**settings, **{key: str(place / Path(file).name) for key, file in named.items()}}


def make_click_log(settings: Mapping[str, Any]) -> Any:
    """The impressions that a `[data]` section of clicks names, with negatives where it asks."""
    from tfadvrec import data

    settings = {"label": None, **settings}
    per, choice = settings.pop("negatives", 0), settings.pop("choice", None)
    seed = settings.pop("seed", 0)
    if bool(per) != (choice is not None):
        raise RecipeError("[data] negatives and choice (the field that is drawn) go together.")
    log = data.ClickLog.from_csv(settings.pop("path"), **settings)
    return data.with_negatives(log, choice, per=per, seed=seed) if per else log
