"""Part `growth`: time of an interaction and peak memory as the log and the catalogue grow.

The logs are generated (Zipf popularity). Each point is measured in a process of its own.
"""

import statistics
from typing import Any

from tests.benchmarks import logs
from tests.benchmarks.context import Context
from tests.benchmarks.systems import OURS, Wanted, started
from tests.benchmarks.workers import alternate

ITEMS, INTERACTIONS = 100_000, 1_000_000  # what stays fixed in the other sweep
SWEEPS = {
    "interactions": [
        {"interactions": 10**power, "users": max(100, 10**power // 100), "items": ITEMS}
        for power in (4, 5, 6, 7)
    ],
    "items": [
        {"interactions": INTERACTIONS, "users": 10_000, "items": 10**power}
        for power in (3, 4, 5, 6)
    ],
}
TRIAL = {
    "interactions": [
        {"interactions": count, "users": count // 100, "items": 5_000} for count in (10_000, 40_000)
    ],
    "items": [{"interactions": 20_000, "users": 200, "items": count} for count in (1_000, 10_000)],
}
FORMS = ("bpr-2048-rowwise_adagrad", "apr-2048-rowwise_adagrad")
FIGURE = "growth.png"


def run(context: Context) -> dict[str, Any]:
    """Measures every point, and draws the figure."""
    rows = []
    for sweep, sizes in (TRIAL if context.quick else SWEEPS).items():
        for size in sizes:
            context.say(f"{sweep}: {size}")
            rows += point(sweep, size, context)
    draw(rows, context)
    return {
        "rows": rows,
        "figure": FIGURE,
        "flatness": flatness(rows),
        "note": "GENERATED logs, not real: distinct pairs, users at random, items by a Zipf law, "
        "100 interactions a user. Microseconds of one interaction in a training epoch, the median "
        "of some epochs after the warm-up, compiling left out; peak memory of the whole process, "
        f"and what it held before the model was made. {context.threads} threads. See {FIGURE}.",
    }


def point(sweep: str, size: dict[str, int], context: Context) -> list[dict[str, Any]]:
    """Plain and adversarial at one size, one process after the other."""
    rounds = 2 if context.quick else max(3, context.rounds)
    rows = []
    with logs.on_disk(logs.generated(**size)) as file:
        for form in FORMS:
            one = Wanted(OURS, form)
            row = {"sweep": sweep, "form": form.split("-")[0], **size}
            with started([one], file, context, limit=1800.0) as prepared:
                problem = prepared.missing.get(one.label)
                if problem is None:
                    records = alternate(prepared.workers, rounds)[one.label]
                    row |= _figures(records, size["interactions"])
                    row["start_mb"] = round(prepared.workers[0].hello["peak_mb"])
                    row["prepare"] = round(prepared.facts[one.label]["prepared"]["seconds"], 2)
                    row["optimizer"] = prepared.facts[one.label]["optimizer"]
                    problem = prepared.workers[0].failed
            rows.append(row | ({"problem": problem} if problem else {}))
    return rows


def _figures(records: list[dict[str, Any] | None], interactions: int) -> dict[str, Any]:
    """Seconds, microseconds of an interaction, and memory."""
    done = [record for record in records if record is not None]
    if not done:
        return {}
    seconds = statistics.median(record["seconds"] for record in done)
    cpu = statistics.median(record["cpu_seconds"] for record in done)
    return {
        "seconds": round(seconds, 4),
        "microseconds": round(1e6 * seconds / interactions, 4),
        "cpu_microseconds": round(1e6 * cpu / interactions, 4),
        "peak_mb": round(max(record["peak_mb"] for record in done)),
    }


def flatness(rows: list[dict[str, Any]], smallest: int = 100_000) -> dict[str, float]:
    """Largest over smallest time of an interaction, for points from a size on."""
    found = {}
    for sweep, form in dict.fromkeys((row["sweep"], row["form"]) for row in rows):
        times = [
            row["microseconds"]
            for row in rows
            if (row["sweep"], row["form"]) == (sweep, form)
            and "microseconds" in row
            and row["interactions"] >= smallest
        ]
        if times:
            found[f"{form} over {sweep}"] = round(max(times) / min(times), 3)
    return found


def draw(rows: list[dict[str, Any]], context: Context) -> None:
    """Draws both sweeps: time of an interaction above, peak memory below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex="col", layout="constrained")
    labels = {"microseconds": "µs an interaction", "peak_mb": "peak memory, MB"}
    for column, sweep in enumerate(dict.fromkeys(row["sweep"] for row in rows)):
        for place, (name, label) in enumerate(labels.items()):
            axis = axes[place, column]
            for form, title, mark in (("bpr", "plain", "o"), ("apr", "adversarial", "s")):
                chosen = [
                    row
                    for row in rows
                    if (row["sweep"], row["form"]) == (sweep, form) and name in row
                ]
                axis.semilogx(
                    [row[sweep] for row in chosen],
                    [row[name] for row in chosen],
                    marker=mark,
                    label=title,
                )
            axis.set_ylim(bottom=0)
            axis.grid(True, which="both", alpha=0.25)
            if column == 0:
                axis.set_ylabel(label)
            if place:
                axis.set_xlabel(sweep)
    axes[0, 0].legend()
    figure.suptitle("Generated logs (Zipf); epochs of 2,048 a batch, dimension 64")
    figure.savefig(context.output / FIGURE, dpi=150)
    plt.close(figure)
