"""Table E: graph models on `lightgcn-gowalla`, full ranking, Recall@20 and NDCG@20.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.graph_table --only XSimGCL

The published split of NGCF and LightGCN: 810,128 training and 217,242 test interactions of 29,858
users and 40,981 items, ranked in full outside the training items. A training takes most of an
hour on two cores, so nothing is tuned here: settings are the papers', and batch size, learning
rate and the number of epochs were fixed before the test part was read. The spectral start is the
truncated decomposition of the normalised matrix. Each model's row is written to
`results/graph_table.json` when it is done; rows of other models stay.
"""

import argparse
import json
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console

import tfadvrec as tar
from tests.benchmarks.tables import screen
from tfadvrec.data import Interactions
from tfadvrec.models import LightGCN, MostPopular, SimGCL, SpectralFilter

METRICS = ("recall@20", "ndcg@20")
PUBLISHED = {"recall@20": 0.1824, "ndcg@20": 0.1547}  # LightGCN, 3 layers
ADVERSARY = {"epsilon": 0.1, "weight": 0.5}
# class, constructor arguments, spectral start, adversary, batch size, rate, epochs
TRAINED: dict[str, tuple[type, dict[str, Any], bool, bool, int, float, int]] = {
    "XSimGCL": (SimGCL, {}, False, False, 4096, 2e-3, 16),
    "LightGCN, spectral start": (LightGCN, {}, True, False, 8192, 1e-3, 20),
    "LightGCN against APR, spectral start": (LightGCN, {}, True, True, 8192, 1e-3, 10),
}
CLOSED: dict[str, tuple[type, dict[str, Any]]] = {
    "MostPopular": (MostPopular, {}),
    "SpectralFilter": (SpectralFilter, {"rank": 256}),
}


def load(folder: pathlib.Path) -> tuple[Interactions, Interactions]:
    """Train and test log; a line of a file is a user and the user's items."""
    read = {part: _pairs(folder / f"{part}.txt") for part in ("train", "test")}
    every = np.concatenate(list(read.values()), axis=1)
    ids = [np.arange(rows.max() + 1) for rows in every]
    logs = [
        Interactions(user=user, item=item, user_ids=ids[0], item_ids=ids[1], name="gowalla")
        for user, item in read.values()
    ]
    return logs[0], logs[1]


def _pairs(path: pathlib.Path) -> np.ndarray:
    lines = [np.array(line.split(), np.int32) for line in path.read_text().splitlines()]
    users = np.repeat([line[0] for line in lines], [len(line) - 1 for line in lines])
    return np.stack([users.astype(np.int32), np.concatenate([line[1:] for line in lines])])


def train(name: str, log: Interactions, seed: int) -> keras.Model:
    """A trained model of the table."""
    cls, settings, spectral, adversary, batch, rate, epochs = TRAINED[name]
    model = cls(n_users=log.n_users, n_items=log.n_items, seed=seed, **settings).bind(log)
    if spectral:
        start(model, log)
    trained = model
    if adversary:
        trained = tar.AdversarialTraining(
            model,
            tar.FastGradient(ADVERSARY["epsilon"]),
            weight=ADVERSARY["weight"],
            target=tar.adversary.outputs_of("_vectors"),
        )
    trained.compile(keras.optimizers.Adam(rate), loss=tar.losses.BayesianPersonalizedRanking())
    data = tar.data.pairs(log, batch_size=batch, seed=seed, block=20)
    trained.fit(data, epochs=epochs, verbose=2)
    return model


def start(model: keras.Model, log: Interactions) -> None:
    """Gives a model the decomposition's factors, as long on average as its own vectors were."""
    cls = SpectralFilter(n_users=log.n_users, n_items=log.n_items, rank=model.dimension)
    cls.fit(log)
    for table, factors in (
        (model.user_embedding.embeddings, cls.user_factors),
        (model.item_embedding.embeddings, cls.item_factors),
    ):
        length = np.linalg.norm(factors.numpy(), axis=1).mean()
        table.assign(factors * (model.initial_scale * model.dimension**0.5 / length))


def row(name: str, log: Interactions, test: Interactions, seeds: range) -> dict[str, Any]:
    """Trains and measures one model; the test part is read once a seed."""
    began, results = time.perf_counter(), []
    for seed in seeds if name in TRAINED else [0]:
        if name in TRAINED:
            model = train(name, log, seed)
        else:
            cls, settings = CLOSED[name]
            model = cls(n_users=log.n_users, n_items=log.n_items, **settings).fit(log)
        results.append(
            tar.evaluation.evaluate(model, log, test, k=(20,), metrics=("recall", "ndcg"))
        )
    return {
        "model": name,
        **{metric: float(np.mean([r.means[metric] for r in results])) for metric in METRICS},
        "interval over users": {m: list(results[0].interval(m)) for m in METRICS},
        "each seed": {m: [r.means[m] for r in results] for m in METRICS},
        "minutes a seed": (time.perf_counter() - began) / 60 / len(results),
        "setting": _setting(name),
    }


def _setting(name: str) -> dict[str, Any]:
    if name in CLOSED:
        return CLOSED[name][1]
    cls, settings, spectral, adversary, batch, rate, epochs = TRAINED[name]
    defaults = cls(n_users=1, n_items=1, **settings).get_config()
    kept = {k: v for k, v in defaults.items() if k not in ("n_users", "n_items", "name", "seed")}
    used = {"batch_size": batch, "learning_rate": rate, "epochs": epochs, "spectral": spectral}
    return {**kept, **used, **({"adversary": ADVERSARY} if adversary else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[*CLOSED, *TRAINED], metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    log, test = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "lightgcn-gowalla")
    path = arguments.output / "graph_table.json"
    for name in arguments.only:
        found = row(name, log, test, range(arguments.seeds))
        # read again: another process may have added rows meanwhile
        kept = json.loads(path.read_text())["rows"] if path.exists() else []
        rows = [*(one for one in kept if one["model"] != name), found]
        path.write_text(json.dumps({"published LightGCN": PUBLISHED, "rows": rows}, indent=1))
        Console().print(screen("lightgcn-gowalla", rows, ["model", *METRICS, "minutes a seed"]))


if __name__ == "__main__":
    main()
