"""What the figures of ratings and of clicks share: one result a held-out part."""

from typing import Any

from tfadvrec.recipes.recipe import Recipe


class PartMeasuring:
    """What all models of a recipe are measured on; a concrete one implements `measured`.

    Args:
        recipe: The recipe.
        split: The data.

    Attributes:
        parts: `"validation"` (where there is one) and `"test"` -> the part.
    """

    def __init__(self, recipe: Recipe, split: Any) -> None:
        self.recipe, self.split = recipe, split
        self.parts = {"test": split.test}
        if split.validation is not None and len(split.validation):
            self.parts = {"validation": split.validation, "test": split.test}

    def measured(self, model: Any, part: str) -> Any:
        """The result of a model on a part."""
        raise NotImplementedError

    def clean(self, model: Any) -> dict[str, Any]:
        """Part -> the result of a model as it is."""
        return {part: self.measured(model, part) for part in self.parts}
