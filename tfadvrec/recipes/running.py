"""A recipe, run once: a trained model on a split."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tfadvrec.data import by_ratio
from tfadvrec.recipes import making, making_data
from tfadvrec.recipes.playing import Playing
from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.tasks import ranking_task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe's model after one training.

    Attributes:
        recipe: The recipe.
        seed: The training seed.
        split: The data it was trained on and is measured on.
        model: The trained model; no adversary is part of it.
        history: One mapping a stage: log name -> one value an epoch.
        health: The `HealthReport` of a recipe with a game, else None.
        chosen: What `[choose]` chose on the validation part (or a tenth of train), and its score.
        seconds: Wall time of the training.
    """

    recipe: Recipe
    seed: int
    split: Any
    model: Any
    history: list[dict[str, list[float]]] = field(default_factory=list)
    health: Any = None
    chosen: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def run_recipe(
    recipe: Recipe,
    *,
    log: Any = None,
    split: Any = None,
    model: Any = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Trains a recipe's model.

    Each stage has a fresh optimizer and goes on with the weights of the one before.

    Args:
        recipe: The recipe.
        log: Interactions to split in place of the recipe's data.
        split: A split to use in place of the recipe's data and split.
        model: A model to go on with (say, from `from_preset`) in place of a new one.
        seed: The training seed; the recipe's first by default.
        progress: Called with a text, how much is done, and of how much.

    Returns:
        The `Run`.

    Raises:
        RecipeError: When a section names a class or an argument that does not exist.
        ValueError: When training ends with a loss that is not a number.
    """
    seed = recipe.seeds[0] if seed is None else seed
    split = making_data.make_split(recipe, log) if split is None else split
    started = time.perf_counter()
    history, chosen, health = [], {}, None
    if recipe.closed_form:
        model, chosen = _chosen(recipe, split, seed)
    else:
        model = making.make_model(recipe, split.train, seed=seed) if model is None else model
        playing = Playing(recipe, split.train, model, seed=seed) if recipe.game else None
        model = playing.game.product if model is None else model
        history = _trained(recipe, model, split.train, seed, progress, playing)
        health = None if playing is None else playing.monitor.report
    return Run(
        recipe=recipe,
        seed=seed,
        split=split,
        model=model,
        history=history,
        health=health,
        chosen=chosen,
        seconds=time.perf_counter() - started,
    )


def _trained(
    recipe: Recipe,
    model: Any,
    train: Any,
    seed: int,
    progress: Progress | None,
    playing: Playing | None,
) -> list[dict[str, list[float]]]:
    """Runs the stages one after the other on one model."""
    batches = None
    if recipe.sampling:
        batches = making.make_batches(recipe, train, seed=seed, model=model)
    done, history = 0, []
    for stage in recipe.stages:
        watch = _watch(f"training {recipe.name}", done, recipe.epochs, progress)
        if stage in recipe.game_stages:
            fitted = playing.play(stage, watch)
        else:
            fitted = _fitted(recipe, model, batches, stage, seed, watch)
        history.append(fitted.history)
        done += stage["epochs"]
        last = fitted.history.get("loss", fitted.history.get("generator_loss"))[-1]
        if last != last:
            raise ValueError(
                f"{recipe.name}: the loss is not a number after {done} epochs. Lower the learning "
                "rate or the adversary's weight or epsilon."
            )
    return history


def _fitted(
    recipe: Recipe, model: Any, batches: Any, stage: Any, seed: int, watch: list[Any]
) -> Any:
    """Runs a stage that plays no game; gives Keras's `History`."""
    trained = model
    if "adversary" in stage:
        trained = making.make_adversary(model, stage["adversary"], seed=seed)
    trained.compile(optimizer=making.make_optimizer(recipe, stage), loss=making.make_loss(recipe))
    return trained.fit(batches, epochs=stage["epochs"], verbose=0, callbacks=watch, shuffle=False)


def _watch(text: str, done: int, total: int, progress: Progress | None) -> list[Any]:
    """A Keras callback that tells the progress, if anybody listens."""
    if progress is None:
        return []
    import keras

    progress(text, done, total)
    return [
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: progress(text, done + epoch + 1, total)
        )
    ]


def _chosen(recipe: Recipe, split: Any, seed: int) -> tuple[Any, dict[str, Any]]:
    """A closed form with the settings that rank the validation part best.

    Where the split has none, a tenth of each user's train part stands for it, and the model is
    fitted on the whole train part afterwards; where no user has enough for that, the defaults stay.
    """

    def fitted(settings: dict[str, Any], train: Any) -> Any:
        tried = recipe.replace(model={**recipe.model, **settings})
        return making.make_model(tried, train, seed=seed).fit(train)

    part, held = split.train, split.validation
    if recipe.choose and held is None:
        if recipe.candidates != "all":
            raise ValueError(
                f"{recipe.name}: [choose] needs a validation part of new items, and there is none."
            )
        part, _, held = by_ratio(split.train, validation=0.0, test=0.1)
    if not recipe.choose or not len(held):
        return fitted({}, split.train), {}
    task = ranking_task(recipe, part, held)
    best: tuple[float, Any, dict[str, Any]] | None = None
    for values in itertools.product(*recipe.choose.values()):
        settings = dict(zip(recipe.choose, values, strict=True))
        model = fitted(settings, part)
        score = task.evaluate(model, k=(10,), metrics=("ndcg",)).means["ndcg@10"]
        if best is None or score > best[0]:
            best = (score, model, settings)
    score, model, settings = best
    if part is not split.train:
        model = fitted(settings, split.train)
    return model, {**settings, "validation ndcg@10": score}
