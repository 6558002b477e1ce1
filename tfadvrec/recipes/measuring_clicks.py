"""The figures of a click model: its probabilities clean, attacked and under noise of that size."""

from collections.abc import Sequence
from typing import Any

from tfadvrec.recipes.measuring_parts import PartMeasuring

LOGISTIC = "logistic regression"


class ClickMeasuring(PartMeasuring):
    """What all models of a recipe with `task = "clicks"` are measured on; see `Measuring`.

    Args:
        recipe: The recipe, for the attack and the owner of an impression.
        split: Click logs.
    """

    def measured(self, model: Any, part: str, attack: Any = None) -> Any:
        """The `ClickResult` of a model on a part."""
        from tfadvrec.evaluation import evaluate_clicks

        owner = self.recipe.evaluation.get("owner")
        return evaluate_clicks(model, self.parts[part], attack=attack, owner=owner)

    def attacked(self, model: Any) -> dict[str, Any]:
        """Situation -> test `ClickResult` under attack and noise; {} without field vectors.

        Every test impression's field vectors move to raise its own loss, all fields together
        within a size relative to the model's own mean length of a row's vectors.
        """
        from tfadvrec.adversary import ProjectedGradient, RandomNoise

        if model.field_embedding is None:
            return {}
        steps, norm = self.recipe.attack["steps"], self.recipe.attack["norm"]
        found, length = {}, self.norm(model)
        for relative in self.recipe.attack["relative_epsilon"]:
            climb = ProjectedGradient(relative * length, steps=steps, norm=norm)
            noise = RandomNoise(relative * length, norm=norm)
            found[f"attacked {relative:g}"] = self.measured(model, "test", climb)
            found[f"noise {relative:g}"] = self.measured(model, "test", noise)
        return found

    def norm(self, model: Any) -> float | None:
        """Mean length of a training impression's field vectors; None for a model without."""
        return None if model.field_embedding is None else model.field_norm(self.split.train)

    def situations(self) -> dict[str, str]:
        """What each situation of `attacked` is, in words."""
        attack, told = self.recipe.attack, {}
        for relative in attack["relative_epsilon"]:
            size = f"{relative:g} times the model's own mean length of a row's field vectors"
            told[f"attacked {relative:g}"] = (
                f"ProjectedGradient of {attack['steps']} steps on the field vectors of each test "
                f"impression, up its own loss, size {size} ({attack['norm']})."
            )
            told[f"noise {relative:g}"] = f"Random directions of the same size, {size}."
        return told

    def baselines(self, names: Sequence[str] = (), choices: Any = None) -> dict[str, Any]:
        """Name -> `Run`: logistic regression on the same fields, trained by the same recipe."""
        from tfadvrec.recipes.running import run_recipe

        plain = {"class": "DeepFactorizationMachine", "hidden": [], "interactions": False}
        recipe = self.recipe.undefended(LOGISTIC).replace(model=plain)
        return {LOGISTIC: run_recipe(recipe, split=self.split)}
