"""A zoo preset from its recipe: all seeds, its twin, baselines, figures, folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfadvrec import presets
from tfadvrec.presets import files, zoo
from tfadvrec.presets.replacing import check_replaceable
from tfadvrec.recipes.making import makes_behaviour
from tfadvrec.recipes.measures import measuring_of
from tfadvrec.recipes.measuring import summary
from tfadvrec.recipes.measuring_generators import generator_record
from tfadvrec.recipes.provenance import fingerprint, provenance
from tfadvrec.recipes.recipe import Recipe, load_recipe
from tfadvrec.recipes.running import Progress, Run, run_recipe
from tfadvrec.recipes.schema import RecipeError

# A game's twin is the same model trained as it is best trained without a discriminator
_TOGETHER_IN_GAMES = ("data", "split", "model", "seeds")
_TOGETHER = ("data", "split", "model", "loss", "optimizer", "sampling", "seeds", "epochs")


def train_preset(
    recipe: Recipe,
    folder: str | os.PathLike,
    *,
    split: Any = None,
    twin: Recipe | None = None,
    weights: bool | None = None,
    twin_folder: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> Path:
    """Trains a recipe and its undefended twin with every seed, measures them, writes the preset.

    The preset is the model of the first seed. The baselines' settings are chosen on the validation
    part; nothing is chosen on the test part.

    Args:
        recipe: The recipe; its own text goes into the folder.
        folder: Where to write.
        split: A split to use in place of the recipe's data.
        twin: The twin's recipe; by default the zoo's of the name that the recipe gives, or, where
            the zoo has none, the recipe without its adversary.
        weights: Whether to write the weights; by default what the recipe says of the zoo.
        twin_folder: Where to write the twin's preset, which is trained anyway; None for nowhere.
        progress: Called with a text, how much is done, and of how much.

    Returns:
        The folder.

    Raises:
        RecipeError: When the twin is not the same training without the adversary, or is to be
            written and is measured otherwise.
    """
    from tfadvrec.recipes.making_data import make_split

    check_replaceable(folder, known=files.NAMES)
    twin = check_twin(recipe, twin or _twin_of(recipe)) if recipe.twin else None
    if twin_folder is not None:
        check_replaceable(twin_folder, known=files.NAMES)
        _check_alike(recipe, twin)
    split = make_split(recipe) if split is None else split
    if makes_behaviour(recipe):
        runs = [run_recipe(recipe, split=split, seed=s, progress=progress) for s in recipe.seeds]
        if progress is not None:
            progress(f"measuring {recipe.name}", 0, 1)
        metrics = generator_record(recipe, split, [run.model for run in runs])
        return _written(recipe, runs[0], split, folder, metrics, weights)
    measuring = measuring_of(recipe, split)
    figures: dict[str, list[dict[str, Any]]] = {}
    shipped: dict[str, Run] = {}
    for entry in filter(None, (recipe, twin)):
        seeds = recipe.seeds if not entry.closed_form else recipe.seeds[:1]
        for seed in seeds:
            run = run_recipe(entry, split=split, seed=seed, progress=progress)
            if progress is not None:
                progress(f"measuring {entry.name}, seed {seed}", 0, 1)
            found = {**measuring.clean(run.model), **measuring.attacked(run.model)}
            figures.setdefault(entry.name, []).append(found)
            shipped.setdefault(entry.name, run)
    names = [n for n in recipe.evaluation.get("baselines", []) if n != recipe.model["class"]]
    baselines = measuring.baselines(names)
    for name, run in baselines.items():
        figures[_label(name, run)] = [measuring.clean(run.model)]
    run = shipped[recipe.name]
    metrics = metrics_record(recipe, measuring, figures, run)
    if twin is not None:
        if recipe.task == "ranking":
            metrics["against_twin"] = paired(figures[recipe.name], figures[twin.name])
        metrics["twin"] = twin.name
    if twin_folder is not None:
        alone = {name: found for name, found in figures.items() if name != recipe.name}
        record = metrics_record(twin, measuring, alone, shipped[twin.name])
        _written(twin, shipped[twin.name], split, twin_folder, record, weights)
    return _written(recipe, run, split, folder, metrics, weights)


def _check_alike(recipe: Recipe, twin: Recipe | None) -> None:
    """Makes sure that the twin's own preset would be measured as the recipe's."""
    if twin is None or twin.evaluation != recipe.evaluation:
        raise RecipeError(
            f"{recipe.name} has no twin to write."
            if twin is None
            else f"{twin.name} and {recipe.name} are measured otherwise: make [evaluation] alike, "
            "or train the twin by itself."
        )


def _written(
    recipe: Recipe,
    shipped: Run,
    split: Any,
    folder: str | os.PathLike,
    metrics: dict[str, Any],
    weights: bool | None,
) -> Path:
    """The preset's folder."""
    if shipped.health is not None:
        metrics["health"] = {"status": shipped.health.status, "reason": shipped.health.reason}
    return presets.save(
        shipped.model,
        folder,
        recipe=recipe.to_toml(),
        metrics=metrics,
        data=provenance(recipe, split),
        weights=recipe.preset.get("weights", True) if weights is None else weights,
        dtype=recipe.preset.get("dtype", "float32"),
        health=health_files(shipped),
    )


def health_files(run: Run) -> dict[str, bytes]:
    """A game's health as the files of a preset; nothing where no game was played."""
    if run.health is None:
        return {}
    from tfadvrec.games.health.curves import curves

    return {files.HEALTH: run.health.to_json().encode(), files.CURVES: curves(run.health)}


def _twin_of(recipe: Recipe) -> Recipe:
    if recipe.twin in zoo.folders():
        return load_recipe(recipe.twin)
    return recipe.undefended()


def check_twin(recipe: Recipe, twin: Recipe) -> Recipe:
    """Makes sure that a twin differs in the adversary alone.

    Raises:
        RecipeError: Naming what else differs.
    """
    together = _TOGETHER_IN_GAMES if recipe.game else _TOGETHER
    different = [name for name in together if getattr(recipe, name) != getattr(twin, name)]
    against = twin.adversarial or twin.played
    if different or against:
        raise RecipeError(
            f"{twin.name} is no undefended twin of {recipe.name}: "
            + ("it has an adversary itself." if against else f"{different} differ.")
            + " A twin has the same data, model and seeds; without a game, optimizer and number "
            "of epochs too."
        )
    return twin


def metrics_record(
    recipe: Recipe,
    measuring: Any,
    figures: Mapping[str, list],
    run: Run,
) -> dict[str, Any]:
    """What `metrics.json` says: figures with their protocol."""
    from tfadvrec.presets.card import split_note

    test = figures[recipe.name][0]["test"]
    norm = measuring.norm(run.model)
    record = {
        "format": 1,
        "split": split_note(recipe.split or {"kind": "published"}, clicks=recipe.task == "clicks"),
        "seeds": list(recipe.seeds),
        "fingerprint": fingerprint(run.split),
        "counts": test.counts,
        "situations": measuring.situations() if norm is not None else {},
        "models": {name: summary(results) for name, results in figures.items()},
    }
    if recipe.task != "clicks":
        record["users"] = len(test.users)
    if recipe.task != "ranking":
        record["kind"] = recipe.task
    else:
        record |= {"k": list(test.k), "mask": test.mask, "policy": test.policy}
    if norm is not None:
        record["mean_row_norm"] = norm
    if run.chosen:
        record["chosen"] = dict(run.chosen)
    return record


def paired(ours: list[Mapping[str, Any]], twins: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Paired differences from the twin over users, averaged over seeds, per situation."""
    import numpy as np

    from tfadvrec.evaluation import compare

    table: dict[str, Any] = {}
    for situation in ours[0]:
        metrics = [m for m in ours[0][situation].per_user if m.startswith("ndcg@")]
        mean = [_mean_result(results, situation, metrics) for results in (ours, twins)]
        table[situation] = {
            metric: {
                key: value if value is None or np.isfinite(value) else None
                for key, value in compare(*mean, metric).to_dict().items()
                if key != "metric"
            }
            for metric in metrics
        }
    return table


def _mean_result(results: list[Mapping[str, Any]], situation: str, metrics: list[str]) -> Any:
    """A result whose values per user are the means over the training seeds."""
    import dataclasses

    import numpy as np

    first = results[0][situation]
    values = {
        metric: np.mean([r[situation].per_user[metric] for r in results], axis=0)
        for metric in metrics
    }
    return dataclasses.replace(first, per_user=values, overall={}, _means={})


def _label(name: str, run: Run) -> str:
    """A baseline's name with the settings that were chosen for it."""
    chosen = {k: v for k, v in run.chosen.items() if not k.startswith("validation")}
    told = ", ".join(f"{key} {value:g}" for key, value in chosen.items())
    return f"{name} ({told})" if told else name
