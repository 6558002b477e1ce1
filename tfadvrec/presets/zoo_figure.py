"""A picture of the zoo: accuracy against robustness, one point a preset."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.presets.defence import curve

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def zoo_figure(
    presets: Mapping[str, tuple[str, Mapping[str, Any]]],
    path: str | os.PathLike,
    *,
    metric: str = "ndcg@10",
    size: float = 0.3,
) -> list[str]:
    """Draws each attacked preset by its clean metric and by the share that it keeps.

    An arrow leads from an undefended twin to the preset that was defended. Between measured sizes
    the attacked metric is interpolated; presets that were not attacked that far are left out.

    Args:
        presets: Name -> family and the parsed `metrics.json`.
        path: Where the PNG is written.
        metric: The metric's name.
        size: The attack's size, relative to each model's own mean row norm.

    Returns:
        The names of the presets that are shown.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    points = {}
    for name, (family, metrics) in presets.items():
        sizes, values = curve(metrics.get("models", {}).get(name, {}), metric)
        if len(sizes) > 1 and sizes[-1] >= size and values[0] > 0:
            points[name] = (family, values[0], float(np.interp(size, sizes, values)) / values[0])
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    families = sorted({family for family, _, _ in points.values()})
    for place, family in enumerate(families):
        chosen = [(x, y) for of, x, y in points.values() if of == family]
        colour = COLOURS[place % len(COLOURS)]
        axes.scatter(*zip(*chosen, strict=True), color=colour, label=family, s=36, zorder=3)
    for name, (_, x, y) in points.items():
        twin = presets[name][1].get("twin")
        side = {"xytext": (-6, -9), "ha": "right"} if twin in points else {"xytext": (5, 4)}
        axes.annotate(
            name.removesuffix("_ml_100k"), (x, y), textcoords="offset points", fontsize=7, **side
        )
        if twin in points:
            start, arrow = points[twin][1:], {"arrowstyle": "->", "color": "#999999"}
            axes.annotate("", (x, y), xytext=start, arrowprops=arrow, zorder=1)
    axes.axhline(1, color="#dddddd", zorder=0)
    axes.set_xlabel(f"{metric.replace('ndcg', 'nDCG')}, clean")
    axes.set_ylabel(f"share of it kept under an attack of relative size {size:g}")
    axes.set_xscale("log")  # logs differ by a factor
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.2, y=0.1)
    if families:
        figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    figure.savefig(Path(path), dpi=130)
    return list(points)
