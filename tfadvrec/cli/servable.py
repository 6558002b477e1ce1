"""`tfadvrec serving`: look at a servable, go back, start a server for it, give it other items."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import print_json, say, start_tensorflow, working

app = typer.Typer(
    help="Published servables: what they offer, rollback, files for the server, a new index.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Base = Annotated[Path, typer.Argument(help="The base path; its versions lie below it.")]
Port = typer.Option(min=1, max=65535)


@app.command()
def describe(
    path: Annotated[Path, typer.Argument(help="A version, or a base path: its newest version.")],
    json: Json = False,
) -> None:
    """Show what a servable offers, with example requests for gRPC and REST.

    Example:

        tfadvrec serving describe serving/movies
    """
    from tfadvrec.serving.operations import describing

    said = describing.describe(_existing(path))
    if json:
        print_json(said.to_dict())
    else:
        print(said)


@app.command()
def rollback(
    base: Base,
    to: Annotated[
        int | None, typer.Option(min=1, help="The version to go back to; the one before.")
    ] = None,
    json: Json = False,
) -> None:
    """Withdraw the newest version: a server goes back to the one before.

    Nothing is deleted: a withdrawn version is renamed to .withdrawn-NUMBER, and `tfadvrec serving
    restore` brings it back. Its number is never given again.

    Examples:

        tfadvrec serving rollback serving/movies

        tfadvrec serving rollback serving/movies --to 3
    """
    from tfadvrec.serving import publishing

    _tell_versions(base, publishing.rollback(_existing(base), to), json)


@app.command()
def restore(
    base: Base,
    version: Annotated[int, typer.Argument(min=1, help="The number of the withdrawn version.")],
    json: Json = False,
) -> None:
    """Bring a withdrawn version back under its number.

    Example:

        tfadvrec serving restore serving/movies 4
    """
    from tfadvrec.serving import publishing

    _tell_versions(base, publishing.restore(_existing(base), version), json)


@app.command()
def config(
    base: Base,
    batching: Annotated[
        bool, typer.Option("--batching", help="Let the server merge requests.")
    ] = False,
    gpu_memory: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="Share of the GPU's memory; two versions must fit."),
    ] = None,
    port: Annotated[int, Port] = 8500,
    rest_port: Annotated[int, Port] = 8501,
    json: Json = False,
) -> None:
    """Write and check what starts and tries a model server: a folder `serving` beside BASE.

    It has models.config for BASE and every servable beside it, batching, monitoring and session
    settings, run_cpu.sh, run_gpu.sh, requests.http and client.py.

    Examples:

        tfadvrec serving config models/movies

        tfadvrec serving config models/movies --batching --gpu-memory 0.4
    """
    if port == rest_port:
        raise typer.BadParameter(f"{port} cannot be both --port and --rest-port.")
    _existing(base)
    start_tensorflow()
    from tfadvrec.serving.operations import config_files

    folder = config_files.write(
        base, batching=batching, gpu_memory=gpu_memory, port=port, rest_port=rest_port
    )
    files = sorted(one.name for one in folder.iterdir())
    if json:
        print_json({"folder": str(folder), "files": files})
        return
    print(f"{folder}: {', '.join(files)}")
    say(f"next: {folder / 'run_cpu.sh'}, and then: python {folder / 'client.py'}")


@app.command()
def reindex(
    path: Annotated[Path, typer.Argument(help="A version, or a base path: its newest version.")],
    index: Annotated[
        str | None, typer.Option(help="How the vectors are stored: float32, float16 or int8.")
    ] = None,
    chunk: Annotated[int | None, typer.Option(help="Rows that are scored at a time.")] = None,
    rescore: Annotated[
        int | None, typer.Option(help="Candidates that int8 ranks again by a float16 copy.")
    ] = None,
    recall_floor: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The least mean recall to publish.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="A text file with the new catalogue's ids, one a line.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="A .npy file with their vectors, one row an id.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A run or preset that gives the items and their vectors.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="The new version's number; one more.")
    ] = None,
    json: Json = False,
) -> None:
    """Publish a new version with another index or other items, without training.

    Users keep their vectors. The new version is verified as an export is; when an answer differs,
    nothing is published.

    Examples:

        tfadvrec serving reindex serving/movies --index int8

        tfadvrec serving reindex serving/movies --ids items.txt --vectors items.npy
    """
    changes = (index, chunk, rescore, recall_floor, ids, vectors, model)
    if all(one is None for one in changes):
        raise typer.BadParameter("there is nothing to change: give --index, --ids or --model.")
    if index is None and (chunk, rescore, recall_floor) != (None, None, None):
        raise typer.BadParameter("--chunk, --rescore and --recall-floor need --index.")
    if vectors is not None and (ids is None or model is not None):
        raise typer.BadParameter("--vectors needs --ids, the ids of its rows, and no --model.")
    _existing(path)
    start_tensorflow()
    from tfadvrec.serving import reindexing

    options: dict[str, Any] = {}
    if index is not None:
        from tfadvrec.serving.index.brute_force import BruteForce

        given = {"chunk": chunk, "rescore": rescore, "recall_floor": recall_floor}
        given = {name: value for name, value in given.items() if value is not None}
        options["index"] = BruteForce(dtype=index, **given)
    if ids is not None:
        options["item_ids"] = _read_ids(ids)
    if vectors is not None:
        options["item_vectors"] = _read_vectors(vectors)
    if model is not None:
        from tfadvrec.cli.models import open_model

        options["item_vectors"] = open_model(model)
    with working("publishing and verifying"):
        report = reindexing.reindex(path, version=version, **options)
    if json:
        print_json(report.to_dict())
    else:
        print(report)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(2, "no such servable", str(path))
    return path


def _tell_versions(base: Path, folder: Path, json: bool) -> None:
    from tfadvrec.serving.publishing import versions, withdrawn

    left, away = sorted(versions(base)), sorted(withdrawn(base))
    if json:
        print_json({"path": str(folder), "versions": left, "withdrawn": away})
        return
    print(f"{base}: newest {left[-1]}; versions {left}; withdrawn {away}")


def _read_ids(path: Path) -> list[str]:
    lines = path.read_text("utf-8-sig").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _read_vectors(path: Path) -> Any:
    import numpy as np

    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise ValueError(f"{path} must hold one array (n_items, dimension), as np.save writes it.")
    return array
