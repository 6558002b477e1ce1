"""`tfadvrec quickstart`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import (
    figures_table,
    print_json,
    print_table,
    progress,
    say,
    start_tensorflow,
)

SHOWN = ("hr@10", "ndcg@10", "coverage@10")


def quickstart(
    out: Annotated[
        Path, typer.Option("--output", help="The folder that is left; replaced when it is there.")
    ] = Path("tfadvrec-quickstart"),
    data: Annotated[
        str,
        typer.Option(help="movielens, synthetic, or a log's file (or MovieLens folder or zip)."),
    ] = "movielens",
    epochs: Annotated[
        int | None, typer.Option(help="Epochs in all; by default as fit for the log's length.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Everything once, in about a minute: data, training, comparison, attack, servable.

    Trains a recommender against an adversary, its undefended twin and simple baselines on
    MovieLens-100K (or your log), attacks them, writes a report with figures, saves a preset and
    exports a servable that was verified in TensorFlow's C runtime.

    Examples:

        tfadvrec quickstart

        tfadvrec quickstart --data clicks.csv --output first-look
    """
    from tfadvrec.recipes.quick_start import quickstart as run

    with progress() as told:
        summary = run(out, data=data, epochs=epochs, start=start_tensorflow, progress=told, say=say)
    if json:
        print_json(summary)
    else:
        _tell(summary, out)


def _tell(summary: dict[str, Any], out: Path) -> None:
    """Tables, and what to do next."""
    about = summary["data"]
    real = "" if about["real"] else " (made up, not real people)"
    print_table(
        "Data",
        ["name", "interactions", "users", "items"],
        [[about["name"] + real, about["interactions"], about["users"], about["items"]]],
    )
    rows = {}
    for label, model in summary["models"].items():
        rows[label] = {name: model["clean"].get(name) for name in SHOWN}
        rows[label]["ndcg@10 attacked"] = model.get("attacked", {}).get("ndcg@10")
    figures_table("\nTest part, clean and under attack where the twin has lost half", rows)
    exported = summary["export"]
    print_table(
        "\nServable",
        ["path", "verified", "largest difference"],
        [[exported["path"], exported["verified"], f"{exported['max_difference']:.1e}"]],
    )
    stages = {name: f"{value:.1f}" for name, value in summary["seconds"].items()}
    print_table("\nSeconds", list(stages), [list(stages.values())])
    say(
        f"\nNext:\n  open {out / 'report.html'}          what an attacker would do to it\n"
        f"  tfadvrec evaluate {out}     more figures, with intervals\n"
        f"  tfadvrec fit YOUR_LOG.csv --output runs/one"
    )
