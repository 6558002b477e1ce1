"""Ranking items that have no interactions yet: the game, its twin, and what stands beside them.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.cold_start --choose
    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.cold_start

On `coldstart-ml1m`. With `--choose`, candidates of each method are ranked by NDCG@10 on the cold
validation items (seed 0), and the best is kept in `results/cold_start_choice.json`; without, the
kept ones are trained with five seeds and measured once on the cold test items, alone and among all
items. Writes `results/cold_start.json`.
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfadvrec import losses
from tfadvrec.data import Interactions, in_batch, title_year
from tfadvrec.evaluation.random_scores import Random
from tfadvrec.evaluation.ranking_task import RankingTask
from tfadvrec.games.cold_start import ColdStartGame
from tfadvrec.games.losses import NonSaturating
from tfadvrec.models import MostPopular, PureSVD, TwoTower
from tfadvrec.models.attribute_recommender import AttributeRecommender
from tfadvrec.models.baselines.content_knn import ContentKNN
from tfadvrec.models.baselines.genre_mean import GenreMean

HERE = pathlib.Path(__file__).parent / "results"
FOLDER = "coldstart-ml1m"
USERS, ITEMS, LEAST = 6018, 3018, 10
STOP = frozenset(
    ("the", "of", "a", "and", "in", "to", "s", "on", "for", "an", "at", "from", "with")
)
FEATURES = {
    "genre": {"dimension": 32},
    "words": {"kind": "multi", "dimension": 32},
    "period": {"kind": "categorical", "dimension": 32},
    "year": {"kind": "numeric"},
}


class Parts(NamedTuple):
    """The published parts; all share one vocabulary and the items' features."""

    train: Interactions
    validation: Interactions
    test: Interactions


class AllGenerated:
    """An attribute recommender in which warm items, too, have the vectors that are generated.

    Args:
        model: The recommender.
    """

    def __init__(self, model: AttributeRecommender) -> None:
        self.model, self.n_users, self.n_items = model, model.n_users, model.n_items
        self.items = np.asarray(model.generated(np.arange(model.n_items)))

    def score_catalogue(self, users: np.ndarray) -> np.ndarray:
        """Scores of all items."""
        return np.asarray(self.model.embed_users(users)) @ self.items.T


def parts(folder: pathlib.Path) -> Parts:
    """Reads the split; words count that are in the titles of at least ten training items."""
    pairs = {
        name: np.loadtxt(folder / f"{name}_df.csv", np.int32, delimiter=",", skiprows=1)
        for name in ("train", "cold_vali", "cold_test")
    }
    with open(folder / "item_df.csv", encoding="utf-8", newline="") as file:
        films = sorted(csv.DictReader(file), key=lambda film: int(film["iid"]))
    names, years = title_year([film["title"] for film in films])
    words = [sorted(set(re.findall(r"\w+", name.lower())) - STOP) for name in names]
    warm = np.unique(pairs["train"][:, 1])
    counts = collections.Counter(word for row in warm for word in words[row])
    features = {
        "genre": [tuple(film["genres"].split("|")) for film in films],
        "words": [tuple(w for w in row if counts[w] >= LEAST) for row in words],
        "period": [str(int(year) // 5 * 5) for year in years],
        "year": years,
    }
    for name in ("genre", "words"):
        column = np.empty(ITEMS, object)
        column[:] = features[name]
        features[name] = column
    features["period"] = np.array(features["period"])
    ids = {"user_ids": np.arange(USERS), "item_ids": np.arange(ITEMS)}
    return Parts(
        *(
            Interactions(user=p[:, 0], item=p[:, 1], item_features=features, **ids, name=FOLDER)
            for p in pairs.values()
        )
    )


# -- methods: settings and a seed to (what was counted, model), again and again ---------------


def content_knn(data: Parts, seed: int, *, weights: dict, **settings: Any) -> Iterator[Any]:
    model = ContentKNN(n_users=USERS, n_items=ITEMS, **settings)
    yield 0, model.fit(data.train, ["genre", "words", "year"], weights=weights)


def content_tower(
    data: Parts, seed: int, *, epochs: list[int], rate: float, batch: int, **settings: Any
) -> Iterator[Any]:
    model = TwoTower.for_log(
        data.train, item_features=FEATURES, item_id_dimension=0, seed=seed, **settings
    )
    model.compile(keras.optimizers.Adam(rate), loss=losses.InBatchSoftmax())
    batches = in_batch(data.train, batch_size=batch, seed=seed, block=10**6)
    for epoch in range(1, max(epochs) + 1):
        model.fit(batches, verbose=0)
        if epoch in epochs:
            yield epoch, model


def generated(
    data: Parts,
    seed: int,
    *,
    rank: int,
    epochs: list[int],
    rate: float,
    weight: float,
    game: dict,
    **settings: Any,
) -> Iterator[Any]:
    base = PureSVD(n_users=USERS, n_items=ITEMS, rank=rank, seed=seed).fit(data.train)
    model = AttributeRecommender.for_log(data.train, base, features=FEATURES, seed=seed, **settings)
    play = ColdStartGame.for_log(data.train, model, seed=seed, **game)
    play.compile(
        keras.optimizers.Adam(rate),
        keras.optimizers.Adam(1e-3),
        NonSaturating(),
        adversarial_weight=weight,
        jit_compile=False,
    )
    batches, done = play.batches(data.train, batch_size=256, seed=seed), 0
    for epoch in epochs:
        play.fit(batches.repeat(epoch - done), verbose=0)
        done = epoch
        yield epoch, model


KNN = [
    {"neighbours": k, "average": average, "weights": {"words": words}}
    for k in (20, 50, 100)
    for average in (False, True)
    for words in (0.0, 0.5)
]
TOWER = [
    {"dimension": 64, "hidden": [256], "dropout": dropout, "temperature": 0.1, "rate": rate,
     "batch": 256, "epochs": [1, 2]}
    for dropout, rate in ((0.1, 1e-3), (0.3, 5e-4))
]  # fmt: skip
PLAIN = {"rank": 64, "rate": 2e-3, "epochs": [45, 60, 75, 90], "hidden": [512], "dropout": 0.1,
         "code_dimension": 128, "weight": 0.0, "game": {}}  # fmt: skip
TWIN = [PLAIN, {**PLAIN, "dropout": 0.2}, {**PLAIN, "game": {"ranking": 0.1, "temperature": 0.3}}]
GAME = [
    {**PLAIN, "weight": 0.03},
    {**PLAIN, "weight": 0.1, "noise_dimension": 16},
    {**PLAIN, "weight": 0.1, "game": {"real": "adopter"}},
]
METHODS: dict[str, tuple[Callable[..., Iterator[Any]], list[dict], bool]] = {
    "content kNN": (content_knn, KNN, False),
    "content two-tower": (content_tower, TOWER, True),
    "attribute generator, adversary off": (generated, TWIN, True),
    "attribute generator, game": (generated, GAME, True),
}
PLAIN_ONES = {
    "random": lambda data, seed: Random(n_users=USERS, n_items=ITEMS, seed=seed),
    "most popular": lambda data, seed: MostPopular(n_users=USERS, n_items=ITEMS).fit(data.train),
    "mean of genres": lambda data, seed: GenreMean.for_log(data.train, "genre"),
}


def measured(data: Parts, model: Any, part: str, *, mixed: bool = True) -> dict[str, float]:
    """NDCG@10 and Recall@10 on a part's cold items: ranked alone, and among all items."""
    held = getattr(data, part)
    seen = [] if part == "validation" else [data.validation]
    alone = RankingTask(data.train, held, seen=seen, items=np.unique(held.item))
    rankings = {"cold": (alone, model)}
    if mixed:
        task = RankingTask(data.train, held, seen=seen)
        rankings["mixed"] = (task, model)
        if isinstance(model, AttributeRecommender):
            rankings["mixed, all generated,"] = (task, AllGenerated(model))
    found = {}
    for name, (task, ranked) in rankings.items():
        means = task.evaluate(ranked, k=10, metrics=["ndcg", "recall"], threads=1).means
        found |= {f"{name} {metric}": float(value) for metric, value in means.items()}
    return found


def kept(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """Adds to a file of results, and gives all that is in it."""
    file = HERE / f"{name}.json"
    every = (json.loads(file.read_text()) if file.exists() else {}) | more
    if more:
        file.write_text(json.dumps(every, indent=1) + "\n")
    return every


def choose(data: Parts, names: list[str]) -> None:
    """Ranks the candidates on the validation part and keeps the best."""
    for name in names:
        make, candidates, _ = METHODS[name]
        rows = []
        for settings in candidates:
            begun = time.perf_counter()
            for epoch, model in make(data, 0, **settings):
                figures = measured(data, model, "validation", mixed=False)
                chosen = {**settings, "epochs": [epoch]} if epoch else settings
                rows.append({"settings": chosen, **figures})
                seconds = time.perf_counter() - begun
                print(
                    name, chosen, round(figures["cold ndcg@10"], 4), f"{seconds:.0f} s", flush=True
                )
                best = max(rows, key=lambda row: row["cold ndcg@10"])
                kept("cold_start_choice", {name: {"chosen": best["settings"], "tried": rows}})


def measured_on_test(data: Parts, names: list[str], seeds: int) -> None:
    """Trains what was chosen with several seeds and measures it on the test part."""
    choices, table = kept("cold_start_choice", {}), {}
    for name in names:
        count = seeds if name == "random" or METHODS.get(name, (0, 0, False))[2] else 1
        rows = []
        for seed in range(count):
            begun = time.perf_counter()
            if name in PLAIN_ONES:
                model = PLAIN_ONES[name](data, seed)
            else:
                *_, (_, model) = METHODS[name][0](data, seed, **choices[name]["chosen"])
            rows.append({**measured(data, model, "test"), "seconds": time.perf_counter() - begun})
            print(name, seed, rows[-1], flush=True)
        row = {
            "settings": choices.get(name, {}).get("chosen"),
            "mean": {key: float(np.mean([row[key] for row in rows])) for key in rows[0]},
            "sd": {key: float(np.std([row[key] for row in rows])) for key in rows[0]},
            "seeds": rows,
        }
        table = kept("cold_start", {name: row})
    for name, row in table.items():
        line = "  ".join(f"{row['mean'][k]:.4f} ± {row['sd'][k]:.4f}" for k in row["mean"])
        print(f"{name:36}{line}")


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="on the validation part")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="names of methods")
    options = parser.parse_args()
    data = parts(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / FOLDER)
    if options.choose:
        choose(data, options.only or list(METHODS))
    else:
        measured_on_test(data, options.only or [*PLAIN_ONES, *METHODS], options.seeds)


if __name__ == "__main__":
    main()
