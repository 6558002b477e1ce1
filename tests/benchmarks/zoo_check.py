"""Every preset of the zoo that has weights, exported and audited.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.zoo_check [--only NAME ...]

Each preset is loaded (its probe is answered, or it is refused), bound to the training part of its
own recipe's split, exported and verified as `tfadvrec.serving.export` does, and audited: attacks of
relative size 0.5 (the figures) and 4 (where a recommender must be down to chance if the attack
works), ten steps, on the first 200 users of the test part, beside random noise, with the sanity
box. Presets that rank no catalogue (ratings, clicks, generators, cold items) are exported only.
Loading and coming back whole are tested in `tests/presets/test_zoo_presets.py`. Writes
`results/zoo_check.json`, a row when it is done, with its sizes; rows of other presets stay.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import tfadvrec as tar
from tfadvrec import presets, serving
from tfadvrec.presets import files, zoo
from tfadvrec.recipes import load_recipe
from tfadvrec.recipes.making_data import located, make_split

PLACES = {
    "movielens": "ml-100k",
    "movietweetings": "movietweetings/100K",
    "lastfm": "lightgcn-lastfm",
    "beauty": "s3rec",
    "sasrec-video": "sasrec-video",
}
EPSILON, LARGEST, STEPS, USERS = 0.5, 4.0, 10, 200


def checked(name: str, data: pathlib.Path) -> dict[str, Any]:
    """One preset's row."""
    began = time.perf_counter()
    model = presets.load(name, verbose=False)
    recipe = load_recipe(name)
    found: dict[str, Any] = {"preset": name, "class": type(model).__name__}
    split = None
    if recipe.data.get("name", recipe.data["source"]) in PLACES:
        place = data / PLACES[recipe.data.get("name", recipe.data["source"])]
        split = make_split(recipe.replace(data=located(recipe.data, place)))
        model = model.bind(split.train) if hasattr(model, "bind") else model
    found["export"] = exported(model)
    ranks = recipe.task == "ranking" and hasattr(model, "score_catalogue")
    if ranks and recipe.candidates == "all":
        found["audit"] = audited(model, split)
    found["seconds"] = round(time.perf_counter() - began, 1)
    return found


def exported(model: keras.Model) -> dict[str, Any]:
    """What verification says of the servable; the refusal of a model that has none."""
    with tempfile.TemporaryDirectory() as room:
        try:
            report = serving.export(model, pathlib.Path(room) / "model")
        except ValueError as error:
            return {"verified": False, "refused": str(error)}
    return {"verified": report.verified, "max_difference": report.max_difference}


def audited(model: keras.Model, split: Any) -> dict[str, Any]:
    """NDCG@10 clean, under each attack and under noise, and what the sanity box says."""
    report = tar.robustness_report(
        model,
        split.train,
        split.test.take(split.test.user < USERS),
        validation=split.validation,
        baselines={},
        sections=("embedding",),
        epsilons=(EPSILON, LARGEST),
        steps=STEPS,
        draws=1,
        resamples=100,
    )
    record = report.to_dict()
    found = {"clean": record["clean"]["model"]["ndcg@10"]["value"]}
    for point in record["curves"].get("model", ()):
        if point["relative"] == EPSILON:
            found[point["attack"]] = point["metrics"]["ndcg@10"]["value"]
    failed = [one["check"] for one in record["checks"] if one["verdict"] == "FAIL"]
    return {
        "sizes": [EPSILON, LARGEST],
        **found,
        "checks": record["check_counts"],
        "failed checks": failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    data = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    path = arguments.output / "zoo_check.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    shipped = [n for n, folder in zoo.folders().items() if (folder / files.WEIGHTS).is_file()]
    for name in arguments.only or shipped:
        rows[name] = checked(name, data)
        print(rows[name], flush=True)
        path.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
