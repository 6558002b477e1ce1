"""The figures of a generator: what its log teaches, how close and how private it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MADE_SEED = 1_000_003  # apart from the training seeds
REPEATS = 5


def measure_generator(split: Any, made: Any, *, seed: int) -> dict[str, Any]:
    """A synthetic log's figures beside those of two real halves.

    Args:
        split: The data; the generator learnt from its training part.
        made: The synthetic log.
        seed: Seed of halvings and bootstrap.

    Returns:
        The `SynthesisReport`'s record, without curves.
    """
    from tfadvrec.synthesis import synthesis_report

    report = synthesis_report(
        split.train,
        made,
        train=split.train,
        test=split.test,
        validation=split.validation,
        repeats=REPEATS,
        seeds={"fidelity": seed, "utility": seed, "privacy": seed},
    ).to_dict()
    report["fidelity"].pop("curves")
    return report


def short(report: Mapping[str, Any]) -> dict[str, float]:
    """A report's leading numbers, by name.

    `utility` is nDCG@10 of a model trained on the synthetic log alone over that of the same model
    trained on the real one; `js COLUMN` is the Jensen-Shannon distance over that of one real half
    from the other.
    """
    numbers = {}
    for name, of_model in report["utility"]["models"].items():
        numbers[f"utility {name}"] = of_model["ratio"]["value"]
        numbers[f"ndcg@10 {name}"] = of_model["rows"]["synthetic"]["metrics"]["ndcg@10"]["value"]
    for column, measures in report["fidelity"]["columns"].items():
        floor = measures["js"]["real halves"]["mean"]
        if floor:
            numbers[f"js {column}"] = measures["js"]["synthetic"]["mean"] / floor
    copies = report["copy_check"]["against"]["train"]
    numbers["exact profiles"] = copies["exact profiles"]
    return {name: float(value) for name, value in numbers.items() if value is not None}


def generator_record(recipe: Any, split: Any, models: Sequence[Any]) -> dict[str, Any]:
    """What `metrics.json` says of a generator, with samplers that learn less beside it.

    Args:
        recipe: The recipe.
        split: The data.
        models: The generator of each seed, the shipped one first.
    """
    from tfadvrec.presets.card import split_note
    from tfadvrec.recipes.provenance import fingerprint, shareable
    from tfadvrec.synthesis import gaussian_copula, independent_columns, popularity_profiles

    train = split.train
    users = int(np.unique(train.user).size)
    made = [model.generate_profiles(users, seed=MADE_SEED) for model in models]
    reports = [measure_generator(split, log, seed=MADE_SEED) for log in made]
    for log in reports[0]["data"].values():
        log["origin"] = shareable(log["origin"])
    samplers = {
        "gaussian_copula": gaussian_copula,
        "independent_columns": independent_columns,
        "popularity_profiles": popularity_profiles,
    }
    figures = {recipe.name: summarised([short(report) for report in reports])}
    for name, sampler in samplers.items():
        drawn = [sampler(train, len(train), seed=MADE_SEED + i) for i in range(len(models))]
        rows = [short(measure_generator(split, log, seed=MADE_SEED)) for log in drawn]
        figures[name] = summarised(rows)
    return {
        "format": 1,
        "kind": "generator",
        "split": split_note(recipe.split or {"kind": "published"}),
        "users": users,
        "seeds": list(recipe.seeds[: len(models)]),
        "fingerprint": fingerprint(split),
        "models": figures,
        "report": reports[0],
    }


def summarised(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean, standard deviation and values over seeds, of each number that all rows have."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    values = {name: [row[name] for row in rows] for name in names}
    return {
        name: {
            "mean": float(np.mean(of_seeds)),
            "std": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
            "seeds": of_seeds,
        }
        for name, of_seeds in values.items()
    }
