"""`tfadvrec programs`: the classic programs of tutorials, each in a form that runs."""

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

app = typer.Typer(
    help="The classic programs of tutorials on this subject: list them, or run one.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
COLUMNS = 8  # figures beside each other; the others follow in tables of their own


@app.command("list")
def list_programs(json: Json = False) -> None:
    """List the programs with what they do and what they run on.

    Example:

        tfadvrec programs list
    """
    from tfadvrec.programs.listing import PROGRAMS

    if json:
        keys = ("name", "about", "data", "choices", "epochs")
        print_json([{key: getattr(p, key) for key in keys} for p in PROGRAMS.values()])
        return
    rows = [[p.name, p.about, p.choices, p.epochs] for p in PROGRAMS.values()]
    print_table(
        "Programs (docs/classic_programs.md tells more)",
        ["program", "what it does", "data", "epochs"],
        rows,
    )


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A program's name; see `tfadvrec programs list`.")],
    output: Annotated[
        Path | None,
        typer.Option(help="The folder that is left; the program's name by default."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="What it runs on: see `tfadvrec programs list`."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the game.")] = None,
    seed: Annotated[int, typer.Option(help="What everything random is drawn from.")] = 0,
    seeds: Annotated[
        int, typer.Option(help="Run so many seeds, from --seed on, each in a folder of its own.")
    ] = 1,
    json: Json = False,
) -> None:
    """Run a program: it trains, measures, draws, and leaves all of it in a folder.

    The folder has results.json, a figure and checkpoints; with --seeds a folder a seed and
    summary.json with means, spreads and intervals.

    Examples:

        tfadvrec programs run digits --output digits --epochs 100

        tfadvrec programs run generated_ratings --data ratings.csv --seeds 5
    """
    from tfadvrec.programs.listing import PROGRAMS

    if name not in PROGRAMS:
        raise ValueError(f"there is no program {name!r}; there are {', '.join(PROGRAMS)}.")
    for label, value in (("epochs", epochs), ("seeds", seeds)):
        if value is not None and value < 1:
            raise ValueError(f"--{label}: expected 1 or more, got {value}.")
    folder = Path(name) if output is None else output
    start_tensorflow()
    from tfadvrec.programs.listing import run_program
    from tfadvrec.programs.repeating import repeat

    with progress() as told:
        chosen = {"data": data, "epochs": epochs, "progress": told}
        if seeds == 1:
            record = run_program(name, folder, seed=seed, **chosen)
        else:
            record = repeat(name, folder, seeds=range(seed, seed + seeds), **chosen)
    if json:
        print_json(record)
    else:
        _tell(record)
        say(f"wrote {folder}")


def _tell(record: dict[str, Any]) -> None:
    """The figures as tables: rows that have the same figures stand together."""
    about = record["data"]
    real = "" if about["real"] else " (made up, not real people)"
    say(f"{record['program']} on {about['name']}{real}: {about['origin']}")
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for label, row in record["figures"].items():
        groups.setdefault(tuple(row)[:3], {})[label] = {n: _shown(v) for n, v in row.items()}
    for rows in groups.values():
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        for start in range(0, len(names), COLUMNS):
            some = names[start : start + COLUMNS]
            part = {label: {n: row[n] for n in some if n in row} for label, row in rows.items()}
            figures_table("", {label: row for label, row in part.items() if row})


def _shown(value: Any) -> Any:
    """A figure of one seed, or the mean over seeds with its interval."""
    if not isinstance(value, dict):
        return value
    if value["low"] is None:
        return value["mean"]
    return {"value": value["mean"], "low": value["low"], "high": value["high"]}
