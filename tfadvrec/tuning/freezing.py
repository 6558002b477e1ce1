"""Freezing: towers, layers and weights that stand still for a while."""

from collections.abc import Iterator

import keras

from tfadvrec.adversary.model_training import ModelTraining
from tfadvrec.adversary.outputs import named
from tfadvrec.training.frozen import is_frozen, mark_frozen, optimized_variables

Part = keras.layers.Layer | keras.Variable


def freeze(model: keras.Model, pattern: str) -> list[str]:
    """Keeps layers and weights as they are until `unfreeze`.

    Training does not move them, an adversary does not attack them (they are no longer trainable in
    Keras's own sense), and batch normalisation among them uses what it has learned. The optimizer
    is built over them all the same, so that they keep their slots and can be unfrozen later; in a
    Keras model that is not ours, compile before you freeze. A step that was compiled before is
    traced again by the next `fit`, `train_on_batch` or block.

    What is frozen is not saved with a model of this package; freeze it again after loading.

    Args:
        model: Any built Keras model, or a training around one: `AdversarialTraining`,
            `AdversarialNegatives`, `Distillation`. Give the model whose `fit` you call.
        pattern: A regular expression that the path of a layer (`"item_tower"`,
            `"item_tower/out"`) or of a weight (`"item_rows"`, `"item_tower/out/bias"`) contains, up
            to some part of its own name. All that a layer holds is frozen with it.

    Returns:
        The paths of the weights that have been frozen now.

    Raises:
        ValueError: Nothing that can be trained is named so, or the model is not built.

    Example:

    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=3, n_items=5, dimension=4, item_bias=True)
    >>> freeze(model, "item")
    ['item_rows', 'item_embedding/embeddings']
    >>> [v.name for v in model.trainable_variables]
    ['embeddings']
    >>> unfreeze(model, "bias|rows")
    ['item_rows']
    """
    trained = _trained(model)
    found, under = _found(trained, pattern)
    changed = [path for path, weight in found if weight.trainable]
    for _, weight in found:
        if weight.trainable:
            mark_frozen(weight, True)
            weight.trainable = False
    for layer in _leaves(trained):
        own = layer._trainable_variables
        still = own and not any(v.trainable for v in own)
        if layer.trainable and (id(layer) in under or still):
            mark_frozen(layer, True)  # batch normalisation looks at its layer
            layer.trainable = False
    if changed:
        _renew(model, trained)
    return changed


def unfreeze(model: keras.Model, pattern: str = "") -> list[str]:
    """Lets train again what `freeze` has frozen; their optimizer slots are what they were.

    What was never trainable (tables of features, tables that a graph model computes) stays so, and
    so do layers that were made or set `trainable=False` otherwise.

    Args:
        model: See `freeze`.
        pattern: See `freeze`; everything by default.

    Returns:
        The paths of the weights that train again.

    Raises:
        ValueError: Nothing is named so; what is named so was not frozen by `freeze`; or the
            optimizer was built without it.
    """
    frozen, under = unfreezable(model, pattern)
    trained, chosen = _trained(model), {id(weight) for _, weight in frozen}
    for layer in _leaves(trained):
        own = layer._trainable_variables
        if is_frozen(layer) and (id(layer) in under or any(id(v) in chosen for v in own)):
            still = [v for v in own if id(v) not in chosen]
            mark_frozen(layer, False)
            layer.trainable = True
            for weight in still:
                weight.trainable = False
    for _, weight in frozen:
        mark_frozen(weight, False)
        weight.trainable = True
    if frozen:
        _renew(model, trained)
    return [path for path, _ in frozen]


def unfreezable(
    model: keras.Model, pattern: str
) -> tuple[list[tuple[str, keras.Variable]], set[int]]:
    """The frozen weights that `unfreeze` would let train again, and the layers they are named by.

    Raises:
        ValueError: See `unfreeze`.
    """
    trained = _trained(model)
    found, under = _found(trained, pattern)
    frozen = [(path, weight) for path, weight in found if is_frozen(weight)]
    if not frozen and not any(weight.trainable for _, weight in found):
        raise ValueError(
            f"unfreeze({pattern!r}) names {[path for path, _ in found][:10]}, which freeze has not "
            "frozen: they were made or set trainable=False. Set `layer.trainable = True` yourself "
            "if that is meant."
        )
    _check_slots(trained, frozen)
    return frozen, under


def _trained(model: keras.Model) -> keras.Model:
    """The model inside all trainings around it."""
    while isinstance(model, ModelTraining):
        model = model.model
    if not model.built:
        raise ValueError(
            f"{model.name!r} has no weights yet: call or build it before you freeze parts of it."
        )
    return model


def _found(model: keras.Model, pattern: str) -> tuple[list[tuple[str, keras.Variable]], set[int]]:
    """What a pattern names: weights that training could move, each once, and layers by their id.

    Raises:
        ValueError: There is no such weight.
    """
    parts = list(_parts(model, ""))
    found: dict[int, tuple[str, keras.Variable]] = {}
    under: set[int] = set()
    for path, part in parts:
        if not named(path, pattern):
            continue
        inner = list(_parts(part, f"{path}/")) if isinstance(part, keras.layers.Layer) else []
        for inside, one in ((path, part), *inner):
            if isinstance(one, keras.Variable):
                found.setdefault(id(one), (inside, one))
            else:
                under.add(id(one))
    if not found:
        names = sorted({path for path, _ in parts})
        raise ValueError(
            f"{pattern!r} names nothing of {model.name!r} that can be trained. Its layers and "
            f"weights: {names[:30]}. Give a regular expression that one of them contains."
        )
    return list(found.values()), under


def _parts(layer: keras.layers.Layer, above: str) -> Iterator[tuple[str, Part]]:
    """The weights that training could move and the layers that a layer holds, with their paths."""
    for weight in layer._trainable_variables:
        yield above + weight.name, weight
    for inner in layer._layers:
        path = above + inner.name
        yield path, inner
        yield from _parts(inner, path + "/")


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that hold no others: what `trainable` is set on, one by one."""
    return [layer for layer in model._flatten_layers(include_self=False) if not layer._layers]


def _check_slots(model: keras.Model, frozen: list[tuple[str, keras.Variable]]) -> None:
    """Refuses to unfreeze what the optimizer does not know."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return
    known = {id(v) for v in optimizer._trainable_variables}
    unknown = [path for path, weight in frozen if id(weight) not in known]
    if unknown:
        raise ValueError(
            f"the optimizer of {model.name!r} was built while {unknown[:10]} were frozen, and has "
            "no slots for them. Compile the model again with a fresh optimizer, then unfreeze; or, "
            "next time, compile it before you freeze."
        )


def _renew(outer: keras.Model, trained: keras.Model) -> None:
    """Builds the optimizer over what is frozen too, and forgets steps traced for other weights."""
    optimizer = getattr(trained, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(optimized_variables(trained))
    outer.train_function = trained.train_function = None
