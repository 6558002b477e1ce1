"""Which figures a recipe asks for."""

from typing import Any

from tfadvrec.recipes.measuring import Measuring
from tfadvrec.recipes.measuring_clicks import ClickMeasuring
from tfadvrec.recipes.measuring_ratings import RatingMeasuring
from tfadvrec.recipes.recipe import Recipe

_KINDS = {"ranking": Measuring, "ratings": RatingMeasuring, "clicks": ClickMeasuring}


def measuring_of(recipe: Recipe, split: Any) -> Measuring | RatingMeasuring | ClickMeasuring:
    """Everything that all models of a recipe are measured on, by its task.

    Each kind has `parts`, `clean`, `measured`, `attacked`, `situations`, `baselines` and `norm`.
    """
    return _KINDS[recipe.task](recipe, split)
