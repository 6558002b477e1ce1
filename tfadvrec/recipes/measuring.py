"""The figures of a model: clean, under attack, and under random noise of the same size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.tasks import ranking_task

ATTACK_SEED = 1_000_003  # apart from the training seeds, so that no negative is a trained one
METRICS = ("hr", "ndcg", "mrr", "coverage", "popularity")
BASELINES: dict[str, dict[str, list]] = {  # argument -> values to choose from
    "MostPopular": {},
    "ItemKNN": {"neighbours": [50, 100, 200], "shrink": [0.0, 10.0, 100.0]},
    "PureSVD": {"rank": [10, 20, 30, 50]},
    "SpectralFilter": {"rank": [32, 64, 128, 256]},
    "EASE": {"regularization": [50.0, 100.0, 200.0, 500.0, 1000.0]},
    "ContentKNN": {"neighbours": [5, 10, 20, 50, 100]},
    "GenreMean": {},
}
# The same where somebody waits
QUICK_BASELINES: dict[str, dict[str, list]] = {
    "MostPopular": {},
    "ItemKNN": {"neighbours": [100], "shrink": [10.0]},
    "EASE": {"regularization": [100.0, 200.0, 500.0]},
}


class Measuring:
    """Everything that all models of a recipe are measured on, prepared once.

    Args:
        recipe: The recipe, for the list lengths, metrics and attack.
        split: The data.

    Attributes:
        tasks: `"validation"` (where there is one) and `"test"` -> `RankingTask`. At the test,
            validation items are masked too.
    """

    def __init__(self, recipe: Recipe, split: Any) -> None:
        self.recipe, self.split = recipe, split
        self.metrics = tuple(recipe.evaluation.get("metrics", METRICS))
        self.tasks = {}
        seen = []
        if split.validation is not None and len(split.validation):
            self.tasks["validation"] = ranking_task(recipe, split.train, split.validation)
            seen = [split.validation]
        self.tasks["test"] = ranking_task(recipe, split.train, split.test, seen=seen)
        self._triples: list[Any] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that are measured."""
        return tuple(self.tasks)

    def clean(self, model: Any) -> dict[str, Any]:
        """Part -> `RankingResult` of a model as it is."""
        return {part: self.measured(model, part) for part in self.tasks}

    def attacked(self, model: Any) -> dict[str, Any]:
        """Situation -> test `RankingResult` under attack and noise; {} without tables or sizes.

        One perturbation of the embedding tables, from the gradient of the pairwise loss over all
        training triples. Its size is relative to the model's own mean row norm, and its scores
        are divided by the model's typical margin: a model cannot gain by growing its vectors,
        neither in length nor by a loss that has gone flat. The same attack on the plain loss
        stands beside it.
        """
        from tfadvrec import adversary, losses
        from tfadvrec.audit.attacker import Attacker

        tables = embedding_tables(model)
        if not tables or not self.recipe.attack["relative_epsilon"]:
            return {}
        loss = losses.BayesianPersonalizedRanking()
        attacker = Attacker(model, self.triples(), loss, variables=tables)
        results, steps = {}, self.recipe.attack["steps"]
        for relative in self.recipe.attack["relative_epsilon"]:
            size, norm = relative * attacker.norms["all"], self.recipe.attack["norm"]
            climb = adversary.ProjectedGradient(size, steps=steps, norm=norm)
            moves = {
                f"attacked {relative:g}": (climb, attacker.scale),
                f"attacked, plain loss {relative:g}": (climb, 1.0),
                f"noise {relative:g}": (adversary.RandomNoise(size, norm=norm), 1.0),
            }
            for situation, (perturbation, scale) in moves.items():
                deltas, _ = attacker.attack(perturbation, seed=ATTACK_SEED, scale=scale)
                with attacker.moved(deltas):
                    results[situation] = self.measured(model, "test")
        return results

    def triples(self) -> list[Any]:
        """The training triples that the attack's gradient is summed over."""
        from tfadvrec.audit.triples import training_triples

        if self._triples is None:
            self._triples = training_triples(self.split.train, seed=ATTACK_SEED)
        return self._triples

    def situations(self) -> dict[str, str]:
        """What each situation of `attacked` is, in words."""
        attack, told = self.recipe.attack, {}
        for relative in attack["relative_epsilon"]:
            size = f"{relative:g} times the model's own mean row norm ({attack['norm']})"
            told[f"attacked {relative:g}"] = (
                f"ProjectedGradient of {attack['steps']} steps on the embedding tables, one "
                f"perturbation from the gradient over all training triples, scores divided by the "
                f"model's typical margin, size {size}; test part."
            )
            told[f"attacked, plain loss {relative:g}"] = (
                "The same attack on the loss as it was trained, whose gradient is weak where the "
                f"model is sure; size {size}; test part."
            )
            told[f"noise {relative:g}"] = f"Random directions of the same size, {size}; test part."
        return told

    def baselines(
        self, names: Sequence[str], choices: Mapping[str, dict[str, list]] = BASELINES
    ) -> dict[str, Any]:
        """Fits baselines, their settings chosen on the validation part, or a tenth of train.

        Where new items are ranked, nothing in train stands for a validation part that is missing:
        the defaults stay.

        Args:
            names: Class names.
            choices: Class name -> argument -> values to choose from.

        Returns:
            Name -> `Run`.
        """
        from tfadvrec.recipes.running import run_recipe

        fitted = {}
        chooses = "validation" in self.tasks or self.recipe.candidates == "all"
        for name in names:
            recipe = Recipe(
                name=name,
                data=self.recipe.data,
                model={"class": name},
                choose=choices.get(name, {}) if chooses else {},
                evaluation={"candidates": self.recipe.candidates},
            )
            fitted[name] = run_recipe(recipe, split=self.split)
        return fitted

    def measured(self, model: Any, part: str) -> Any:
        """The `RankingResult` of a model on a part."""
        return self.tasks[part].evaluate(model, k=self.recipe.k, metrics=self.metrics)

    def norm(self, model: Any) -> float | None:
        """Mean l2 norm over all rows of the model's embedding tables; None where it has none."""
        return mean_row_norm(model)


def embedding_tables(model: Any) -> list[Any]:
    """The embedding tables that a model ranks by; none for a model without."""
    from tfadvrec import adversary

    try:
        return adversary.served_tables(model)
    except ValueError:
        return []


def mean_row_norm(model: Any) -> float | None:
    """Mean l2 norm over all rows of a model's embedding tables; `None` where it has none."""
    norms = [np.linalg.norm(t.numpy(), axis=-1).ravel() for t in embedding_tables(model)]
    return float(np.concatenate(norms).mean()) if norms else None


def measure(recipe: Recipe, split: Any, model: Any, *, attack: bool = True) -> dict[str, Any]:
    """A model's figures: part or situation -> `RankingResult`.

    Args:
        recipe: The recipe, for the list lengths, metrics and attack.
        split: The data.
        model: The model.
        attack: Whether to attack it too.
    """
    measuring = Measuring(recipe, split)
    return {**measuring.clean(model), **(measuring.attacked(model) if attack else {})}


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures over training seeds, as `metrics.json` holds them.

    Args:
        results: One mapping (situation -> `RankingResult`) a seed, the shipped model's first.

    Returns:
        Situation -> metric -> mean and standard deviation over seeds, each seed's value, and the
        95% bootstrap interval over users of the first seed.
    """
    from tfadvrec.evaluation import over_seeds

    table: dict[str, dict[str, Any]] = {}
    for situation, first in results[0].items():
        rows = over_seeds([result[situation] for result in results])
        intervals = _intervals(first)
        table[situation] = {}
        for metric, row in rows.items():
            if not np.isfinite(row["mean"]):
                continue
            table[situation][metric] = {
                "mean": row["mean"],
                "std": row["sd"],
                "seeds": [float(v) for v in row["values"]],
                "interval": list(intervals[metric]) if metric in intervals else None,
            }
    return table


def _intervals(result: Any) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of a ranking's metrics, or of the errors of ratings and clicks."""
    if hasattr(result, "intervals"):
        return result.intervals()
    return {metric: result.interval(metric) for metric in result.means}
