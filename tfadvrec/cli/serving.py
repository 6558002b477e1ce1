"""`tfadvrec export` and `tfadvrec verify`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import print_json, say, start_tensorflow, working

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def export(
    model: Annotated[str, typer.Argument(help="A run, a preset's folder, or a zoo preset's name.")],
    base: Annotated[Path, typer.Argument(help="The servable's base path; versions lie below it.")],
    k: Annotated[int, typer.Option("-k", "--k", help="Length of the lists.")] = 100,
    max_exclude: Annotated[
        int, typer.Option(help="How many items a request of recommend_excluding can leave out.")
    ] = 256,
    unknown_user: Annotated[
        str | None, typer.Option(help="What an unknown user gets: mean or empty.")
    ] = None,
    history: Annotated[
        int | None,
        typer.Option(help="Ask by this many items of a history, not by a user id."),
    ] = None,
    index: Annotated[
        str, typer.Option(help="How item vectors are kept: float32, float16 or int8.")
    ] = "float32",
    batching: Annotated[bool, typer.Option(help="For a server that merges requests.")] = False,
    examples: Annotated[bool, typer.Option(help="Take serialised tf.Examples, too.")] = False,
    version: Annotated[int | None, typer.Option(help="The version's number; one more.")] = None,
    json: Json = False,
) -> None:
    """Export a model for TensorFlow Serving: string ids in, ranked ids out.

    The new version is checked in TensorFlow's C runtime, without Keras and without this package,
    before it is published under its number. When an answer differs, nothing is published.

    Examples:

        tfadvrec export runs/one serving/movies

        tfadvrec export mf_apr_ml_100k serving/movies -k 50

        tfadvrec export ease_ml_100k serving/ease --history 50
    """
    from tfadvrec.cli.models import offline_metrics, open_model

    start_tensorflow()
    loaded = open_model(model)
    from tfadvrec import serving

    spec = serving.ExportSpec(
        k=k,
        max_exclude=max_exclude,
        unknown_user=unknown_user,
        history=history,
        index=serving.BruteForce(dtype=index),
        server_batching=batching,
        examples=examples,
        metrics=offline_metrics(model),
    )
    with working("exporting and verifying"):
        report = serving.export(loaded, base, spec, version=version)
    _tell(report, json)
    if not json:
        say(f"next: tfadvrec verify {base}")


def verify(
    path: Annotated[Path, typer.Argument(help="A version, or a base path: its newest version.")],
    against: Annotated[
        str | None,
        typer.Option("--model", help="A run or preset whose answers the servable must give."),
    ] = None,
    runtime: Annotated[str, typer.Option(help="c (all checks) or python (no C runtime).")] = "c",
    json: Json = False,
) -> None:
    """Check that a servable still answers what it should. Exit status 1 when it does not.

    Examples:

        tfadvrec verify serving/movies

        tfadvrec verify serving/movies/3 --model runs/one
    """
    from tfadvrec.cli.models import open_model

    if not path.exists():
        raise FileNotFoundError(2, "no such servable", str(path))
    start_tensorflow()
    loaded = None if against is None else open_model(against)
    from tfadvrec import serving

    with working("verifying"):
        report = serving.verify(path, model=loaded, runtime=runtime)
    _tell(report, json)
    if not report.verified:
        raise typer.Exit(1)


def _tell(report: Any, json: bool) -> None:
    if json:
        print_json(report.to_dict())
    else:
        print(report)
