"""The [game] of a recipe: generator against discriminator, and its health."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from tfadvrec.recipes.making import EPOCH, made, make_optimizer
from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.schema import GAME_COMPILE, GAME_PARTS, RecipeError, unknown

LOOKS = 20  # how often a training's health is measured, at most


class Playing:
    """A recipe's game on a log, through all stages that play it.

    Args:
        recipe: The recipe, with a `[game]`.
        train: The training part.
        model: The product, or None where the game makes it.
        seed: The run's seed.

    Attributes:
        game: The game.
        monitor: The callback that watches its health.

    Raises:
        RecipeError: When the section names a class or an argument that does not exist.
    """

    def __init__(self, recipe: Recipe, train: Any, model: Any, *, seed: int) -> None:
        from tfadvrec.games.health import HealthMonitor

        self.recipe, self.seed = recipe, seed
        self.game = make_game(recipe, train, model, seed=seed)
        size = recipe.game["batch_size"]
        block = recipe.game.get("block", "epoch")
        if block not in ("epoch", "none") and type(block) is not int:
            raise RecipeError(f'[game] block must be "epoch", "none" or a number; got {block!r}.')
        steps = {"epoch": EPOCH, "none": None}.get(block, block)
        self.batches = self.game.batches(train, batch_size=size, seed=seed, block=steps)
        watched = train if hasattr(self.game, "observe") else None
        every = max(1, -(-recipe.epochs // LOOKS))
        action = recipe.game.get("health", "warn")
        self.monitor = HealthMonitor(watched, every=every, warm_up=every, action=action)

    def play(self, stage: Mapping[str, Any], callbacks: list[Any]) -> Any:
        """Plays a stage with fresh optimizers; gives Keras's `History`."""
        import keras

        from tfadvrec import games
        from tfadvrec.games.health import HealthWarning

        table = self.recipe.game
        losses = {
            name: getattr(games, name)
            for name in ("Minimax", "NonSaturating", "LeastSquares", "Hinge", "Wasserstein")
        }
        options = {name: table[name] for name in GAME_COMPILE if name in table}
        options |= {name: stage[name] for name in GAME_COMPILE if name in stage}
        optimizers = []
        for side in ("generator", "discriminator"):
            settings = table.get(f"{side}_optimizer", {"class": "Adam"})
            optimizers.append(make_optimizer(self.recipe.replace(optimizer=settings), stage))
        loss = made("[game.loss]", table["loss"], losses) if "loss" in table else None
        self.game.compile(*optimizers, loss, **options)
        keras.utils.set_random_seed(self.seed)
        with warnings.catch_warnings():
            # the report keeps what was warned of, and the card tells it
            warnings.simplefilter("ignore", HealthWarning)
            return self.game.fit(
                self.batches,
                epochs=stage["epochs"],
                verbose=0,
                callbacks=[self.monitor, *callbacks],
                shuffle=False,
            )


def game_class(name: str) -> type:
    """A public game of the package by name."""
    from tfadvrec import games

    known = [one for one in games.__all__ if one.endswith("Game") and one != "Game"]
    if name not in known:
        raise RecipeError(unknown("[game]", name, known, what="class ="))
    return getattr(games, name)


def make_game(recipe: Recipe, train: Any, model: Any, *, seed: int) -> Any:
    """The recipe's game for a log and a product.

    Args:
        recipe: The recipe.
        train: The training part.
        model: The product; where None, the game makes it of `[model]`'s other settings.
        seed: The run's seed.
    """
    cls = game_class(recipe.game["class"])
    known = (*GAME_PARTS, *GAME_COMPILE)
    settings = {key: value for key, value in recipe.game.items() if key not in known}
    signatures = (inspect.signature(cls.for_log), inspect.signature(cls.__init__))
    accepted = {name for signature in signatures for name in signature.parameters}
    accepted -= {"self", "cls", "log", "model", "settings", "generator", "name", "data"}
    for key in settings:
        if key not in accepted:
            raise RecipeError(unknown(f"[game] {cls.__name__}", key, sorted(accepted | set(known))))
    if model is None:
        settings["generator"] = {k: v for k, v in recipe.model.items() if k != "class"}
    try:
        return cls.for_log(train, model, seed=seed, **settings)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"[game] {cls.__name__}: {error}") from error
