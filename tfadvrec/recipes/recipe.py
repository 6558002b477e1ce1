"""A recipe: what is trained on what, and how; nothing but data."""

import dataclasses
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfadvrec.recipes import schema
from tfadvrec.recipes.schema import RecipeError, check_keys, check_kind
from tfadvrec.recipes.toml_text import written

LARGEST = 1024 * 1024  # bytes of a recipe that are read
DEFAULT_ATTACK = {"relative_epsilon": [0.25, 0.5, 1.0], "steps": 20, "norm": "l2"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is made: data, split, model, loss, optimizer, sampling, stages, seeds, figures.

    Attributes:
        name: What the model is called.
        description: What it is, in a sentence or two.
        twin: Name of the recipe of the undefended twin, or `None` where there is no adversary.
        seeds: Training seeds; the first one's model is the preset.
        data: Where the log comes from.
        split: How it is split; empty for a published split.
        model: `class` and constructor arguments other than the numbers of rows.
        game: `class`, `batch_size`, and what the game takes; empty where none is played.
        loss: `class` and arguments; empty for a closed form and where only a game trains.
        optimizer: `class` and arguments; empty for a closed form.
        sampling: `kind` and arguments; empty for a closed form.
        stages: Epochs, each with or without adversary; none for a closed form.
        choose: Argument -> values, the best of which the validation part chooses.
        evaluation: `task`, `k`, `metrics`, `candidates`, `baselines`, `attack`, `owner`.
        preset: How the preset is stored.
        text: The TOML that this was read from.
    """

    name: str
    description: str = ""
    twin: str | None = None
    seeds: tuple[int, ...] = (0,)
    data: dict[str, Any]
    split: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any]
    game: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    stages: tuple[dict[str, Any], ...] = ()
    choose: dict[str, list] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    preset: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage["epochs"] for stage in self.stages)

    @property
    def closed_form(self) -> bool:
        """Whether the model is fitted in one go, without epochs."""
        return not self.stages

    @property
    def adversarial(self) -> bool:
        """Whether any stage has an adversary."""
        return any("adversary" in stage for stage in self.stages)

    @property
    def played(self) -> bool:
        """Whether any stage plays the game against its discriminator."""
        default = self.game.get("adversarial_weight", 1.0)
        weights = [stage.get("adversarial_weight", default) for stage in self.game_stages]
        return any(weight > 0 for weight in weights)

    @property
    def game_stages(self) -> tuple[dict[str, Any], ...]:
        """The stages that the game trains: all but those with `game = false`."""
        return tuple(s for s in self.stages if self.game and s.get("game", True))

    @property
    def k(self) -> tuple[int, ...]:
        """Lengths of the lists that are measured."""
        return tuple(self.evaluation.get("k", (10,)))

    @property
    def task(self) -> str:
        """What is measured: `"ranking"`, `"ratings"` (their errors), or `"clicks"`."""
        return self.evaluation.get("task", "ranking")

    @property
    def candidates(self) -> str:
        """Which items are ranked: `"all"`, or `"cold"` (held out, without training)."""
        return self.evaluation.get("candidates", "all")

    @property
    def attack(self) -> dict[str, Any]:
        """The attack that figures are given under; the defaults where the recipe says nothing."""
        return DEFAULT_ATTACK | self.evaluation.get("attack", {})

    def replace(self, **changes: Any) -> "Recipe":
        """The same recipe with other fields; its text no longer tells the whole."""
        return dataclasses.replace(self, **changes)

    def undefended(self, name: str | None = None) -> "Recipe":
        """The same recipe without any adversary: one stage of as many epochs in all."""
        return self.replace(
            name=name or self.twin or f"{self.name}_twin",
            twin=None,
            stages=({"epochs": self.epochs},),
            text="",
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields that say something, as JSON and TOML can hold them."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        return {k: v for k, v in fields.items() if k != "text" and v not in (None, "", [], {})}

    def to_toml(self) -> str:
        """The recipe as TOML that `parse_recipe` reads: its own text, or written anew."""
        return self.text or written(self.to_dict())


def load_recipe(name_or_path: str | os.PathLike) -> Recipe:
    """Reads a recipe.

    Args:
        name_or_path: A TOML file, a preset's folder, or a zoo preset's name.

    Raises:
        RecipeError: When the file is not there, is no TOML, or says what cannot be meant.
        PresetError: When a bare name is no zoo preset's.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        from tfadvrec.presets import zoo
        from tfadvrec.presets.files import RECIPE

        path = zoo.find(name_or_path) / RECIPE
    if not path.is_file():
        raise RecipeError(f"there is no recipe {path}.")
    if path.stat().st_size > LARGEST:
        raise RecipeError(f"{path} has {path.stat().st_size:,} bytes; a recipe is a page of text.")
    try:
        return parse_recipe(path.read_text(encoding="utf-8"))
    except (RecipeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from error


def parse_recipe(text: str) -> Recipe:
    """Reads a recipe's text.

    Args:
        text: TOML.

    Returns:
        The recipe. What a model, loss or optimizer takes is checked when it is made.

    Raises:
        RecipeError: Naming the table, the key and the nearest right one.

    Example:

    >>> recipe = parse_recipe('''
    ... name = "small"
    ... [data]
    ... source = "synthetic"
    ... [model]
    ... class = "MostPopular"
    ... ''')
    >>> recipe.closed_form, recipe.split
    (True, {'kind': 'leave_last_out', 'validation': True})
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"this is not TOML: {error}.") from error
    check_keys("the recipe", table, schema.TOP)
    check_kind("[data]", table["data"], schema.DATA, "source")
    schema.check_layout(table["data"])
    if "items" in table["data"]:
        check_keys("[data.items]", table["data"]["items"], schema.ITEMS)
    _check_split(table)
    for section in ("model", "game", "loss", "optimizer"):
        if section in table and not isinstance(table[section].get("class"), str):
            raise RecipeError(f'[{section}] needs class = "...".')
    stages = table.get("stages", [])
    for number, stage in enumerate(stages, start=1):
        _check_stage(f"[[stages]] {number}", stage)
    _check_training(table, stages)
    evaluation = table.get("evaluation", {})
    check_keys("[evaluation]", evaluation, schema.EVALUATION)
    check_keys("[evaluation] attack", evaluation.get("attack", {}), schema.ATTACK)
    check_keys("[preset]", table.get("preset", {}), schema.PRESET)
    seeds = table.get("seeds", [0])
    if not seeds or len(set(seeds)) != len(seeds) or not all(type(s) is int for s in seeds):
        raise RecipeError(f"seeds must be different integers; got {seeds!r}.")
    k = evaluation.get("k", [10])
    if not k or not all(type(cut) is int and cut > 0 for cut in k):
        raise RecipeError(f"[evaluation] k must be positive integers; got {k!r}.")
    _check_task(table, evaluation)
    candidates = evaluation.get("candidates", "all")
    if candidates not in ("all", "cold"):
        raise RecipeError(f'[evaluation] candidates must be "all" or "cold"; got {candidates!r}.')
    return Recipe(**{**table, "seeds": tuple(seeds), "stages": tuple(stages), "text": text})


# What is measured -> beside what
_BESIDE = {
    "ratings": "RMSE and MAE beside mean and biases",
    "clicks": "AUC, log loss and calibration beside logistic regression",
}


def _check_task(table: dict[str, Any], evaluation: dict[str, Any]) -> None:
    """Checks what is measured, that it fits the data, and that nothing would be ignored."""
    task, source = evaluation.get("task", "ranking"), table["data"]["source"]
    known = ("ranking", *_BESIDE)
    if task not in known:
        raise RecipeError(f"[evaluation] task must be one of {', '.join(known)}; got {task!r}.")
    ignored = {"k", "metrics", "candidates", "baselines"} & set(evaluation)
    if task in _BESIDE and ignored:
        raise RecipeError(
            f'[evaluation] task = "{task}" measures {_BESIDE[task]}, so '
            f"{', '.join(sorted(ignored))} would be ignored. Leave them out."
        )
    if (task == "clicks") != (source == "clicks"):
        raise RecipeError(
            f'[evaluation] task = "clicks" and [data] source = "clicks" go together; got task = '
            f'"{task}" with source = "{source}".'
        )
    if "owner" in evaluation and task != "clicks":
        raise RecipeError('[evaluation] owner goes with task = "clicks" only.')
    kinds = [table.get(part, {}).get("kind") for part in ("split", "sampling")]
    if task == "clicks" and kinds != ["by_ratio", "clicks"]:
        raise RecipeError(
            'a click log is split with [split] kind = "by_ratio" and trained on with [sampling] '
            f'kind = "clicks"; got "{kinds[0]}" and "{kinds[1]}".'
        )


def _check_split(table: dict[str, Any]) -> None:
    """Checks the split, which published data brings along; fills in the default."""
    if table["data"]["source"] == "published":
        if "split" in table:
            raise RecipeError('[split] does not go with source = "published": the files are it.')
        return
    table.setdefault("split", {"kind": "leave_last_out", "validation": True})
    check_kind("[split]", table["split"], schema.SPLIT, "kind")


def _check_stage(where: str, stage: Any) -> None:
    """Checks a stage and its adversary."""
    check_keys(where, stage, schema.STAGE)
    if stage["epochs"] < 1:
        raise RecipeError(f"{where} epochs must be 1 or more; got {stage['epochs']}.")
    if "adversary" in stage:
        check_keys(f"{where} adversary", stage["adversary"], schema.ADVERSARY)


def _check_training(table: dict[str, Any], stages: list[Any]) -> None:
    """Checks that a trained model has all it needs, and a closed form nothing that it ignores."""
    needed = ("loss", "optimizer", "sampling")
    if not stages:
        there = [section for section in (*needed, "game") if section in table]
        if there:
            raise RecipeError(
                f"there are no [[stages]], so [{'], ['.join(there)}] would be ignored. Add "
                "[[stages]] with epochs, or leave them out for a model in closed form."
            )
        return
    _check_game(table, stages)
    if all("game" in table and stage.get("game", True) for stage in stages):
        there = [section for section in needed if section in table]
        if there:
            raise RecipeError(
                f"every stage plays the [game], so [{'], ['.join(there)}] would be ignored. Leave "
                "them out, or give a stage game = false."
            )
        return
    missing = [section for section in needed if section not in table]
    if missing:
        raise RecipeError(f"a recipe with [[stages]] needs [{'], ['.join(missing)}] as well.")
    if "choose" in table:
        raise RecipeError("[choose] is for models in closed form; leave it out beside [[stages]].")
    check_kind("[sampling]", table["sampling"], schema.SAMPLING, "kind")


def _check_game(table: dict[str, Any], stages: list[Any]) -> None:
    """Checks the game, and that stages ask for one only where there is one."""
    for number, stage in enumerate(stages, start=1):
        played = "game" in table and stage.get("game", True)
        if "adversary" in stage and played:
            raise RecipeError(f"[[stages]] {number}: an adversary goes with game = false only.")
        if not played and (stage.get("game") or "adversarial_weight" in stage):
            raise RecipeError(f"[[stages]] {number} speaks of a game that it does not play.")
    if "game" in table and type(table["game"].get("batch_size")) is not int:
        raise RecipeError("[game] needs batch_size, an integer.")
