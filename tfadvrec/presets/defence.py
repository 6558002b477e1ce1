"""What a preset's defence is worth, read from its figures: beside its twin, at a common size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

ATTACKS = ("attacked, plain loss ", "attacked ")  # the longer first


@dataclass(frozen=True)
class Defence:
    """A defended preset at the size of attack where its undefended twin has lost half.

    Attributes:
        size: That size, relative to each model's own mean row norm; interpolated between measured
            sizes. Where the twin never loses half, the largest measured one.
        halved: Whether the twin has lost half there.
        kept: The share of its own clean metric that the preset keeps there.
        twin_kept: The same of the twin.
        clean: The preset's clean metric over the twin's, minus 1.
    """

    size: float
    halved: bool
    kept: float
    twin_kept: float
    clean: float


def curve(model: Mapping[str, Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A model's metric over the relative size of the attack, size 0 first.

    Of the attacks of one size the worst for the model counts.

    Args:
        model: A model's part of `metrics.json`: situation -> metric -> figure.
        metric: The metric's name.

    Returns:
        Sizes and means, of length 1 for a model that was not attacked, 0 where it has no such
        metric.
    """
    points = {0.0: model["test"][metric]["mean"]} if metric in model.get("test", {}) else {}
    for situation, figures in model.items():
        size = _size(situation)
        if points and size is not None and metric in figures:
            points[size] = min(points.get(size, np.inf), figures[metric]["mean"])
    sizes = np.array(sorted(points))
    return sizes, np.array([points[size] for size in sizes])


def defence(metrics: Mapping[str, Any], name: str, metric: str) -> Defence | None:
    """Compares a preset with its twin.

    Args:
        metrics: The parsed `metrics.json` of the preset.
        name: The preset's name in it.
        metric: The metric's name.

    Returns:
        None for a preset without a twin, or without an attack.

    Example:

    >>> figures = {0: [0.4, 0.5], 0.2: [0.36, 0.3], 0.4: [0.2, 0.2]}
    >>> models = {label: {f"attacked {size}" if size else "test": {"ndcg@10": {"mean": of[at]}}
    ...     for size, of in figures.items()} for at, label in enumerate(["mine", "plain"])}
    >>> found = defence({"twin": "plain", "models": models}, "mine", "ndcg@10")
    >>> round(found.size, 3), round(found.kept, 3), found.halved, round(found.clean, 3)
    (0.3, 0.7, True, -0.2)
    """
    models, twin = metrics.get("models", {}), metrics.get("twin")
    sizes, own = curve(models.get(name, {}), metric)
    twin_sizes, twins = curve(models.get(twin, {}), metric)
    if len(sizes) < 2 or not np.array_equal(sizes, twin_sizes) or min(own[0], twins[0]) <= 0:
        return None
    size = _falls_to(sizes, twins, 0.5 * twins[0])
    at = float(sizes[-1] if size is None else size)
    return Defence(
        size=at,
        halved=size is not None,
        kept=float(np.interp(at, sizes, own) / own[0]),
        twin_kept=float(np.interp(at, sizes, twins) / twins[0]),
        clean=float(own[0] / twins[0] - 1),
    )


def _falls_to(sizes: np.ndarray, values: np.ndarray, level: float) -> float | None:
    """The first size where a curve crosses a level from above."""
    for place in np.flatnonzero(values <= level):
        before, after = values[place - 1], values[place]
        share = (before - level) / (before - after)
        return float(sizes[place - 1] + share * (sizes[place] - sizes[place - 1]))
    return None


def _size(situation: str) -> float | None:
    """The size of the attack that a situation is, None for any other situation."""
    for attack in ATTACKS:
        if situation.startswith(attack):
            text = situation.removeprefix(attack)
            return float(text) if text.replace(".", "", 1).isdigit() else None
    return None
