"""Recipes: a TOML file becomes data, model, adversary, training, figures and a preset."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Recipe": "recipe",
        "RecipeError": "schema",
        "load_recipe": "recipe",
        "parse_recipe": "recipe",
        "run_recipe": "running",
        "Run": "running",
        "measure": "measuring",
        "train_preset": "zoo_training",
        "RunFolder": "run_folder",
        "save_run": "run_folder",
        "load_run": "run_folder",
        "quickstart": "quick_start",
    },
)
