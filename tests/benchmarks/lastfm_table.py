"""Graph models on `lightgcn-lastfm`, with and without the trust network, full ranking.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.lastfm_table

The published split of the LightGCN authors: 42,135 training and 10,533 test pairs of 1,880 users
and 4,489 items, and 12,717 edges between users. The number of epochs (and the baselines' settings)
are chosen by NDCG@20 on a tenth of each user's training interactions; then everything is fitted
anew on the whole training part, five seeds, and the test part is read once a seed. Writes
`results/lastfm_table.json`.
"""

import argparse
import itertools
import json
import os
import pathlib
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console

import tfadvrec as tar
from tests.benchmarks.apr_table import paired
from tests.benchmarks.tables import screen
from tfadvrec.data import Interactions, Split, by_ratio
from tfadvrec.models import EASE, ItemKNN, LightGCN, MostPopular, SimGCL, SpectralFilter

METRICS = ("recall@20", "ndcg@20")
EPOCHS = range(40, 201, 40)
CLOSED: dict[str, tuple[type, dict[str, list]]] = {
    "MostPopular": (MostPopular, {}),
    "ItemKNN": (ItemKNN, {"neighbours": [50, 200], "shrink": [0.0, 10.0]}),
    "SpectralFilter": (SpectralFilter, {"rank": [64, 128, 256]}),
    "EASE": (EASE, {"regularization": [50.0, 100.0, 200.0, 500.0]}),
}
# class, constructor arguments, whether the trust network is part of the graph, adversary
TRAINED: dict[str, tuple[type, dict[str, Any], bool, dict[str, Any] | None]] = {
    "LightGCN, no layer (MF)": (LightGCN, {"layers": 0}, False, None),
    "LightGCN": (LightGCN, {}, False, None),
    "LightGCN, trust network": (LightGCN, {}, True, None),
    "LightGCN against APR": (LightGCN, {}, False, {"relative": 0.15, "weight": 1.0}),
    "XSimGCL": (SimGCL, {"contrast": 0.05}, False, None),
}


def load(folder: pathlib.Path) -> tuple[Split, tuple[np.ndarray, np.ndarray]]:
    """Train and test log, and the ends of the trust network's edges."""
    train, test, trust = (
        np.loadtxt(folder / name, dtype=np.int32, usecols=(0, 1)) - 1
        for name in ("data1.txt", "test1.txt", "trustnetwork.txt")
    )
    n_users, n_items = np.concatenate([train, test]).max(axis=0) + 1
    ids = {"user_ids": np.arange(n_users), "item_ids": np.arange(n_items), "name": "lastfm"}
    logs = [Interactions(user=part[:, 0], item=part[:, 1], **ids) for part in (train, test)]
    inside = (trust < n_users).all(axis=1)
    return Split(logs[0], None, logs[1]), tuple(trust[inside].T)


class Run:
    """A model under training."""

    def __init__(self, name: str, log: Interactions, trust: Any, seed: int) -> None:
        cls, settings, social, adversary = TRAINED[name]
        self.model = cls(n_users=log.n_users, n_items=log.n_items, seed=seed, **settings)
        self.model.bind(log, social=trust if social else None)
        self.trained, self.epoch = self.model, 0
        if adversary:
            self.trained = tar.AdversarialTraining(
                self.model,
                tar.FastGradient(tar.adversary.RelativeEpsilon(adversary["relative"])),
                weight=adversary["weight"],
                target=tar.adversary.outputs_of("_vectors"),
            )
        loss = tar.losses.BayesianPersonalizedRanking()
        self.trained.compile(keras.optimizers.Adam(5e-3), loss=loss)
        self.data = tar.data.pairs(log, batch_size=2048, seed=seed, block=1000)

    def fit_to(self, epoch: int) -> keras.Model:
        """Trains on to an epoch."""
        self.trained.fit(self.data, epochs=epoch - self.epoch, verbose=0)
        self.epoch = epoch
        return self.model


def measure(model: keras.Model, split: Split) -> Any:
    return tar.evaluation.evaluate(
        model, split.train, split.test, k=(20,), metrics=("recall", "ndcg")
    )


def choose(name: str, fold: Split, trust: Any) -> dict[str, Any]:
    """The epochs or settings with the best validation NDCG@20."""
    tried = []
    if name in TRAINED:
        run = Run(name, fold.train, trust, seed=100)
        for epoch in EPOCHS:
            tried.append((measure(run.fit_to(epoch), fold).means["ndcg@20"], {"epochs": epoch}))
    else:
        cls, grid = CLOSED[name]
        for values in itertools.product(*grid.values()):
            setting = dict(zip(grid, values, strict=True))
            model = closed(cls, fold.train, setting)
            tried.append((measure(model, fold).means["ndcg@20"], setting))
    print(name, tried, flush=True)
    return max(tried, key=lambda one: one[0])[1]


def closed(cls: type, log: Interactions, setting: dict[str, Any]) -> keras.Model:
    return cls(n_users=log.n_users, n_items=log.n_items, **setting).fit(log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "lightgcn-lastfm"
    split, trust = load(folder)
    part = by_ratio(split.train, validation=0, test=0.1, seed=0)
    rows, results = [], {}
    for name in [*CLOSED, *TRAINED]:
        setting = choose(name, part, trust)
        if name in TRAINED:
            runs = [Run(name, split.train, trust, seed) for seed in range(arguments.seeds)]
            found = [measure(run.fit_to(setting["epochs"]), split) for run in runs]
        else:
            found = [measure(closed(CLOSED[name][0], split.train, setting), split)]
        results[name] = found
        over = tar.evaluation.over_seeds(found)
        rows.append(
            {
                "model": name,
                **{metric: over[metric]["mean"] for metric in METRICS},
                "sd over seeds": over["ndcg@20"]["sd"],
                "interval over users": list(found[0].interval("ndcg@20")),
                "setting": setting,
            }
        )
        Console().print(screen("lightgcn-lastfm", rows, ["model", *METRICS, "sd over seeds"]))
    plain = results["LightGCN"]
    against = {
        name: paired(found, plain, "ndcg@20")
        for name, found in results.items()
        if name in TRAINED and name != "LightGCN"
    }
    record = {"seeds": arguments.seeds, "rows": rows, "difference from LightGCN": against}
    (arguments.output / "lastfm_table.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
