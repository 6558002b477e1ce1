"""What `tfadvrec fit`, `evaluate` and `audit` do: a recipe on a user's own log."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfadvrec.presets.replacing import check_replaceable
from tfadvrec.recipes.measures import measuring_of
from tfadvrec.recipes.measuring import QUICK_BASELINES
from tfadvrec.recipes.recipe import Recipe, load_recipe
from tfadvrec.recipes.run_folder import NAMES, RunFolder, save_run
from tfadvrec.recipes.running import Progress, run_recipe
from tfadvrec.recipes.schema import SPLIT, RecipeError, unknown

DEFAULT = "mf_apr_ml_100k"
SHOWN = ("hr", "ndcg", "coverage")
BASELINES = ("MostPopular", "ItemKNN", "EASE")
LARGEST_EASE = 10_000  # items; its matrix grows with their square


def fitting_recipe(
    log: str | None,
    *,
    recipe: str | None = None,
    preset: str | None = None,
    options: Mapping[str, Any] | None = None,
    split: str | None = None,
    epochs: int | None = None,
) -> Recipe:
    """The recipe of a fit, before anything heavy is loaded.

    Args:
        log: The log's file, or `None` for the recipe's own data.
        recipe: A recipe's file, or a zoo preset's name.
        preset: A preset whose recipe is followed.
        options: How the log is read.
        split: Kind of split, in place of the recipe's.
        epochs: Epochs in all, in place of the recipe's.

    Raises:
        FileNotFoundError: When there is no such log.
        RecipeError: When neither log nor recipe is given, or the recipe cannot be meant.
    """
    if log is None and recipe is None:
        raise RecipeError("there is nothing to fit: give a log, or --recipe with data of its own.")
    if log is not None and not os.path.exists(log):
        raise FileNotFoundError(2, "there is no such log", log)
    chosen = load_recipe(recipe if recipe is not None else preset or DEFAULT)
    if log is not None:
        chosen = chosen.replace(
            name=Path(log).name.partition(".")[0] or "log",
            data={"source": "file", "path": log, **(options or {})},
            description="",
            twin=None,
            text="",
        )
    if split is not None:
        kind = split.replace("-", "_")
        if kind not in SPLIT:
            raise RecipeError(unknown("fit", split, SPLIT, what="split"))
        chosen = chosen.replace(split={"kind": kind}, text="")
    return chosen if epochs is None else scaled(chosen, epochs)


def scaled(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with other epochs in all, shared out as before; at least one a stage."""
    if epochs < 1:
        raise RecipeError(f"epochs must be 1 or more; got {epochs}.")
    if recipe.closed_form:
        raise RecipeError(f"{recipe.name} is fitted in closed form and has no epochs.")
    stages = tuple(
        {**stage, "epochs": max(1, round(stage["epochs"] * epochs / recipe.epochs))}
        for stage in recipe.stages
    )
    return recipe.replace(stages=stages, text="")


def fit_log(
    recipe: Recipe,
    folder: str | os.PathLike,
    *,
    preset: str | None = None,
    id_map: str | None = None,
    seed: int | None = None,
    twin: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Runs a recipe, measures it, and writes the run.

    Args:
        recipe: The recipe, with the data to fit.
        folder: Where the run goes.
        preset: A preset to go on from; model and twin both do.
        id_map: How its items are matched: `"identity"`, or a CSV of new id and preset id.
        seed: The training seed.
        twin: Whether to train the undefended twin of an adversarial recipe, too.
        progress: Called with a text, how much is done, and of how much.

    Returns:
        `{"users", "models": {name: {metric: {"value", "low", "high"}}}, "seconds", "path"}`.
    """
    from tfadvrec.recipes.making import makes_behaviour
    from tfadvrec.recipes.making_data import make_split

    check_replaceable(folder, known=NAMES)
    if recipe.task == "clicks":
        raise RecipeError(
            f"{recipe.name} learns from clicks, and a run keeps users, items and their split. "
            "`tfadvrec zoo train RECIPE --output FOLDER` trains, measures and stores such a model."
        )
    if makes_behaviour(recipe):
        raise RecipeError(
            f"{recipe.name} makes behaviour and ranks nothing. To train such a generator on a log "
            "of yours: `tfadvrec generate --log LOG`."
        )
    split = make_split(recipe)
    check_split(split)
    start = (lambda: _start(preset, split.train, id_map)) if preset else (lambda: None)
    run = run_recipe(recipe, split=split, seed=seed, model=start(), progress=progress)
    runs = {recipe.name: run}
    other = None
    if twin and recipe.adversarial:
        undefended = recipe.undefended()
        other = run_recipe(undefended, split=split, seed=seed, model=start(), progress=progress)
        runs[undefended.name] = other
    measuring = _measuring(recipe, split, recipe.k[:1])
    runs |= measuring.baselines(BASELINES[:1])
    results = {name: measuring.measured(one.model, "test") for name, one in runs.items()}
    models, users = {name: _figures(one) for name, one in results.items()}, _users(results)
    save_run(folder, run, twin=other, figures=models)
    return {
        "users": users,
        "models": models,
        "seconds": round(run.seconds, 2),
        "path": str(folder),
    }


def evaluate_run(
    folder: RunFolder,
    *,
    part: str = "test",
    k: Sequence[int] | None = None,
    baselines: bool = True,
) -> dict[str, Any]:
    """Figures of a run, its twin and baselines on a part that they were not trained on."""
    measuring = _measuring(folder.recipe, folder.split, k or folder.recipe.k)
    if part not in measuring.parts:
        raise RecipeError(unknown(str(folder.path), part, measuring.parts, what="part"))
    twin = folder.twin()
    models = {folder.recipe.name: folder.model()} | ({} if twin is None else {"twin": twin})
    if baselines:
        names = affordable(folder.split.train.n_items)
        models |= {
            name: run.model for name, run in measuring.baselines(names, QUICK_BASELINES).items()
        }
    results = {name: measuring.measured(model, part) for name, model in models.items()}
    return {
        "part": part,
        "users": _users(results),
        "models": {name: _figures(result) for name, result in results.items()},
    }


def _measuring(recipe: Recipe, split: Any, k: Sequence[int]) -> Any:
    """What a run is measured on: its ranking at lengths `k`, or its errors."""
    shown = {"k": list(k), "metrics": list(SHOWN), "candidates": recipe.candidates}
    evaluation = shown if recipe.task == "ranking" else {"task": recipe.task}
    return measuring_of(recipe.replace(evaluation=evaluation), split)


def _users(results: Mapping[str, Any]) -> int:
    return len(next(iter(results.values())).users)


def affordable(n_items: int) -> tuple[str, ...]:
    """The baselines that a catalogue allows."""
    return tuple(name for name in BASELINES if name != "EASE" or n_items <= LARGEST_EASE)


def _figures(result: Any) -> dict[str, Any]:
    """Metrics of a result, each with its interval over users."""
    figures = {}
    for name, value in result.means.items():
        figures[name] = {"value": value}
        if name in getattr(result, "per_user", result.means):
            low, high = result.interval(name)
            figures[name] |= {"low": low, "high": high}
    return figures


def _start(preset: str, train: Any, id_map: str | None) -> Any:
    """The preset's model with the log's rows."""
    from tfadvrec import presets

    mapping: Any = id_map
    if id_map not in (None, "identity"):
        record = presets.read(preset).config.get("item_ids") or {}
        mapping = read_id_map(
            id_map,
            integers=(train.item_ids.dtype.kind in "iu", record.get("type") == "integer"),
        )
    return presets.load(
        preset, item_ids=train.item_ids, user_ids=train.user_ids, id_map=mapping
    ).bind(train)


def read_id_map(path: str, *, integers: tuple[bool, bool]) -> dict[Any, Any]:
    """Reads a CSV with a new id and the preset's id on each line; a header may come first.

    Args:
        path: The file.
        integers: Whether the new ids, and the preset's, are integers.

    Raises:
        FileNotFoundError: When there is no such file.
        RecipeError: When a line has not two ids of the right kind.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(2, "there is no such map of ids", path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    fine = [
        len(row) == 2
        and all(c.lstrip("-").isdecimal() or not i for c, i in zip(row, integers, strict=True))
        for row in rows
    ]
    if rows and not fine[0] and len(rows[0]) == 2:  # names of columns
        rows, fine = rows[1:], fine[1:]
    if not all(fine):
        kinds = " and ".join("an integer" if i else "a text" for i in integers)
        wrong = [row for row, good in zip(rows, fine, strict=True) if not good]
        raise RecipeError(
            f"{path}: each line needs two ids, yours and the preset's ({kinds}). "
            f"{len(wrong)} lines have not, the first: {wrong[:3]}."
        )
    kinds = [int if i else str for i in integers]
    return {kinds[0](new): kinds[1](old) for new, old in rows}


def check_split(split: Any) -> None:
    """Refuses a split that leaves nothing to learn from or to measure on, by its name."""
    for name, part in zip(split._fields, split, strict=True):
        if part is not None and not len(part):
            raise RecipeError(
                f"the {name} part is empty: the log has {split.train.n_users} users and too few "
                "interactions a user for this split. Try --split by_ratio, or a longer log."
            )
