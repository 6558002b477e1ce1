"""The rows that stand beside every number."""

from collections.abc import Mapping
from typing import Any

from tfadvrec.evaluation import Random

# EASE and ItemKNN hold a matrix of items times items.
_LARGEST = 10_000


def default_baselines(
    train: Any, seed: int, *, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str]:
    """Random, and the caller's baselines or the default ones fitted on `train`.

    Args:
        train: The training `Interactions`.
        seed: Seed of the random ranking.
        given: Label -> fitted model, or `None` for the defaults.

    Returns:
        Label -> model, and a remark on where they come from.
    """
    sizes = {"n_users": train.n_users, "n_items": train.n_items}
    found: dict[str, Any] = {"random": Random(**sizes, seed=seed)}
    if given is not None:
        return found | dict(given), "given by the caller; the random ranking is the report's own"
    from tfadvrec.models import EASE, ItemKNN, MostPopular

    found["most popular"] = MostPopular(**sizes).fit(train)
    remark = "fitted on train with default settings, not tuned"
    if train.n_items > _LARGEST:
        return found, f"{remark}; ItemKNN and EASE left out above {_LARGEST} items"
    found["item kNN"] = ItemKNN(**sizes).fit(train)
    found["EASE"] = EASE(**sizes).fit(train)
    return found, remark
