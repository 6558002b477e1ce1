"""`tfadvrec generate`: made-up behaviour, from a preset or from a log."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import print_json, progress, say, start_tensorflow, working

Json = Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")]
_WORTH_COMPILING = 500  # steps; XLA takes about as long as those to compile one
Column = Annotated[str | None, typer.Option(help="Column of --log, by name or position from 0.")]


def generate(
    model: Annotated[
        str | None, typer.Argument(help="A preset of a behaviour generator, or its folder.")
    ] = None,
    log: Annotated[
        str | None, typer.Option(help="Train on this log first: CSV, TSV, gzip, Parquet.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many interactions.")] = None,
    users: Annotated[int | None, typer.Option(help="How many whole users, instead.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="column=value that every row has; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 0,
    out: Annotated[
        Path, typer.Option("--output", help="Where the rows go: .csv or .parquet.")
    ] = Path("synthetic.csv"),
    save: Annotated[
        Path | None, typer.Option(help="With --log: keep the generator in this folder.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="With --log: epochs of the game.")] = 30,
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="Another column of --log to learn.")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="What separates fields of --log.")] = None,
    json: Json = False,
) -> None:
    """Make up users and what they do, in the columns of a real log.

    Users are nobody's: their ids are new. Whole profiles are made one after the other, in time
    order, so that what is made can train a recommender; --count cuts the last one.

    Examples:

        tfadvrec generate behaviour_wgan_gp_ml_100k --count 1000 --output made.csv

        tfadvrec generate behaviour_wgan_gp_ml_100k --users 50 --condition occupation=artist

        tfadvrec generate --log clicks.csv --users 1000 --save runs/behaviour --output made.parquet
    """
    _check(model, log, count, users, save, out)
    given = conditions(condition or [])
    names = {"user": user, "item": item, "rating": rating, "time": time}
    options: dict[str, Any] = {k: _position(v) for k, v in names.items() if v is not None}
    if log is not None and not log.endswith(".parquet") and separator is not None:
        options["separator"] = separator
    start_tensorflow()
    if log is None:
        generator = _opened(str(model))
    else:
        generator = _trained(log, options, columns or [], epochs, seed)
        if save is not None:
            generator.save_to_preset(str(save))
            say(f"wrote the generator to {save}; next: tfadvrec generate {save} --count 1000")
    with working("generating"):
        if users is not None:
            made = generator.generate_profiles(users, given, seed=seed)
        else:
            made = generator.generate(1000 if count is None else count, given, seed=seed)
        write(made, out)
    if json:
        print_json(made.describe())
    else:
        say(f"wrote {len(made):,} interactions of {made.n_users:,} made-up users to {out}")


def conditions(words: list[str]) -> dict[str, str]:
    """What `--condition column=value` asks for.

    >>> conditions(["rating=5", "occupation=artist"])
    {'rating': '5', 'occupation': 'artist'}

    Raises:
        ValueError: A word has no `=`, or a column is asked for twice.
    """
    found: dict[str, str] = {}
    for word in words:
        column, equals, value = word.partition("=")
        if not equals or not column or not value:
            raise ValueError(f"--condition must be column=value, such as rating=5. Got: {word!r}")
        if column in found:
            raise ValueError(f"--condition names {column!r} twice: {found[column]} and {value}.")
        found[column] = value
    return found


def write(log: Any, path: Path) -> None:
    """Writes a log's rows: user, item, rating, time, its columns and its users' features.

    Args:
        log: The interactions.
        path: A `.csv` or `.parquet` file; it appears whole or not at all.
    """
    import os

    import pyarrow as pa
    from pyarrow import csv, parquet

    table = {"user_id": log.user_ids[log.user], "item_id": log.item_ids[log.item]}
    table |= {"rating": log.rating, "timestamp": log.time}
    table |= {k: v for k, v in log.columns.items() if k not in table}
    features = {k: v[log.user] for k, v in log.user_features.items() if v.dtype.kind != "O"}
    table |= {k: v for k, v in features.items() if k not in table}
    arrow = pa.table({k: v for k, v in table.items() if v is not None})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    (parquet.write_table if path.suffix == ".parquet" else csv.write_csv)(arrow, temporary)
    os.replace(temporary, path)


def _check(
    model: str | None,
    log: str | None,
    count: int | None,
    users: int | None,
    save: Path | None,
    out: Path,
) -> None:
    """Refuses what cannot be meant, before anything is loaded or trained."""
    if (model is None) == (log is None):
        raise ValueError("give a preset (or its folder), or --log to train on; one of them.")
    if save is not None and log is None:
        raise ValueError("--save keeps a generator that was trained on --log; there is no --log.")
    if count is not None and users is not None:
        raise ValueError("give --count (interactions) or --users (whole users), not both.")
    for name, value in (("--count", count), ("--users", users)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be 1 or more. Got: {value}")
    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--output must end in .csv or .parquet. Got: {out}")


def _opened(name: str) -> Any:
    from tfadvrec.models.behaviour_generator import BehaviourGenerator

    return BehaviourGenerator.from_preset(name)


def _trained(path: str, options: dict[str, Any], columns: list[str], epochs: int, seed: int) -> Any:
    """A generator for a log."""
    from tfadvrec.data import Interactions
    from tfadvrec.games.behaviour import BehaviourGame

    read = Interactions.from_parquet if path.endswith(".parquet") else Interactions.from_csv
    log = read(path, columns=[_position(name) for name in columns], **options)
    say(str(log))
    game = BehaviourGame.for_log(log, seed=seed)
    size = max(game.packing, min(500, len(log) // 20 // game.packing * game.packing))
    worth = epochs * len(log) // size >= _WORTH_COMPILING
    game.compile(jit_compile="auto" if worth else False)
    batches = game.batches(log, batch_size=size, seed=seed, block=40)
    with progress() as told:
        game.fit(batches, epochs=epochs, verbose=0, callbacks=[_told(told, epochs)])
    return game.product


def _told(told: Any, epochs: int) -> Any:
    """A callback that moves the bar."""
    import keras

    def moved(epoch: int, logs: Any = None) -> None:
        told("training the game", epoch + 1, epochs)

    return keras.callbacks.LambdaCallback(on_epoch_end=moved)


def _position(text: str) -> Any:
    """A column that was named by its position."""
    return int(text) if text.isdecimal() else text
