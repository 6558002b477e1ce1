"""What a recipe ranks: the held-out part of a split, over all items or the cold ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.schema import RecipeError


def ranking_task(recipe: Recipe, train: Any, held: Any, *, seen: Sequence[Any] = ()) -> Any:
    """The `RankingTask` of a held-out part, over the candidates that the recipe asks for."""
    from tfadvrec.evaluation import RankingTask

    items = None
    if recipe.candidates == "cold":
        items = np.flatnonzero((held.popularity() > 0) & (train.popularity() == 0))
        if not len(items):
            raise RecipeError(
                '[evaluation] candidates = "cold", and every held-out item has interactions in the '
                'training part. Hold items out whole with [split] kind = "cold_items".'
            )
    return RankingTask(train, held, seen=seen, items=items)
