"""The curves of a health report as one PNG figure."""

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe and Ito's colours, told apart with every common colour vision.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#666666")
_EVENT = {"warn": "#E69F00", "rollback": "#0072B2", "stop": "#D55E00"}
_LOSSES = ("generator_loss", "discriminator_loss")
_PANELS = (
    ("losses", (*_LOSSES, "critic_gap", "gradient_penalty")),
    ("discriminator's accuracy", ("accuracy_real", "accuracy_fake")),
    ("gradient norms", ("generator_gradient_norm", "discriminator_gradient_norm")),
    ("items, fake / real", ("coverage", "entropy")),
    ("fake - real", ("gini", "duplicates")),
    ("distance of columns", ()),
)
_MOST = 6  # curves in a panel that can still be told apart


def curves(report: Any) -> bytes:
    """Draws losses, accuracies, gradient norms and diversity by epoch, with events marked.

    Args:
        report: A `HealthReport`.

    Returns:
        A PNG, 1,500 pixels wide, one panel for each kind of value that the report has.
    """
    panels = [(title, held) for title, names in _PANELS if (held := _held(report, title, names))]
    rows = max(1, -(-len(panels) // 2))
    figure = Figure(figsize=(10.0, 0.9 + 2.5 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    for (title, names), place in zip(panels, axes, strict=False):
        _panel(place, report, title, names)
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    if not panels:
        axes[0].set_title("nothing was measured")
    _events(figure, axes[: len(panels)], report)
    figure.suptitle(f"{report.settings.get('game', 'game')}: {report.status}", fontsize=12)
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def _held(report: Any, title: str, names: tuple[str, ...]) -> list[str]:
    measured = report.names
    if title == "distance of columns":
        found = [name for name in measured if name.startswith("distance_")]
        if len(found) > _MOST:  # the widest apart at the end
            found = sorted(found, key=lambda name: -report.curve(name)[1][-1])[:_MOST]
        return found
    return [name for name in names if name in measured]


def _panel(axes: Any, report: Any, title: str, names: list[str]) -> None:
    limits = report.settings.get("limits", {})
    for name, colour in zip(names, _COLOURS, strict=False):
        epochs, values = report.curve(name)
        label = name.removeprefix("distance_").replace("_", " ")
        known = np.where(np.isfinite(values), values, np.nan)
        axes.plot(epochs, known, color=colour, marker="o", ms=3, lw=1.5, label=label)
        for bound in ("warn_below", "warn_above"):
            level = limits.get(name, {}).get(bound)
            if level is not None:
                axes.axhline(level, color=colour, lw=1, ls=":")
    axes.set_title(title, fontsize=10)
    if title == "discriminator's accuracy":
        axes.axhline(0.5, color="#666666", lw=1, ls="--")
        axes.set_ylim(-0.03, 1.03)
    if title == "gradient norms" and all(_positive(report, name) for name in names):
        axes.set_yscale("log")
    if title == "items, fake / real":
        axes.axhline(1.0, color="#666666", lw=1, ls="--")
    if title in ("items, fake / real", "distance of columns"):
        axes.set_ylim(bottom=0)
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _positive(report: Any, name: str) -> bool:
    values = np.asarray(report.curve(name)[1], float)
    return bool((values[np.isfinite(values)] > 0).all()) and bool(np.isfinite(values).any())


def _events(figure: Any, panels: list[Any], report: Any) -> None:
    """A vertical line an event in every panel, in the colour of its action."""
    drawn = {"limit that warns": Line2D([], [], color="#666666", lw=1, ls=":")}
    for event in report.events:
        for axes in panels:
            colour = _EVENT[event["action"]]
            drawn[event["action"]] = axes.axvline(event["epoch"], color=colour, lw=1.5, alpha=0.6)
    place = {"loc": "outside lower center", "ncols": 4, "frameon": False, "fontsize": 9}
    figure.legend(list(drawn.values()), list(drawn), **place)
