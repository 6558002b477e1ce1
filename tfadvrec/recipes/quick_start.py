"""The whole way in one call: data, training, twin, baselines, audit, preset, servable."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfadvrec.presets import files
from tfadvrec.presets.replacing import check_replaceable, replacing, write_file
from tfadvrec.recipes import run_folder
from tfadvrec.recipes.auditing import stage_classes
from tfadvrec.recipes.fitting import DEFAULT, affordable, check_split, scaled
from tfadvrec.recipes.recipe import Recipe, load_recipe
from tfadvrec.recipes.running import Progress, run_recipe

NAME, TWIN = "mf_apr", "mf_bpr"
EPOCHS = 80  # in all, on a log of a hundred thousand interactions; the zoo takes twice as many
MOST_UPDATES = 8_000_000  # interactions seen in all; a longer log gets fewer epochs
EPSILONS, DRAWS = (0.15, 0.3, 0.5, 1.0), 2  # coarser than `tfadvrec audit`; 1 always takes half
SUMMARY, SERVING = "summary.json", "serving"
LEFT = run_folder.NAMES | {SUMMARY, SERVING, "report.json", "report.md", "report.html", "*.png"}
SAID = Callable[[str], None]


def _import_tensorflow() -> None:
    import tensorflow  # noqa: F401


def quickstart(
    output: str | os.PathLike = "tfadvrec-quickstart",
    *,
    data: str = "movielens",
    epochs: int | None = None,
    start: Callable[[], None] = _import_tensorflow,
    progress: Progress | None = None,
    say: SAID | None = None,
) -> dict[str, Any]:
    """Trains, compares, attacks and exports a recommender, and leaves all of it in a folder.

    A matrix factorisation is trained with BPR and then against an adversary; its undefended twin
    has as many epochs in all. The folder is a run, so `tfadvrec evaluate`, `recommend`, `audit` and
    `export` take it. It is complete or not there; an earlier one is replaced.

    Args:
        output: The folder.
        data: `"movielens"`, `"synthetic"`, or the path of a log. When MovieLens cannot be had,
            the synthetic log is used, and said so.
        epochs: Epochs in all; by default enough for a hundred thousand interactions, fewer for
            longer logs.
        start: Called first, to load TensorFlow; its time is counted.
        progress: Called with a text, how much is done, and of how much.
        say: Called with a line that a reader must not miss.

    Returns:
        What `summary.json` holds: `data`, `models`, `export` and `seconds`.

    Raises:
        DataError: When the log cannot be used.
        PresetError: When the folder holds other things.
        ExportError: When the servable failed its verification.
    """
    folder, seconds = Path(output), {}
    began, told = time.perf_counter(), progress or (lambda text, done, total: None)
    recipe = recipe_for(data)
    check_replaceable(folder, known=LEFT)
    with _stage(seconds, "start"):
        start()
    with replacing(folder, known=LEFT) as room:
        with _stage(seconds, "data"):
            told("getting the data", 0, 1)
            recipe, split = _data(recipe, say or (lambda text: None))
            recipe = scaled(recipe, epochs or _affordable(len(split.train)))
        with _stage(seconds, "train"):
            run, twin = _trained(recipe, split, progress)
        with _stage(seconds, "baselines"):
            told("fitting baselines", 0, 1)
            baselines = _baselines(recipe, split)
        with _stage(seconds, "audit"):
            report = _audit(recipe, split, run.model, twin.model, baselines, told)
            report.save(room)
        with _stage(seconds, "preset"):
            figures = report.models()
            run_folder.write_run(room, run, twin=twin, figures=figures)
        with _stage(seconds, "export"):
            told("exporting and verifying", 0, 1)
            exported = _export(run.model, room / SERVING / NAME)
        seconds["total"] = round(time.perf_counter() - began, 2)
        summary = {
            "data": _described(split),
            "models": figures,
            "export": {**exported, "path": str(folder / SERVING / NAME / "1")},
            "seconds": seconds,
        }
        write_file(room / SUMMARY, files.json_bytes(summary))
    return summary


def recipe_for(data: str) -> Recipe:
    """The quickstart's recipe for `"movielens"`, `"synthetic"`, or a log's path.

    Raises:
        FileNotFoundError: When there is no such log.
    """
    recipe = load_recipe(DEFAULT).replace(name=NAME, twin=TWIN, description="", text="")
    if data == "movielens":
        return recipe
    if data == "synthetic":
        return recipe.replace(data={"source": "synthetic"})
    if not os.path.exists(data):
        raise FileNotFoundError(2, "there is no such log", data)
    if os.path.isdir(data) or data.endswith(".zip"):
        return recipe.replace(data={"source": "movielens", "path": data})
    return recipe.replace(data={"source": "file", "path": data})


def _data(recipe: Recipe, say: SAID) -> tuple[Recipe, Any]:
    """The recipe and its split; the made-up log where the data cannot be had."""
    from tfadvrec.data import SourceUnavailable
    from tfadvrec.recipes.making_data import make_split

    try:
        split = make_split(recipe)
    except SourceUnavailable as error:
        say(f"NOT REAL DATA: {error}")
        say("NOT REAL DATA: going on with a synthetic log; its figures say nothing about people.")
        recipe = recipe.replace(data={"source": "synthetic"})
        split = make_split(recipe)
    check_split(split)
    return recipe, split


def _trained(recipe: Recipe, split: Any, progress: Progress | None) -> list[Any]:
    """Model and twin, trained side by side: a compiled epoch keeps one core busy."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = [
            pool.submit(run_recipe, one, split=split, progress=progress)
            for one in (recipe, recipe.undefended(TWIN))
        ]
        return [one.result() for one in waiting]


def _affordable(interactions: int) -> int:
    """Epochs that keep the quickstart quick."""
    return max(2, min(EPOCHS, MOST_UPDATES // max(interactions, 1)))


def _baselines(recipe: Recipe, split: Any) -> dict[str, Any]:
    """Label -> fitted baseline."""
    from tfadvrec.recipes.measuring import QUICK_BASELINES, Measuring

    fitted = Measuring(recipe, split).baselines(affordable(split.train.n_items), QUICK_BASELINES)
    return {name: run.model for name, run in fitted.items()}


def _audit(
    recipe: Recipe, split: Any, model: Any, twin: Any, baselines: dict[str, Any], told: Progress
) -> Any:
    """The report, without the sections that train again."""
    from tfadvrec.audit import robustness_report
    from tfadvrec.presets.card import split_note

    return robustness_report(
        model,
        split.train,
        split.test,
        validation=split.validation,
        twin=twin,
        baselines=baselines,
        sections=("embedding",),
        epsilons=EPSILONS,
        draws=DRAWS,
        trained_against=stage_classes(recipe),
        split=split_note(recipe.split),
        labels={"model": NAME, "twin": f"{TWIN} (undefended twin)"},
        progress=lambda line: told(f"audit: {line}", 0, 1),
    )


def _export(model: Any, base: Path) -> dict[str, Any]:
    """Exports and verifies a model."""
    from tfadvrec import serving

    report = serving.export(model, base)
    return {"verified": report.verified, "max_difference": report.max_difference}


def _described(split: Any) -> dict[str, Any]:
    """What `summary.json` says of the data."""
    train = split.train
    return {
        "name": train.name,
        "real": train.real,
        "interactions": sum(len(part) for part in split if part is not None),
        "users": train.n_users,
        "items": train.n_items,
        "origin": train.origin,
    }


@contextlib.contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measures a stage's wall time."""
    started = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - started, 2)
