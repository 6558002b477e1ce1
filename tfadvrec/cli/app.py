"""The commands and what happens when one fails."""

import os
import sys
from typing import Any

import typer

HELP = """\
From a log of clicks to a robust recommender in TensorFlow Serving.

Adversarially trained recommenders: train or fine-tune one on your log, see what an attacker could
do to it, and export it, verified. Start with

    \b
    tfadvrec quickstart

which does all of it on a real data set in about a minute. With a log of your own:

    \b
    tfadvrec fit clicks.csv --output runs/one
    tfadvrec audit runs/one
    tfadvrec export runs/one serving/movies
    tfadvrec verify serving/movies

Behaviour that looks real and is nobody's:

    \b
    tfadvrec generate --log clicks.csv --users 1000 --output made.csv
    tfadvrec synthetic-report clicks.csv made.csv --output report
"""


def build() -> typer.Typer:
    """The application with all its commands."""
    from tfadvrec.cli import (
        fitting,
        generating,
        preparing,
        programs,
        quick,
        servable,
        serving,
        synthetic,
        zoo,
    )

    app = typer.Typer(
        help=HELP,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(_version)
    app.command("quickstart")(quick.quickstart)
    app.command("prepare")(preparing.prepare)
    app.command("fit")(fitting.fit)
    app.command("evaluate")(fitting.evaluate)
    app.command("recommend")(fitting.recommend)
    app.command("audit")(fitting.audit)
    app.command("generate")(generating.generate)
    app.command("synthetic-report")(synthetic.synthetic_report)
    app.command("export")(serving.export)
    app.command("verify")(serving.verify)
    app.add_typer(servable.app, name="serving")
    app.add_typer(zoo.app, name="zoo")
    app.add_typer(programs.app, name="programs")
    return app


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; exits with 0, 1 (it failed), 2 (wrong usage) or 130 (interrupted).

    Args:
        arguments: The words after the program's name; those of the process by default.
    """
    try:
        build()(arguments, prog_name="tfadvrec")
    except KeyboardInterrupt:
        _fail("interrupted; nothing was left half-written.", 130)
    except Exception as error:
        if os.environ.get("TFADVREC_TRACEBACK"):
            raise
        _fail(describe(error), 1)


def describe(error: Exception) -> str:
    """An error in one message: our own as they are, others with their kind."""
    text = str(error).strip()
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    ours = (ValueError, FileNotFoundError, FileExistsError)
    if isinstance(error, ours) or type(error).__module__.startswith("tfadvrec"):
        return text or type(error).__name__
    return (
        f"{type(error).__name__}: {text}\n"
        "(TFADVREC_TRACEBACK=1 shows where; please report it if the message does not help you.)"
    )


def _fail(text: str, status: int) -> None:
    from tfadvrec.cli.console import say

    say(f"error: {text}")
    sys.exit(status)


def _version(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> Any:
    if version:
        from tfadvrec import __version__

        print(__version__)
        raise typer.Exit
