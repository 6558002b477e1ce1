"""The sections of a recipe as objects: model, loss, optimizer, batches, adversary."""

import inspect
from collections.abc import Mapping
from typing import Any

from tfadvrec.presets.configuration import arguments_of
from tfadvrec.recipes.recipe import Recipe
from tfadvrec.recipes.schema import RecipeError, unknown

EPOCH = 2**31 - 1  # batches in a block: more than an epoch ever has
PERTURBATIONS = ("FastGradient", "ProjectedGradient", "RandomNoise", "FreeLB", "VirtualAdversarial")
MAGNITUDES = ("RelativeEpsilon", "LossBasedEpsilon", "NormBasedEpsilon", "WarmUp")


def make_model(recipe: Recipe, train: Any, *, seed: int) -> Any:
    """The recipe's model with the rows of a log.

    A class with `for_log` (features) is made by it from the training part; any other from its
    constructor. A class that takes a `seed` gets the run's.

    Args:
        recipe: The recipe.
        train: The training part.
        seed: The run's seed.

    Returns:
        The model, or None where it is no recommender and the recipe's game makes it.
    """
    settings = dict(recipe.model)
    cls = model_class(settings.pop("class"))
    if recipe.game and not hasattr(cls, "score_catalogue"):
        return None  # the game makes it, out of the log's columns
    accepted, _ = arguments_of(cls)
    accepted = {name: hint for name, hint in accepted.items() if name not in ("n_users", "n_items")}
    for key in settings:
        if key not in accepted:
            raise RecipeError(unknown(f"[model] {cls.__name__}", key, sorted(accepted)))
    if "seed" in accepted:
        settings.setdefault("seed", seed)
    try:
        if hasattr(cls, "for_log"):
            return cls.for_log(train, **settings)
        model = cls(n_users=train.n_users, n_items=train.n_items, **settings)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"[model] {cls.__name__}: {error}") from error
    return model.bind(train)


def makes_behaviour(recipe: Recipe) -> bool:
    """Whether the model makes logs, and predicts nothing that could be measured on one."""
    scores = hasattr(model_class(recipe.model["class"]), "score_catalogue")
    return recipe.task == "ranking" and not scores


def model_class(name: str) -> type:
    """A public model class of the package by name."""
    from tfadvrec import models

    if name not in models.__all__ or name in ("Recommender", "KerasRecommender"):
        raise RecipeError(unknown("[model]", name, models.__all__, what="class ="))
    return getattr(models, name)


def make_loss(recipe: Recipe) -> Any:
    """The recipe's loss."""
    import keras

    from tfadvrec import losses

    known = {
        name: cls
        for name, cls in vars(losses).items()
        if inspect.isclass(cls) and issubclass(cls, keras.losses.Loss)
    }
    return made("[loss]", recipe.loss, known)


def make_optimizer(recipe: Recipe, stage: Mapping[str, Any]) -> Any:
    """A fresh optimizer for a stage, of Keras or row-sparse: accumulators start anew."""
    import keras

    from tfadvrec import optimizers

    known = {
        name: cls
        for name, cls in vars(keras.optimizers).items()
        if inspect.isclass(cls) and issubclass(cls, keras.optimizers.Optimizer)
    }
    ours = ("LazyAdam", "RowWiseAdagrad", "SparseAdagrad", "SparseSGD")
    known |= {name: getattr(optimizers, name) for name in ours}
    settings = dict(recipe.optimizer)
    if "learning_rate" in stage:
        settings["learning_rate"] = stage["learning_rate"]
    return made("[optimizer]", settings, known)


def make_batches(recipe: Recipe, train: Any, *, seed: int, model: Any = None) -> Any:
    """The recipe's batches of a log, as a dataset of one epoch that is drawn anew each time.

    `block = "epoch"`, the default, runs an epoch as one compiled step. A click log's batches are
    made by the model, which knows the columns that it reads.
    """
    from tfadvrec import data

    settings = dict(recipe.sampling)
    kind = settings.pop("kind")
    rows = len(train)
    if kind == "sequences":
        rows = _of_sequences(recipe, settings, train)
    size = min(settings.pop("batch_size"), rows)
    block = settings.pop("block", "epoch")
    if block not in ("epoch", "none") and type(block) is not int:
        raise RecipeError(f'[sampling] block must be "epoch", "none" or a number; got {block!r}.')
    steps = {"epoch": EPOCH, "none": None}.get(block, block)
    if kind == "clicks":
        return model.batches(train, batch_size=size, seed=seed, block=steps)
    return getattr(data, kind)(train, batch_size=size, seed=seed, block=steps, **settings)


def _of_sequences(recipe: Recipe, settings: dict[str, Any], train: Any) -> int:
    """Settles the options of sequences, which the model's length decides; gives their number."""
    from tfadvrec.data.sequence_sampling import sequence_count

    cls = model_class(recipe.model["class"])
    default = inspect.signature(cls.__init__).parameters.get("length")
    if default is None:
        raise RecipeError(
            f'[sampling] kind = "sequences" is for models that read a user\'s events in their '
            f"order (SelfAttentive, Recurrent); {cls.__name__} does not."
        )
    length = recipe.model.get("length", default.default)
    if settings.setdefault("length", length) != length:
        raise RecipeError(
            f"[sampling] length = {settings['length']!r}, but the model reads {length} events. "
            "Leave it out: it is the model's."
        )
    windows = settings.get("windows", 1)
    if isinstance(windows, str) and windows != "all":
        raise RecipeError(f'[sampling] windows must be "all" or a number; got {windows!r}.')
    windows = settings["windows"] = None if windows == "all" else windows
    return sequence_count(train, length=length, windows=windows)


def make_adversary(model: Any, settings: Mapping[str, Any], *, seed: int) -> Any:
    """A model wrapped to be trained against a stage's adversary."""
    from tfadvrec import adversary

    settings = dict(settings)
    weight = settings.pop("weight", 1.0)
    target, pattern = settings.pop("target", "embedding_tables"), settings.pop("pattern", None)
    per = settings.pop("per", None)
    targets = ("embedding_tables", "input_features", "outputs_of", "variables")
    if target not in targets:
        raise RecipeError(unknown("adversary", target, targets, what="target ="))
    if target in ("outputs_of", "variables") and pattern is None:
        raise RecipeError(f'adversary: target = "{target}" needs pattern = "...".')
    if per is not None and (target != "outputs_of" or per not in ("vector", "example")):
        raise RecipeError(
            'adversary: per must be "vector" or "example", and belongs to target = "outputs_of"; '
            f"got per = {per!r} with target = {target!r}."
        )
    arguments = [argument for argument in (pattern, per) if argument is not None]
    attacked = getattr(adversary, target)(*arguments)
    settings["class"] = settings.pop("perturbation")
    settings["epsilon"] = make_epsilon("adversary epsilon", settings["epsilon"])
    known = {name: getattr(adversary, name) for name in PERTURBATIONS}
    perturbation = made("adversary", settings, known)
    return adversary.AdversarialTraining(model, perturbation, weight, target=attacked, seed=seed)


def make_epsilon(where: str, epsilon: Any) -> Any:
    """A size as a recipe gives it: a number, or a table that names a magnitude's class.

    The magnitude's own `epsilon` may again be a table:
    `{class = "WarmUp", over = 10, epsilon = {class = "RelativeEpsilon", fraction = 0.3}}`.
    """
    from tfadvrec import adversary

    if not isinstance(epsilon, Mapping):
        return epsilon
    settings = dict(epsilon)
    if "epsilon" in settings:
        settings["epsilon"] = make_epsilon(f"{where} epsilon", settings["epsilon"])
    known = {name: getattr(adversary, name) for name in MAGNITUDES}
    return made(where, settings, known)


def made(where: str, settings: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    """An object of a class that is named in a table, from the table's other keys."""
    settings = dict(settings)
    name = settings.pop("class", None)
    if name not in known:
        raise RecipeError(unknown(where, name, sorted(known), what="class ="))
    accepted, _ = arguments_of(known[name])
    accepted |= dict.fromkeys(inspect.signature(known[name].__init__).parameters)
    for key in settings:
        if key not in accepted:
            names = sorted(set(accepted) - {"self", "kwargs"})
            raise RecipeError(unknown(f"{where} {name}", key, names))
    try:
        return known[name](**settings)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where} {name}: {error}") from error
