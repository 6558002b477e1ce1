"""The figures of a model of ratings: its errors clean, attacked and under noise of that size."""

from collections.abc import Sequence
from typing import Any

from tfadvrec.recipes.measuring import mean_row_norm
from tfadvrec.recipes.measuring_parts import PartMeasuring

DAMPING = 5.0  # of the baseline's biases


class RatingMeasuring(PartMeasuring):
    """What all models of a recipe with `task = "ratings"` are measured on; see `Measuring`.

    Args:
        recipe: The recipe, for the attack.
        split: The data, with ratings.
    """

    def measured(self, model: Any, part: str) -> Any:
        """The `RatingResult` of a model on a part."""
        return self._errors(model, self.parts[part], ())["test"]

    def norm(self, model: Any) -> float | None:
        """Mean l2 norm over all rows of the model's embedding tables; None where it has none."""
        return mean_row_norm(model)

    def attacked(self, model: Any) -> dict[str, Any]:
        """Situation -> test `RatingResult` under attack and noise; see `rating_situations`."""
        found = self._errors(model, self.split.test, self.recipe.attack["relative_epsilon"])
        return {situation: result for situation, result in found.items() if situation != "test"}

    def _errors(self, model: Any, log: Any, sizes: Sequence[float]) -> dict[str, Any]:
        from tfadvrec.evaluation import rating_situations

        steps, norm = self.recipe.attack["steps"], self.recipe.attack["norm"]
        options = {"relative_epsilon": sizes, "steps": steps, "norm": norm}
        return rating_situations(model, self.split.train, log, **options)

    def situations(self) -> dict[str, str]:
        """What each situation of `attacked` is, in words."""
        attack, told = self.recipe.attack, {}
        for relative in attack["relative_epsilon"]:
            size = f"{relative:g} times the model's own mean row norm ({attack['norm']})"
            told[f"attacked {relative:g}"] = (
                f"ProjectedGradient of {attack['steps']} steps on the embedding tables, one "
                f"perturbation up the squared error of the test ratings, size {size}."
            )
            told[f"noise {relative:g}"] = f"Random directions of the same size, {size}."
        return told

    def baselines(self, names: Sequence[str] = (), choices: Any = None) -> dict[str, Any]:
        """Name -> `Run` of the mean rating, and of damped biases of users and items."""
        from tfadvrec.models import BiasedMatrixFactorization
        from tfadvrec.recipes.running import Run

        dampings = {"mean of all ratings": 1e12, "biases of users and items": DAMPING}
        return {
            name: Run(
                recipe=self.recipe,
                seed=0,
                split=self.split,
                model=BiasedMatrixFactorization.biases_alone(self.split.train, damping=damping),
            )
            for name, damping in dampings.items()
        }
