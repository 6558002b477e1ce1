"""The signatures that a servable can offer: names, dtypes and shapes, in one place."""

from typing import Any

import numpy as np

NAMES = (
    "serving_default",
    "recommend",
    "recommend_excluding",
    "score",
    "embed_user",
    "embed_item",
)
FACTORISED_ONLY = ("embed_user", "embed_item")
UNKNOWN_USER = ("mean", "empty")
METHOD = "tensorflow/serving/predict"
MASKED_SCORE = float(np.finfo(np.float32).min)


def interface(*, width: int, max_exclude: int, dimension: int | None) -> dict[str, dict[str, Any]]:
    """Lists the inputs and outputs of every signature; -1 is the batch.

    Args:
        width: Length of the lists, `min(k, n_items)`.
        max_exclude: Width of `exclude`.
        dimension: Width of the vectors; None for a model that has none.

    Returns:
        Signature -> `{"inputs": {name: {"dtype", "shape"}}, "outputs": ...}`.

    Example:

    >>> interface(width=10, max_exclude=4, dimension=None)["score"]["inputs"]["user_id"]
    {'dtype': 'string', 'shape': [-1]}
    """
    user, item = {"user_id": tensor("string")}, {"item_id": tensor("string")}
    listed = {
        "item_id": tensor("string", width),
        "score": tensor("float32", width),
        "known_user": tensor("bool"),
    }
    pair = {
        "score": tensor("float32"),
        "known_user": tensor("bool"),
        "known_item": tensor("bool"),
    }
    offered = {
        "serving_default": {"inputs": user, "outputs": listed},
        "recommend": {"inputs": user, "outputs": listed},
        "recommend_excluding": {
            "inputs": user | {"exclude": tensor("string", max_exclude)},
            "outputs": listed,
        },
        "score": {"inputs": user | item, "outputs": pair},
    }
    if dimension is not None:
        vector = {"embedding": tensor("float32", dimension)}
        offered["embed_user"] = {"inputs": user, "outputs": vector | {"known_user": tensor("bool")}}
        offered["embed_item"] = {"inputs": item, "outputs": vector | {"known_item": tensor("bool")}}
    return offered


def tensor(dtype: str, *width: int) -> dict[str, Any]:
    """Describes a tensor whose first dimension is the batch."""
    return {"dtype": dtype, "shape": [-1, *width]}
