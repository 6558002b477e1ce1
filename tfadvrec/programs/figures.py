"""Figures of the programs, as PNG bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with every common colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#666666", "#56B4E9")


def blank(width: float, height: float) -> "Figure":
    """An empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without the drawing library's name in it."""
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def grid(
    axes: "Axes", images: np.ndarray, side: int, *, columns: int = 10, title: str = ""
) -> None:
    """Draws images, `(n, side * side)` between -1 and 1, in rows of `columns`."""
    rows = len(images) // columns
    tiles = images[: rows * columns].reshape(rows, columns, side, side)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=0.0)
    whole = tiles.transpose(0, 2, 1, 3).reshape(rows * (side + 1), columns * (side + 1))
    axes.imshow(whole, cmap="gray_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.axis("off")


def curves(axes: "Axes", history: Mapping[str, Sequence[float]], *, ylabel: str = "") -> None:
    """Draws a line for each name: a value an epoch."""
    for colour, (name, values) in zip(COLOURS, history.items(), strict=False):
        label = name.replace("_", " ")
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, lw=1.4, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    tidy(axes)
    axes.legend(frameon=False, fontsize=8)


def bars(
    axes: "Axes", values: Mapping[str, float], *, title: str = "", best: float | None = None
) -> None:
    """Draws a horizontal bar for each name with its value; `best` is a line where good would be."""
    names = list(values)[::-1]
    heights = [values[name] for name in names]
    axes.barh(names, heights, color=COLOURS[0], height=0.6)
    axes.set_title(title, fontsize=10)
    top = max([*heights, best or 0.0])
    for place, value in enumerate(heights):
        inside = value > 0.25 * top
        axes.annotate(
            f"{value:.3f}",
            (max(value, 0), place),
            xytext=(-4 if inside else 3, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center",
            color="#ffffff" if inside else "#000000",
            fontsize=8,
        )
    axes.set_xlim(min(0.0, *heights), 1.1 * top)
    if best is not None:
        axes.axvline(best, color=COLOURS[5], ls=":", lw=1.2)
    axes.tick_params(labelsize=8)
    tidy(axes, grid_axis="x")


def tidy(axes: "Axes", *, grid_axis: Any = "both") -> None:
    """Takes away what nobody reads."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis=grid_axis, alpha=0.3)
