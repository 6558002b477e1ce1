"""`tfadvrec synthetic-report`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import output, print_json, say, start_tensorflow, working

Column = Annotated[str | None, typer.Option(help="Column, by name or position from 0.")]


def synthetic_report(
    real: Annotated[str, typer.Argument(help="What the generator learnt from: a log's file.")],
    synthetic: Annotated[str, typer.Argument(help="What it made, with the same columns.")],
    holdout: Annotated[
        str | None,
        typer.Option(help="Real users whom the generator has not seen; else no membership attack."),
    ] = None,
    out: Annotated[Path, typer.Option("--output", help="Where the report goes.")] = Path(
        "synthetic-report"
    ),
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    split: Annotated[
        str,
        typer.Option(
            help="How real interactions are held out for the utility section: leave_last_out, "
            "by_time, by_ratio or none. They are rows that the generator has seen."
        ),
    ] = "leave_last_out",
    generator: Annotated[str | None, typer.Option(help="What made the log, in words.")] = None,
    repeats: Annotated[int, typer.Option(help="Random halvings of the real users.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the page.")] = False,
) -> None:
    """How close, how useful and how private a synthetic log is.

    Writes report.html, report.md, report.json and figures: distances of every column beside what
    two halves of the real log have, ranking of real users by a model that learnt from the
    synthetic log, copies of people, and a membership attack.

    Examples:

        tfadvrec synthetic-report clicks.csv made.csv --holdout others.csv --output report
    """
    columns = {"user": user, "item": item, "rating": rating, "time": time}
    columns = {key: _position(name) for key, name in columns.items() if name is not None}
    logs = _read([real, synthetic, holdout], columns)
    start_tensorflow()
    from tfadvrec.synthesis import synthesis_report

    parts, said = _parts(logs[0], split)
    with working("measuring"):
        report = synthesis_report(
            logs[0], logs[1], holdout=logs[2], repeats=repeats, generator=generator, **parts, **said
        )
        report.save(out)
    if json:
        print_json(report.to_dict())
        return
    output().print((out / "report.md").read_text(encoding="utf-8"), markup=False)
    say(f"wrote {out}; open {out / 'report.html'}")


def _read(paths: list[str | None], columns: dict[str, Any]) -> list[Any]:
    from tfadvrec.data import Interactions

    def read(path: str) -> Any:
        parquet = Path(path).suffix.lower() in (".parquet", ".pq")
        make = Interactions.from_parquet if parquet else Interactions.from_csv
        return make(path, **columns)

    return [None if path is None else read(path) for path in paths]


def _parts(log: Any, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The real log's parts for the utility section, and what the limits must add about them."""
    from tfadvrec import data

    if split == "none":
        return {}, {}
    if split not in ("leave_last_out", "by_time", "by_ratio"):
        raise ValueError(
            f"--split: expected leave_last_out, by_time, by_ratio or none, got {split!r}."
        )
    from tfadvrec.synthesis.build import LIMITS

    train, validation, test = getattr(data, split)(log)
    more = (
        " The held-out interactions of the utility section are rows of the real log that the "
        "generator has seen, so its ratio is too good by what the generator remembers; train the "
        "generator on the training part alone for a ratio without that."
    )
    parts = {"train": train, "validation": validation, "test": test}
    return parts, {"limits": LIMITS + more}


def _position(text: str) -> Any:
    """A column that was named by its position."""
    return int(text) if text.isdecimal() else text
