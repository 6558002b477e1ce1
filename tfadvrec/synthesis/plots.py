"""Figures of the report, drawn from its record alone, as PNG bytes."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfadvrec.synthesis.fidelity_section import ROWS

# Okabe and Ito's colours, told apart with every common colour vision.
COLOURS = {
    "real": "#000000",
    "synthetic": "#0072B2",
    "real halves": "#666666",
    "independent columns": "#E69F00",
    "popularity": "#009E73",
    "outliers": "#D55E00",
}
_LABELS = {
    "synthetic": "synthetic",
    "real halves": "other real half (noise floor)",
    "independent columns": "independent columns",
}


def figures(record: dict[str, Any]) -> dict[str, bytes]:
    """All figures that the record has numbers for.

    Args:
        record: A report's record.

    Returns:
        Name without extension -> PNG bytes, 1,200 pixels wide.
    """
    columns = len(record["fidelity"]["columns"])
    drawn = {
        "columns": _draw(_columns, record["fidelity"], height=1.5 + 0.55 * columns),
        "popularity": _draw(_popularity, record["fidelity"], height=4.2),
    }
    if record["utility"]["status"] == "RUN":
        models = len(record["utility"]["models"])
        drawn["utility"] = _draw(_utility, record["utility"], height=1.6 + 1.1 * models)
    if record["membership"]["status"] == "RUN":
        drawn["membership"] = _draw(_membership, record["membership"], height=5.0)
    return drawn


def _draw(paint: Callable[..., None], record: dict[str, Any], height: float) -> bytes:
    figure = Figure(figsize=(8.0, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure, record)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def _columns(figure: Figure, record: dict[str, Any]) -> None:
    axes = figure.subplots()
    names = list(record["columns"])
    place = np.arange(len(names))[::-1]
    for turn, row in enumerate(ROWS):
        found = [record["columns"][name]["js"][row] for name in names]
        axes.barh(
            place + 0.26 * (1 - turn),
            [value["mean"] for value in found],
            height=0.24,
            xerr=[value["sd"] or 0.0 for value in found],
            color=COLOURS[row],
            ecolor="#333333",
            error_kw={"lw": 1},
            label=_LABELS[row],
        )
    axes.set_yticks(place, [_text(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("Jensen-Shannon distance to a real half (0 the same, 1 disjoint)")
    axes.grid(axis="x", alpha=0.3)
    figure.suptitle("How far each column is from the real one", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _popularity(figure: Figure, record: dict[str, Any]) -> None:
    panels = figure.subplots(1, 2)
    for axes, side in zip(panels, ("items", "users"), strict=True):
        for log, style in (("real", "-"), ("synthetic", "--")):
            points = np.array(record["curves"][log][side])
            axes.loglog(points[:, 0], points[:, 1], style, color=COLOURS[log], lw=2, label=log)
        axes.set_xlabel(f"rank among {side}")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of all interactions")
    panels[0].legend(frameon=False, fontsize=10, loc="lower left")
    figure.suptitle("Popularity of items and activity of users", fontsize=12)


def _utility(figure: Figure, record: dict[str, Any]) -> None:
    axes, lead = figure.subplots(), record["lead"]
    labels, place = [], 0.0
    for model, found in record["models"].items():
        for row, colour in (
            ("real", "real"),
            ("synthetic", "synthetic"),
            ("independent columns", "independent columns"),
        ):
            value = found["rows"][row]["metrics"][lead]
            ends = [[value["value"] - value["low"]], [value["high"] - value["value"]]]
            axes.barh(
                place,
                value["value"],
                xerr=ends,
                height=0.7,
                color=COLOURS[colour],
                alpha=0.85,
                ecolor="#777777",
            )
            axes.annotate(
                f"{value['value']:.3f}",
                (value["high"], place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
            labels.append((place, f"{_text(model)} from {row}"))
            place += 1.0
        place += 0.5
    popular = record["popularity"]["metrics"][lead]["value"]
    axes.axvline(popular, color=COLOURS["popularity"], ls="--", lw=1.6)
    axes.set_yticks([at for at, _ in labels], [text for _, text in labels])
    axes.invert_yaxis()
    axes.set_xlabel(f"{lead.upper()} on real test users (95% interval over users)")
    axes.set_title(f"What a model learns; dashed: most popular items ({popular:.3f})", fontsize=12)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
    axes.grid(axis="x", alpha=0.3)


def _membership(figure: Figure, record: dict[str, Any]) -> None:
    axes = figure.subplots()
    low = 0.5 / max(record["members"], record["non-members"])
    points = np.maximum(np.array(record["curve"]), low)
    axes.step(
        points[:, 0], points[:, 1], where="post", color=COLOURS["synthetic"], lw=2, label="attack"
    )
    axes.plot([low, 1], [low, 1], "--", color="#666666", lw=1.3, label="blind guess")
    for wanted, found in record["at"].items():
        value = found["true positives"]
        axes.errorbar(
            max(float(wanted), low),
            max(value["value"], low),
            yerr=[
                [max(value["value"], low) - max(value["low"], low)],
                [value["high"] - max(value["value"], low)],
            ],
            fmt="o",
            color=COLOURS["outliers"],
            capsize=4,
            label=f"allowed {float(wanted):.1%}: {value['value']:.1%}",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.5, 1.1)
    axes.set_ylim(low / 1.5, 1.1)
    axes.set_xlabel("false-positive rate (non-members called members)")
    axes.set_ylabel("true-positive rate (members found)")
    axes.set_title(
        f"Membership inference: {record['members']:,} members, "
        f"{record['non-members']:,} non-members",
        fontsize=12,
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _text(name: str) -> str:
    """A name from data, short enough for an axis; a dollar sign is no formula."""
    short = name if len(name) <= 28 else name[:25] + "..."
    return short.replace("$", r"\$")
