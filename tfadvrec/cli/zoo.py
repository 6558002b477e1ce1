"""`tfadvrec zoo`: list, show and train presets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tfadvrec.cli.console import figures_table, print_json, print_table, say

app = typer.Typer(
    help="Ready-made models: list them, look at one, or train it again from its recipe.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
METRIC = "ndcg@10"
# the card and --json have all of them
SHOWN = ("hr@", "ndcg@", "coverage@10", "rmse", "mae", "auc", "log_loss")


@app.command("list")
def list_presets(
    json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown table, as in the README.")
    ] = False,
) -> None:
    """List the presets with what they are and how well they rank, clean and under attack.

    Example:

        tfadvrec zoo list
    """
    from tfadvrec.presets import zoo

    records = [_record(name, folder) for name, folder in zoo.folders().items()]
    if json:
        print_json(records)
        return
    if markdown:
        print(_markdown(records))
        return
    rows = [
        [r["name"], r["family"], r["class"], r["trained"], r["weights"], _mean(r["test"]),
         _mean(r["attacked"])]
        for r in records
    ]  # fmt: skip
    columns = ["preset", "family", "model", "trained", "weights", METRIC, f"{METRIC} attacked"]
    print_table("Presets (tfadvrec zoo show NAME tells more)", columns, rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A preset's name, or a preset's folder.")],
    json: Json = False,
) -> None:
    """Show one preset: what it is, its figures, its files.

    Example:

        tfadvrec zoo show mf_apr_ml_100k
    """
    from tfadvrec.presets import files, zoo

    folder = zoo.find(name)
    record = _record(folder.name, folder)
    trained = record["trained"]
    if json:
        record["recipe"] = (folder / files.RECIPE).read_text(encoding="utf-8")
        if trained:
            from tfadvrec.presets.loading import read

            preset = read(folder)
            record |= {"config": preset.config, "manifest": preset.manifest}
            record["metrics"] = preset.metrics
        print_json(record)
        return
    say(f"{folder}")
    print(f"{record['name']}: {record['description']}")
    if not trained:
        say(f"Not trained yet: `tfadvrec zoo train {folder.name}` makes it.")
        return
    from tfadvrec.presets.loading import read

    metrics = read(folder).metrics or {}
    if metrics.get("kind") == "generator":
        means = {
            label: {name: figure["mean"] for name, figure in of_label.items()}
            for label, of_label in metrics["models"].items()
        }
        figures_table("what is made, and by what", means)
        return
    for situation in dict.fromkeys(s for m in metrics.get("models", {}).values() for s in m):
        rows = {
            label: {n: v["mean"] for n, v in model[situation].items() if n.startswith(SHOWN)}
            for label, model in metrics["models"].items()
            if situation in model
        }
        figures_table(situation, rows)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A preset's name, or a recipe's file.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Where the preset is written; its own folder in the zoo by default."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The recipe's data: its file, or a folder with its files (MovieLens: or the zip)."
        ),
    ] = None,
    twin: Annotated[
        bool,
        typer.Option("--twin", help="Write the undefended twin's preset too, of the same runs."),
    ] = False,
    json: Json = False,
) -> None:
    """Train a preset from its recipe: all seeds, its undefended twin, baselines, figures.

    With --output the weights are written even where the zoo ships none. With --twin the twin's
    folder lies beside.

    Examples:

        tfadvrec zoo train mf_apr_ml_100k --output my/mf_apr_ml_100k

        tfadvrec zoo train my_recipe.toml --output presets/mine
    """
    from tfadvrec.cli.console import progress, start_tensorflow
    from tfadvrec.presets import zoo
    from tfadvrec.recipes.recipe import load_recipe

    recipe = load_recipe(name)
    weights = None if output is None else True
    if output is None:
        output = Path(name).with_suffix("") if name.endswith(".toml") else zoo.find(name)
    start_tensorflow()
    from tfadvrec.recipes.making_data import located, make_split
    from tfadvrec.recipes.zoo_training import train_preset

    found = recipe.data if data is None else located(recipe.data, data)
    split = make_split(recipe.replace(data=found))
    options = {"twin_folder": Path(output).parent / (recipe.twin or "twin")} if twin else {}
    with progress() as told:
        folder = train_preset(
            recipe, output, split=split, weights=weights, progress=told, **options
        )
    record = _record(folder.name, folder)
    if json:
        print_json(record)
    else:
        say(f"wrote {folder}")
        show(str(folder.resolve()))


def _markdown(records: list[dict[str, Any]]) -> str:
    """The presets as a Markdown table: means over seeds on the test part, with their spread."""
    columns = ["HR@10", "nDCG@10", "beside the twin, clean", "kept where the twin has lost half"]
    lines = ["| preset | model | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for r in records:
        cells = [_spread(r["test"], "hr@10"), _spread(r["test"], METRIC)]
        if not r["trained"]:
            cells[0] = "recipe only"
        elif "rmse" in r["test"]:
            cells[0] = f"RMSE {_spread(r['test'], 'rmse')}"
        elif "auc" in r["test"] and METRIC not in r["test"]:
            cells[0] = f"AUC {_spread(r['test'], 'auc')}"
        elif r["utility"]:
            cells[0] = f"ranking learnt from what it makes: {_spread(r, 'utility')} of real"
        cells += _defended(r["defence"])
        name = f"[{r['name']}](zoo/{r['family']}/{r['name']})"
        lines.append(f"| {name} | {r['class']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _defended(found: dict[str, Any] | None) -> list[str]:
    """The clean price of a defence, and what it keeps, with the size of the attack."""
    if found is None:
        return ["", ""]
    kept = f"{found['kept']:.0%} at {found['size']:.2f}"
    if not found["halved"]:
        kept += f" (twin {found['twin_kept']:.0%})"
    return [f"{found['clean']:+.1%}", kept]


@app.command()
def figure(
    output: Annotated[Path, typer.Argument(help="The PNG that is written.")],
    size: Annotated[
        float, typer.Option(help="The attack's size, relative to a model's mean row norm.")
    ] = 0.3,
) -> None:
    """Draw accuracy against robustness, one point a preset, arrows from twins to the defended.

    Example:

        tfadvrec zoo figure zoo.png
    """
    from tfadvrec.presets import files, zoo
    from tfadvrec.presets.zoo_figure import zoo_figure

    presets = {
        name: (folder.parent.name, _metrics(folder))
        for name, folder in zoo.folders().items()
        if (folder / files.MANIFEST).is_file()
    }
    shown = zoo_figure(presets, output, size=size)
    say(f"wrote {output} with {len(shown)} presets: {', '.join(shown)}")


def _metrics(folder: Path) -> dict[str, Any]:
    from tfadvrec.presets import files

    return files.parse_json(files.read_file(folder, files.METRICS), files.METRICS)


def _spread(figures: dict[str, Any], metric: str) -> str:
    """A mean over seeds with its standard deviation, if there is one."""
    figure = figures.get(metric)
    if figure is None:
        return ""
    text = f"{figure['mean']:.4f}"
    return text if figure.get("std") is None else f"{text} ± {figure['std']:.4f}"


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="A preset's name, or a preset's folder.")],
) -> None:
    """Write a preset's card again from its other files; its hand-written Limits section stays.

    Example:

        tfadvrec zoo card mf_apr_ml_100k
    """
    from tfadvrec.presets.saving import rewrite_card

    say(f"wrote {rewrite_card(name)}")


def _record(name: str, folder: Path) -> dict[str, Any]:
    """What a list says of a preset, from its recipe, manifest and figures alone."""
    from tfadvrec.presets import files
    from tfadvrec.presets.defence import defence
    from tfadvrec.recipes.recipe import load_recipe

    recipe = load_recipe(folder / files.RECIPE)
    trained = (folder / files.MANIFEST).is_file()
    record = {
        "name": name,
        "family": folder.parent.name,
        "class": recipe.model["class"],
        "description": " ".join(recipe.description.split()),
        "twin": recipe.twin,
        "trained": trained,
        "weights": (folder / files.WEIGHTS).is_file(),
        "path": str(folder),
        "test": {},
        "attack": None,
        "attacked": {},
        "utility": None,
        "defence": None,
    }
    if trained:
        metrics = _metrics(folder)
        own = metrics.get("models", {}).get(recipe.name, {})
        attacked = [s for s in own if s.startswith("attacked ")]
        record["test"] = own.get("test", {})
        record["utility"] = next((own[k] for k in own if k.startswith("utility ")), None)
        if attacked:
            record["attack"] = attacked[len(attacked) // 2]
            record["attacked"] = own[record["attack"]]
            found = defence(metrics, recipe.name, METRIC)
            record["defence"] = None if found is None else asdict(found)
    return record


def _mean(figures: dict[str, Any]) -> float | None:
    return figures.get(METRIC, {}).get("mean")
