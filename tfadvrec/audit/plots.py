"""Figures of a report, drawn from its record alone, as PNG bytes."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfadvrec.audit.attack_names import (
    ATTACKS,
    ITERATIVE,
    NOISE,
    PLAIN,
    WORST,
)

# Okabe and Ito's colours, told apart with every common colour vision.
COLOURS = {"model": "#0072B2", "twin": "#D55E00", "other": "#009E73", "grey": "#666666"}
OF_ATTACK = dict(
    zip((*ATTACKS, WORST), ("#666666", "#E69F00", "#0072B2", "#CC79A7", "#000000"), strict=True)
)
MARKERS = {"model": "o", "twin": "s"}


def figures(record: dict[str, Any]) -> dict[str, bytes]:
    """All figures that the record has numbers for.

    Args:
        record: A report's record.

    Returns:
        Name without extension -> PNG bytes, 1,200 pixels wide.
    """
    drawn = {"clean": _draw(_clean, record, height=1.1 + 0.42 * _rows(record))}
    if record["curves"]:
        drawn["robustness"] = _draw(_curves, record, height=4.3, attack=ITERATIVE)
        drawn["robustness_plain_loss"] = _draw(_curves, record, height=4.3, attack=PLAIN)
        drawn["attacks"] = _draw(_attacks, record, height=4.3)
        drawn["convergence"] = _draw(_convergence, record, height=4.0)
    if record["natural"]["status"] == "RUN":
        drawn["natural_noise"] = _draw(_natural, record, height=4.0)
    return drawn


def _draw(
    paint: Callable[..., None], record: dict[str, Any], height: float, **options: Any
) -> bytes:
    figure = Figure(figsize=(8.0, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure, record, **options)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def _label(record: dict[str, Any], role: str) -> str:
    """A model's label, short enough for a legend; a dollar sign is no formula."""
    text = record["models"][role]["label"]
    text = text if len(text) <= 32 else text[:29] + "..."
    return text.replace("$", r"\$")


def _name(metric: str) -> str:
    return metric.upper()


def _curve(record: dict, role: str, attack: str, kind: str) -> tuple[np.ndarray, ...]:
    """Sizes and the lead metric's value, low and high, from size 0 on."""
    lead = record["lead"]
    points = [p for p in record["curves"][role] if p["attack"] == attack]
    rows = [(0.0, record["clean"][role][lead])] + [(p[kind], p["metrics"][lead]) for p in points]
    size = np.array([row[0] for row in rows])
    parts = [np.array([row[1][part] for row in rows], float) for part in ("value", "low", "high")]
    return size, *parts


def _curves(figure: Figure, record: dict[str, Any], attack: str) -> None:
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind in zip(panels, ("relative", "absolute"), strict=True):
        for role in record["curves"]:
            label = _label(record, role)
            size, value, low, high = _curve(record, role, attack, kind)
            colour = COLOURS[role]
            axes.fill_between(size, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(size, value, color=colour, marker=MARKERS[role], ms=5, label=label)
            size, value, _, _ = _curve(record, role, NOISE, kind)
            axes.plot(size, value, color=colour, ls="--", lw=1.3, label=f"{label}, random noise")
        axes.axhline(
            record["baselines"]["random"][record["lead"]]["value"],
            color=COLOURS["grey"],
            ls=":",
            lw=1.3,
            label="random ranking",
        )
        axes.set_xlabel(
            "size / mean norm of the model's rows" if kind == "relative" else "size (l2, absolute)"
        )
        axes.grid(alpha=0.3)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    half = record["headline" if attack == ITERATIVE else "headline_plain_loss"].get("relative")
    if half:
        judge = "twin" if "twin" in record["curves"] else "model"
        panels[0].axvline(half, color=COLOURS["grey"], lw=1)
        panels[0].annotate(
            f"the {judge} has lost half ({half:.2f})",
            (half, panels[0].get_ylim()[1]),
            xytext=(5, -2),
            textcoords="offset points",
            fontsize=9,
            color="#333333",
            va="top",
        )
    panels[0].set_ylabel(f"{_name(record['lead'])} (mean over users, 95% band)")
    figure.suptitle(f"Ranking under attack: {attack}, {_steps(record)} steps", fontsize=12)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _steps(record: dict[str, Any]) -> Any:
    return record["attacks"][ITERATIVE]["steps"]


def _attacks(figure: Figure, record: dict[str, Any]) -> None:
    axes = figure.subplots()
    for attack in (*ATTACKS, WORST):
        size, value, low, high = _curve(record, "model", attack, "relative")
        colour = OF_ATTACK[attack]
        style = "--" if attack == NOISE else ":" if attack == WORST else "-"
        axes.fill_between(size, low, high, color=colour, alpha=0.10, linewidth=0)
        axes.plot(size, value, style, color=colour, marker="o", ms=4, label=attack)
    axes.set_xlabel("size / mean norm of the model's rows")
    axes.set_ylabel(f"{_name(record['lead'])} (mean over users, 95% band)")
    axes.set_title(f"{_label(record, 'model')}: every attack", fontsize=12)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)


def _rows(record: dict[str, Any]) -> int:
    return len(record["clean"]) + len(record["baselines"])


def _clean(figure: Figure, record: dict[str, Any]) -> None:
    lead, axes = record["lead"], figure.subplots()
    rows = [
        (_label(record, role), COLOURS[role], metrics[lead])
        for role, metrics in record["clean"].items()
    ]
    rows += [(name, COLOURS["grey"], m[lead]) for name, m in record["baselines"].items()]
    for place, (name, colour, estimate) in enumerate(reversed(rows)):
        low, high = estimate["low"], estimate["high"]
        axes.plot([low, high], [place, place], color=colour, lw=3, alpha=0.45)
        axes.plot(estimate["value"], place, "o", color=colour, ms=7, label=name)
        axes.annotate(
            f"{estimate['value']:.4f}",
            (high, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1.12 * max(row[2]["high"] for row in rows))
    axes.set_xlabel(f"{_name(lead)} (mean over users, 95% interval over users)")
    axes.set_title("Clean ranking quality", fontsize=12)
    axes.grid(axis="x", alpha=0.3)


def _convergence(figure: Figure, record: dict[str, Any]) -> None:
    axes = figure.subplots()
    styles = (("-", COLOURS["model"]), ("--", COLOURS["twin"]), (":", COLOURS["other"]))
    for (name, losses), (style, colour) in zip(
        record["control"]["losses"].items(), styles, strict=False
    ):
        axes.plot(np.arange(len(losses)), losses, style, color=colour, lw=2, label=name)
    axes.set_xlabel("step of the attack")
    axes.set_ylabel("summed loss (scores in the model's margins)")
    axes.set_title(
        f"Has the attack converged? Size {record['control']['relative']:.2f} of the mean row norm",
        fontsize=12,
    )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _natural(figure: Figure, record: dict[str, Any]) -> None:
    lead, axes = record["lead"], figure.subplots()
    noise = record["natural"]
    for kind, role in (("dropped", "model"), ("flipped", "twin")):
        rows = [row for row in noise["rows"] if row["kind"] == kind]
        points = [(0.0, noise["clean"][lead])] + [
            (row["rate"], row["metrics"][lead]) for row in rows
        ]
        rate = 100 * np.array([point[0] for point in points])
        mean = np.array([point[1]["mean"] for point in points])
        axes.plot(rate, mean, color=COLOURS[role], marker=MARKERS[role], label=kind)
        seeds = np.array([point[1]["values"] for point in points])
        axes.plot(rate, seeds, ".", color=COLOURS[role], alpha=0.45, ms=5)
    axes.set_xlabel("training interactions changed (%)")
    axes.set_ylabel(f"{_name(lead)} (mean over seeds; dots: seeds)")
    axes.set_title("Trained again on a noisy log, judged on the clean split", fontsize=12)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
