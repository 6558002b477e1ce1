"""The signatures that a servable can offer: names, dtypes and shapes, in one place."""

from dataclasses import dataclass
from typing import Any

import numpy as np

NAMES = (
    "serving_default",
    "recommend",
    "recommend_excluding",
    "recommend_flex",
    "recommend_examples",
    "score",
    "embed_user",
    "embed_item",
    "generate",
    "discriminate",
    "detect",
)
UNKNOWN_USER = ("mean", "empty")
METHOD = "tensorflow/serving/predict"
MASKED_SCORE = float(np.finfo(np.float32).min)
Sides = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a model and a spec make possible, in numbers.

    Args:
        width: Length of the lists, `min(k, n_items)`.
        n_items: Number of items.
        max_exclude: Width of `exclude`.
        dimension: Width of the vectors; None for a model that has none.
        history: Width of the input `history`, where that stands for the user; else None.
        flex: Whether `recommend_flex` is offered.
        examples: Whether `recommend_examples` is offered.
        profile: Shape of one generated profile; None where there is no generator.
        discriminate: Whether the model says how real a pair is.
        detect: Whether the model says how fake a profile is.

    Example:

    >>> Offer(width=10, n_items=30, max_exclude=4).asker
    {'user_id': {'dtype': 'string', 'shape': [-1]}}
    """

    width: int
    n_items: int
    max_exclude: int
    dimension: int | None = None
    history: int | None = None
    flex: bool = True
    examples: bool = False
    profile: tuple[int, ...] | None = None
    discriminate: bool = False
    detect: bool = False

    @property
    def asker(self) -> dict[str, Any]:
        """The input that says who asks."""
        if self.history is None:
            return {"user_id": tensor("string")}
        return {"history": tensor("string", self.history)}


def interface(offer: Offer) -> dict[str, Sides]:
    """Lists the inputs and outputs of every signature; -1 is the batch, or an open width.

    Args:
        offer: What is possible.

    Returns:
        Signature -> `{"inputs": {name: {"dtype", "shape"}}, "outputs": ...}`; an input that may be
        left out has a `"default"`, whose first dimension 1 stands for any batch.

    Example:

    >>> interface(Offer(width=10, n_items=30, max_exclude=4))["score"]["inputs"]["user_id"]
    {'dtype': 'string', 'shape': [-1]}
    """
    asker, item = offer.asker, {"item_id": tensor("string")}
    user, known_item = {"known_user": tensor("bool")}, {"known_item": tensor("bool")}
    listed = _listed(offer.width)
    offered = {
        "serving_default": _sides(asker, listed),
        "recommend": _sides(asker, listed),
        "recommend_excluding": _sides(
            asker | {"exclude": tensor("string", offer.max_exclude)}, listed
        ),
        "score": _sides(asker | item, {"score": tensor("float32"), **user, **known_item}),
    }
    if offer.flex:
        offered["recommend_flex"] = _sides(asker | _flexible(offer.width), _listed(-1))
    if offer.examples:
        offered["recommend_examples"] = _sides({"examples": tensor("string")}, listed)
    if offer.dimension is not None:
        vector = {"embedding": tensor("float32", offer.dimension)}
        offered["embed_user"] = _sides(asker, vector | user)
        offered["embed_item"] = _sides(item, vector | known_item)
    if offer.profile is not None:
        seeded = asker | {"seed": tensor("int64", 2)}
        offered["generate"] = _sides(seeded, {"profile": tensor("float32", *offer.profile), **user})
    if offer.discriminate:
        real = {"p_real": tensor("float32"), **user, **known_item}
        offered["discriminate"] = _sides(asker | item, real)
    if offer.detect:
        profile = {"profile": tensor("float32", offer.n_items)}
        offered["detect"] = _sides(profile, {"p_fake": tensor("float32")})
    return {name: offered[name] for name in NAMES if name in offered}


def tensor(dtype: str, *width: int) -> dict[str, Any]:
    """Describes a tensor whose first dimension is the batch."""
    return {"dtype": dtype, "shape": [-1, *width]}


def _sides(inputs: dict[str, Any], outputs: dict[str, Any]) -> Sides:
    return {"inputs": inputs, "outputs": outputs}


def _listed(width: int) -> dict[str, Any]:
    return {
        "item_id": tensor("string", width),
        "score": tensor("float32", width),
        "known_user": tensor("bool"),
    }


def _flexible(width: int) -> dict[str, Any]:
    nothing = {"dtype": "string", "shape": [1, 1], "values": [""]}
    as_ever = {"dtype": "int32", "shape": [1], "values": [width]}
    return {
        "exclude": tensor("string", -1) | {"default": nothing},
        "k": tensor("int32") | {"default": as_ever},
    }
