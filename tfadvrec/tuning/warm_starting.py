"""Warm start: a model begins where another library's vectors ended."""

import sys
from dataclasses import dataclass

import keras
import numpy as np

from tfadvrec.models.biased_matrix_factorization import BiasedMatrixFactorization
from tfadvrec.models.matrix_factorization import MatrixFactorization
from tfadvrec.models.recommender import Recommender
from tfadvrec.models.two_tower import TwoTower
from tfadvrec.tuning.factors import Factors


@dataclass(frozen=True)
class _Side:
    """Where one side's rows go: table, biases, a factor, and a layer that becomes the identity."""

    table: keras.Variable
    bias: keras.Variable | None = None
    scale: float = 1.0
    out: keras.layers.Dense | None = None


def warm_start(model: Recommender, factors: Factors, *, verbose: bool = True) -> Recommender:
    """Gives a model the vectors of `Factors`, row by row where ids are equal.

    - `MatrixFactorization`, `BiasedMatrixFactorization`: afterwards `score = U V^T` plus the biases
      of both (and the mean of a `BiasedMatrixFactorization`, which stays). Biases of the model that
      the factors do not give stay as they are.
    - `TwoTower` with linear towers over ids alone: the matrix of each side that is given becomes
      the identity; with `similarity="dot"` the scores are `U V^T` (the user's vector takes the
      temperature), with `"cosine"` the cosines divided by the temperature.

    Rows that nothing matches keep what they are. Nothing changes when anything is refused.

    Args:
        model: The model. It has ids (`bind` or `set_ids`) where the factors have some.
        factors: Vectors, biases and ids.
        verbose: Whether to say on standard error how many rows matched.

    Returns:
        The model; `model.matched` records, for each side that was given,
        `{"rows": ..., "known": ..., "new": ...}`.

    Raises:
        TypeError: The model is of another kind.
        ValueError: The width differs from the model's (see `Factors.reduced`), no id or not every
            row matches, or the model has no place for the biases.

    Example:

    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=2, n_items=3, dimension=2, seed=0)
    >>> model.set_ids(np.array([7, 8]), np.array(["a", "b", "c"]))
    >>> factors = Factors([[1, 0], [0, 1]], [[3, 5], [4, 6]], item_ids=["c", "a"])
    >>> warm_start(model, factors, verbose=False).matched["item"]
    {'rows': 3, 'known': 2, 'new': 1}
    >>> model.score_catalogue([0, 1]).numpy()[:, [0, 2]].tolist()
    [[4.0, 3.0], [6.0, 5.0]]
    """
    sides = _places(model)
    planned: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for side, place in sides.items():
        vectors = getattr(factors, f"{side}_factors")
        if vectors is not None:
            _check(model, place, side, factors)
            planned[side] = _rows(model, side, factors)
    matched = {}
    for side, (here, there) in planned.items():
        place, biases = sides[side], getattr(factors, f"{side}_biases")
        vectors = getattr(factors, f"{side}_factors")[there]
        _put(place.table, here, vectors * np.asarray(place.scale, vectors.dtype))
        if biases is not None:
            _put(place.bias, here, biases[there])
        rows = place.table.shape[0]
        matched[side] = {"rows": rows, "known": len(here), "new": rows - len(here)}
        if place.out is not None:
            place.out.kernel.assign(np.eye(factors.width))
            place.out.bias.assign(np.zeros(factors.width))
    model.matched = matched
    if verbose:
        for side, counts in matched.items():
            print(
                f"{counts['known']:,} of {counts['rows']:,} {side}s start from the given vectors; "
                f"{counts['new']:,} keep their own.",
                file=sys.stderr,
            )
    return model


def _places(model: Recommender) -> dict[str, _Side]:
    """Where the rows of each side go."""
    if isinstance(model, TwoTower):
        return _places_of_towers(model)
    if isinstance(model, MatrixFactorization):
        biases = {"user": None, "item": model.bias}
    elif isinstance(model, BiasedMatrixFactorization):
        biases = {"user": model.user_bias, "item": model.item_bias}
    else:
        raise TypeError(
            "warm_start is for MatrixFactorization, BiasedMatrixFactorization and linear TwoTower "
            "models, which rank by inner products of their rows' vectors. Received: "
            f"{type(model).__name__}"
        )
    tables = {"user": model.user_embedding, "item": model.item_embedding}
    return {side: _Side(table.embeddings, biases[side]) for side, table in tables.items()}


def _places_of_towers(model: TwoTower) -> dict[str, _Side]:
    """The id vectors of linear towers."""
    dot, sides = model.similarity == "dot", {}
    for side, tower in (("user", model.user_tower), ("item", model.item_tower)):
        own = None if tower.identity is None else tower.identity.output_dim
        if model.hidden or tower.columns or own != model.dimension:
            raise ValueError(
                f"the {side} tower of {model.name!r} turns its rows' vectors into others, so that "
                "vectors from elsewhere would mean nothing in it. warm_start takes a TwoTower with "
                "hidden=(), without features and with id vectors as wide as its dimension; here "
                f"hidden={model.hidden}, {len(tower.columns)} features, id width {own}, dimension "
                f"{model.dimension}. Or make a MatrixFactorization and let it teach the towers: "
                "tuning.Distillation."
            )
        scale = model.temperature if dot and side == "user" else 1.0
        (out,) = tower.perceptron
        sides[side] = _Side(tower.identity.embeddings, scale=scale, out=out)
    return sides


def _check(model: Recommender, place: _Side, side: str, factors: Factors) -> None:
    """Refuses vectors and biases that the model has no place for."""
    width = place.table.shape[1]
    if factors.width != width:
        narrower = (
            f" or give factors.reduced({width}), which keeps the inner products as well as "
            f"{width} numbers can"
            if factors.width > width
            else ""
        )
        raise ValueError(
            f"the vectors have {factors.width} numbers and {model.name!r} has {width}. Make the "
            f"model with dimension={factors.width}{narrower}."
        )
    if getattr(factors, f"{side}_biases") is not None and place.bias is None:
        hint = {
            "user": "A user's bias changes no ranking: leave it out with "
            "dataclasses.replace(factors, user_biases=None), or use BiasedMatrixFactorization.",
            "item": "Make it MatrixFactorization(item_bias=True) or BiasedMatrixFactorization.",
        }
        raise ValueError(
            f"the factors have {side} biases and {model.name!r} has no place for them. {hint[side]}"
        )


def _rows(model: Recommender, side: str, factors: Factors) -> tuple[np.ndarray, np.ndarray]:
    """The model's rows that are given, and which rows of the factors they are."""
    rows = model.n_users if side == "user" else model.n_items
    given, count = getattr(factors, f"{side}_ids"), len(getattr(factors, f"{side}_factors"))
    if given is None:
        if count != rows:
            raise ValueError(
                f"the factors have {count:,} {side}s without ids and {model.name!r} has {rows:,}. "
                f"Give the id of each row: Factors(..., {side}_ids=...)."
            )
        return np.arange(rows), np.arange(rows)
    own = model.user_ids if side == "user" else model.item_ids
    if own is None:
        raise ValueError(
            f"the factors name their {side}s by ids and {model.name!r} does not know its own: call "
            "model.bind(log) or model.set_ids(user_ids, item_ids) first."
        )
    place = {identity: row for row, identity in enumerate(given.tolist())}
    found = np.array([place.get(identity, -1) for identity in np.asarray(own).tolist()])
    here = np.flatnonzero(found >= 0)
    if not len(here):
        raise ValueError(
            f"none of the {rows:,} {side}s of {model.name!r} is among the factors' ids: the "
            f"model's look like {np.asarray(own)[:3].tolist()}, theirs like "
            f"{given[:3].tolist()}. Text and integers differ."
        )
    return here, found[here]


def _put(variable: keras.Variable, rows: np.ndarray, values: np.ndarray) -> None:
    """Writes some rows of a variable."""
    whole = variable.numpy()
    whole[rows] = values
    variable.assign(whole)
