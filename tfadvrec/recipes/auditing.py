"""The robustness report of a run."""

import os
from typing import Any

from tfadvrec.recipes.measuring import QUICK_BASELINES, Measuring
from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.run_folder import RunFolder
from tfadvrec.recipes.running import Progress, run_recipe


def audit_run(
    folder: RunFolder,
    out: str | os.PathLike,
    *,
    baselines: tuple[str, ...],
    retrain: bool = True,
    progress: Progress | None = None,
) -> Any:
    """The robustness report of a run, written to a folder.

    Args:
        folder: The run; its split is the one that the model was trained with.
        out: Where the report goes.
        baselines: Class names of the baselines beside it.
        retrain: Whether to run the sections that train again.
        progress: Called with a text, how much is done, and of how much.

    Returns:
        The `RobustnessReport`.
    """
    from tfadvrec.audit import robustness_report
    from tfadvrec.presets.card import split_note

    split, recipe = folder.split, folder.recipe
    told = progress or (lambda text, done, total: None)
    told("fitting baselines", 0, 1)
    fitted = Measuring(recipe, split).baselines(baselines, QUICK_BASELINES)

    def rebuild(log: Any, seed: int) -> Any:
        changed = split._replace(train=log)
        return run_recipe(recipe, split=changed, seed=seed, progress=progress).model

    labels = {"model": recipe.name}
    twin = folder.twin()
    if twin is not None:
        labels["twin"] = f"{recipe.undefended().name} (undefended twin)"
    report = robustness_report(
        folder.model(),
        split.train,
        split.test,
        validation=split.validation,
        twin=twin,
        baselines={name: run.model for name, run in fitted.items()},
        rebuild=rebuild if retrain else None,
        trained_against=stage_classes(recipe),
        split=split_note(recipe.split or {"kind": "published"}),
        labels=labels,
        progress=lambda line: told(f"audit: {line}", 0, 1),
    )
    report.save(out)
    return report


def stage_classes(recipe: Recipe) -> list[str]:
    """Class names of the perturbations that a recipe trains against."""
    stages = (stage.get("adversary") for stage in recipe.stages)
    return sorted({adversary["perturbation"] for adversary in stages if adversary})
