"""`tfadvrec prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from tfadvrec.cli.console import print_json, say, start_tensorflow, working
from tfadvrec.cli.fitting import Column, Json, _position


def prepare(
    source: Annotated[
        list[str],
        typer.Argument(help="The log's files, text or Parquet; a quoted pattern will do."),
    ],
    path: Annotated[Path, typer.Argument(help="The folder that is made.")],
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    separator: Annotated[str | None, typer.Option(help="What separates fields.")] = None,
    header: Annotated[
        bool | None, typer.Option(help="Whether the first line names the columns.")
    ] = None,
    invalid: Annotated[str, typer.Option(help="Bad rows: error or drop (and count).")] = "error",
    duplicates: Annotated[
        str, typer.Option(help="Repeated pairs: last, first, keep or error.")
    ] = "last",
    k_core: Annotated[
        int | None, typer.Option("-k", "--k-core", help="Fewest interactions of a user and item.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="by_time or leave_last_out.")] = None,
    shard_rows: Annotated[int, typer.Option(help="About how many rows a shard has.")] = 1_000_000,
    option: Annotated[
        list[str] | None, typer.Option(help="An option for Beam, such as --runner=FlinkRunner.")
    ] = None,
    json: Json = False,
) -> None:
    """Prepare a log larger than memory: checked, numbered, split and written in shards.

    Needs Apache Beam: in an environment of its own, pip install 'tfadvrec[beam]'. What is made is
    read without it, by tfadvrec.data.ShardedLog.

    Examples:

        tfadvrec prepare 'logs/*.parquet' prepared --k-core 5 --split by_time

        tfadvrec prepare 'logs/*.csv' prepared --user 0 --item 1 --time 3
    """
    columns = {"user": user, "item": item, "rating": rating, "time": time}
    start_tensorflow()
    from tfadvrec.data import prepare as prepared

    with working("preparing"):
        log = prepared(
            source if len(source) > 1 else source[0],
            path,
            **{name: _position(value) for name, value in columns.items() if value is not None},
            separator=separator,
            header=header,
            invalid=invalid,
            duplicates=duplicates,
            k_core=k_core,
            split=split,
            shard_rows=shard_rows,
            options=option or None,
        )
    if json:
        print_json(log.describe())
    else:
        say(f"{log}; dropped: {log.dropped or 'nothing'}")
