"""`tfadvrec fit`, `evaluate`, `recommend` and `audit`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import (
    figures_table,
    output,
    print_json,
    print_table,
    progress,
    say,
    start_tensorflow,
    working,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Column = Annotated[str | None, typer.Option(help="Column, by name or position from 0.")]
RunPath = Annotated[Path, typer.Argument(help="A run: what `fit --output` or `quickstart` left.")]


def fit(
    log: Annotated[
        str | None, typer.Argument(help="The log: CSV, TSV, any other separator, gzip, Parquet.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Go on from a zoo preset or a preset's folder.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe: a TOML file or a preset's name; by default mf_apr_ml_100k."),
    ] = None,
    out: Annotated[Path, typer.Option("--output", help="Where the run goes.")] = Path("runs/fit"),
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    separator: Annotated[str | None, typer.Option(help="What separates fields.")] = None,
    header: Annotated[
        bool | None, typer.Option(help="Whether the first line names the columns.")
    ] = None,
    invalid: Annotated[str, typer.Option(help="Bad rows: error or drop (and count).")] = "error",
    split: Annotated[str | None, typer.Option(help="leave_last_out, by_time or by_ratio.")] = None,
    id_map: Annotated[
        str | None,
        typer.Option(
            help="With --preset: a CSV of your item id and the preset's, or `identity` when both "
            "are ids of one catalogue. Equal numbers prove nothing, so without it no item matches."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs in all; the recipe's stages are scaled.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Training seed; the recipe's first.")] = None,
    twin: Annotated[
        bool, typer.Option(help="Also train the undefended twin, which the audit compares with.")
    ] = True,
    json: Json = False,
) -> None:
    """Train a recommender on a log, or fine-tune a preset on it.

    Columns with usual names (user_id, item, rating, timestamp ...) are found; name others. The run
    keeps its recipe, its split and its models, so that `evaluate` and `audit` measure on what the
    model has not seen.

    Examples:

        tfadvrec fit clicks.csv --output runs/one

        tfadvrec fit ratings.dat --separator :: --user 0 --item 1 --rating 2 --time 3

        tfadvrec fit clicks.csv --preset mf_apr_ml_100k --id-map same_films.csv --output runs/two
    """
    from tfadvrec.recipes.fitting import fit_log, fitting_recipe

    columns = {"user": user, "item": item, "rating": rating, "time": time}
    options = {k: _position(v) for k, v in columns.items() if v is not None}
    options |= {"separator": separator, "header": header, "invalid": invalid}
    chosen = fitting_recipe(
        log,
        recipe=recipe,
        preset=preset,
        options={k: v for k, v in options.items() if v is not None},
        split=split,
        epochs=epochs,
    )
    start_tensorflow()
    with progress() as told:
        record = fit_log(
            chosen, out, preset=preset, id_map=id_map, seed=seed, twin=twin, progress=told
        )
    if json:
        print_json(record)
        return
    figures_table(f"test part, {record['users']:,} users", record["models"])
    say(f"wrote {out}; next: tfadvrec audit {out}, tfadvrec export {out} serving/{out.name}")


def evaluate(
    run: RunPath,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    k: Annotated[list[int] | None, typer.Option("-k", "--k", help="List lengths.")] = None,
    baselines: Annotated[bool, typer.Option(help="Fit simple baselines beside it.")] = True,
    json: Json = False,
) -> None:
    """Measure a run on what it has not seen: ranking metrics with 95% intervals over users.

    The whole catalogue is ranked; items that the user already has are left out. The twin and simple
    baselines stand beside the model, because a number alone says nothing.

    Examples:

        tfadvrec evaluate runs/one

        tfadvrec evaluate runs/one -k 5 -k 20 --json
    """
    from tfadvrec.recipes.run_folder import load_run

    folder = load_run(run)
    start_tensorflow()
    from tfadvrec.recipes.fitting import evaluate_run

    with working("evaluating"):
        record = evaluate_run(folder, part=part, k=k, baselines=baselines)
    if json:
        print_json(record)
    else:
        figures_table(f"{part} part, {record['users']:,} users", record["models"])


def recommend(
    model: Annotated[str, typer.Argument(help="A run, a preset's folder, or a zoo preset's name.")],
    users: Annotated[list[str], typer.Argument(help="User ids.")],
    k: Annotated[int, typer.Option("-k", "--k", help="How many items.")] = 10,
    seen: Annotated[
        bool, typer.Option("--seen", help="Also list what the user already has (runs only).")
    ] = False,
    json: Json = False,
) -> None:
    """Recommend items to users, in your own ids.

    Example:

        tfadvrec recommend runs/one 196 22 -k 5
    """
    from tfadvrec.cli.models import caller_ids, open_model
    from tfadvrec.recipes import run_folder

    start_tensorflow()
    is_run = (Path(model) / run_folder.RUN).is_file()
    folder = run_folder.load_run(model) if is_run else None
    loaded = folder.model() if folder else open_model(model)
    ids = caller_ids(loaded, users)
    exclude = folder.split.train if folder and not seen else None
    items, scores = loaded.recommend(ids, min(k, loaded.n_items), exclude=exclude)
    lists = {
        user: [
            {"item": item, "score": score}
            for item, score in zip(row.tolist(), values.tolist(), strict=True)
            if score > -1e38
        ]
        for user, row, values in zip(users, items, scores, strict=True)
    }
    if json:
        print_json(lists)
        return
    for user, rows in lists.items():
        print_table(f"user {user}", ["item", "score"], [[str(r["item"]), r["score"]] for r in rows])


def audit(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Option("--output", help="Where the report goes; RUN/report.")
    ] = None,
    retrain: Annotated[
        bool, typer.Option(help="Also retrain on noisy logs (takes several trainings).")
    ] = True,
    json: Json = False,
) -> None:
    """What would an attacker do to this model? Writes report.html, report.md, report.json, figures.

    The model, its undefended twin and baselines, clean, under random noise and under gradient
    attacks of growing size, with a box of checks that the attacks themselves are sound.

    Example:

        tfadvrec audit runs/one
    """
    from tfadvrec.recipes.run_folder import load_run

    folder = load_run(run)
    start_tensorflow()
    from tfadvrec.recipes.auditing import audit_run
    from tfadvrec.recipes.fitting import affordable

    baselines = affordable(folder.split.train.n_items)
    out = folder.path / "report" if out is None else out
    with progress() as told:
        report = audit_run(folder, out, baselines=baselines, retrain=retrain, progress=told)
    if json:
        print_json(report.to_dict())
        return
    output().print((out / "report.md").read_text(encoding="utf-8"), markup=False)
    say(f"wrote {out}; open {out / 'report.html'}")


def _position(text: Any) -> Any:
    """A column that was named by its position."""
    return int(text) if text.isdecimal() else text
