"""Table F: models of sequences on `sasrec-video`, and next events in time on MovieLens-100K.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.sequential_table [--only SASRec ...]

`sasrec-video`: each user's last event is the test, all other items outside the user's earlier ones
are ranked (31,013 users, 23,715 items). Settings and the number of epochs are chosen on the event
before, of 4,000 users; then each model is fitted anew on all but the test event, trained ones with
three seeds, and the test is read once. EASE is not there: its dense matrix of all pairs of items
would take gigabytes. "SASRec, adversarial" has SASRec's setting and epochs, the last third of them
against the adversary, so that "SASRec" is its twin: only the adversary's size was chosen, from two.
The attack climbs a pairwise loss of 20,000 training events, on the item table, by sizes relative to
the table's own mean row length.

`--drift` ranks each of the last fifth of MovieLens-100K's events from what its user took before,
window by window, by models that saw only the first four fifths.

Each row is written to `results/sequential_table.json` when it is done, and rows of other models
stay, so that an interrupted run goes on with `--only`.
"""

import argparse
import json
import os
import pathlib
import time
from statistics import fmean
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfadvrec as tar
from tests.benchmarks.apr_table import paired
from tfadvrec.adversary import RelativeEpsilon, outputs_of
from tfadvrec.audit.attacker import Attacker
from tfadvrec.audit.triples import training_triples
from tfadvrec.data import Interactions, Split, leave_last_out
from tfadvrec.models import Recurrent, SelfAttentive

SHOWN = ("ndcg@10", "hr@10", "mrr@10")
CHOOSING_USERS = 4_000
ATTACK = {"relative_epsilon": (0.5, 1.0), "steps": 10, "events": 20_000, "users": 10_000}
CLOSED: dict[str, list[dict[str, Any]]] = {
    "MostPopular": [{}],
    "ItemKNN": [{"neighbours": 100, "shrink": h} for h in (1.0, 10.0)],
    "PureSVD": [{"rank": r} for r in (64, 256)],
}
BATCH, NEGATIVES, RATE = 64, 256, 3e-3
HISTORY = {"dimension": 64, "length": 10}
SASREC = {"blocks": 1, "dropout": 0.4, "decay": 12}  # epochs in which the rate falls to nothing
# a model's candidates, and the epochs after which each is looked at
TRAINED: dict[str, tuple[list[dict[str, Any]], tuple[int, ...]]] = {
    "BPR-MF": ([{"regularization": 0.0}, {"regularization": 30.0}], (20, 40, 60)),
    "GRU4Rec": ([{"dropout": 0.25, "decay": 12, "negatives": 1024}], (12,)),
    "SASRec": ([{**SASREC, "negatives": n} for n in (256, 1024)], (12,)),
    "SASRec, adversarial": ([{"epsilon": 0.1, "after": 8}, {"epsilon": 0.25, "after": 8}], ()),
}
TWIN = {"SASRec, adversarial": "SASRec"}
ADVERSARIAL_WEIGHT = 1.0


def load(folder: pathlib.Path) -> Interactions:
    """The log; a line of the file is a user and an item, a user's lines in the order of time."""
    rows = np.loadtxt(folder / "sasrec-video" / "Video.txt", dtype=np.int64)
    (users, user), (items, item) = (np.unique(part, return_inverse=True) for part in rows.T)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=users,
        item_ids=items,
        name="sasrec-video",
    )


def rows_of(log: Interactions) -> dict[str, int]:
    return {"n_users": log.n_users, "n_items": log.n_items}


class Run:
    """A trained model on its way: `fit_to` an epoch."""

    def __init__(self, name: str, log: Interactions, setting: dict[str, Any], seed: int) -> None:
        self.epoch = 0
        setting = {key: value for key, value in setting.items() if key != "epochs"}
        epsilon, self.after = setting.pop("epsilon", None), setting.pop("after", 0)
        negatives, decay = setting.pop("negatives", NEGATIVES), setting.pop("decay", None)
        if name == "BPR-MF":
            self.model = tar.MatrixFactorization(**rows_of(log), **setting, seed=seed).bind(log)
            self.data = tar.data.pairs(log, batch_size=512, seed=seed, block=10_000)
            optimizer = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1)
            self.trainer, loss = self.model, tar.losses.BayesianPersonalizedRanking()
        else:
            cls = Recurrent if name == "GRU4Rec" else SelfAttentive
            self.model = cls(**rows_of(log), **HISTORY, **setting, seed=seed).bind(log)
            self.data = tar.data.sequences(
                log,
                batch_size=BATCH,
                length=HISTORY["length"],
                candidates="shared",
                negatives=negatives,
                windows=None,
                seed=seed,
                block=10_000,
            )
            steps = decay and decay * (log.n_users // BATCH)
            rate = keras.optimizers.schedules.PolynomialDecay(RATE, steps, 0.0) if decay else RATE
            optimizer = tar.optimizers.LazyAdam(rate)
            self.trainer, loss = self.model, tar.losses.InBatchSoftmax()
        if epsilon is not None:
            attack = tar.FastGradient(RelativeEpsilon(epsilon))
            target = outputs_of("history_vectors", per="example")
            self.trainer = tar.AdversarialTraining(
                self.model, attack, ADVERSARIAL_WEIGHT, target=target, seed=seed
            )
        self.model.compile(optimizer, loss=loss)
        self.trainer.compile(optimizer, loss=loss)

    def fit_to(self, epoch: int) -> keras.Model:
        """Trains on to an epoch, the first `after` without adversary, and gives the recommender."""
        for trainer, until in ((self.model, min(self.after, epoch)), (self.trainer, epoch)):
            if until > self.epoch:
                trainer.fit(self.data, epochs=until - self.epoch, verbose=0)
                self.epoch = until
        return self.model


def closed(log: Interactions, name: str, setting: dict[str, Any]) -> keras.Model:
    return getattr(tar, name)(**rows_of(log), **setting).fit(log)


def measure(model: keras.Model, split: Split) -> Any:
    return tar.evaluate(model, split.train, split.test, k=(10,), metrics=("ndcg", "hr", "mrr"))


def choose(name: str, inner: Split, known: dict[str, Any]) -> tuple[dict[str, Any], list[dict]]:
    """The setting and epoch that rank the event before the test best, and all that were tried."""
    tried = []
    for setting in CLOSED.get(name, []):
        tried.append({**setting, "ndcg@10": _validated(closed(inner.train, name, setting), inner)})
    candidates, checkpoints = TRAINED.get(name, ([], ()))
    twin = known[TWIN[name]]["setting"] if name in TWIN else {}
    for setting in candidates:
        setting = {**{k: v for k, v in twin.items() if k != "epochs"}, **setting}
        run = Run(name, inner.train, setting, seed=100)
        for epoch in checkpoints or (twin["epochs"],):
            score = _validated(run.fit_to(epoch), inner)
            tried.append({**setting, "epochs": epoch, "ndcg@10": score})
            print(name, tried[-1], flush=True)
    best = max(tried, key=lambda one: one["ndcg@10"])
    return {key: value for key, value in best.items() if key != "ndcg@10"}, tried


def _validated(model: keras.Model, inner: Split) -> float:
    return measure(model, inner).means["ndcg@10"]


def row(name: str, outer: Split, inner: Split, known: dict[str, Any], seeds: int) -> tuple:
    """Chooses, fits anew and tests one model; the row, and its results."""
    began = time.perf_counter()
    setting, tried = choose(name, inner, known)
    chosen = time.perf_counter()
    results, attacked = [], {}
    for seed in range(seeds if name in TRAINED else 1):
        if name in CLOSED:
            model = closed(outer.train, name, setting)
        else:
            model = Run(name, outer.train, setting, seed).fit_to(setting["epochs"])
        results.append(measure(model, outer))
        print(name, seed, results[-1].means, flush=True)
        if seed == 0 and {name} & {*TWIN, *TWIN.values()}:
            attacked = under_attack(model, outer)
    ended = time.perf_counter()
    means = {metric: [result.means[metric] for result in results] for metric in SHOWN}
    return {
        "model": name,
        "setting": setting,
        "seeds": len(results),
        **{m: {"mean": fmean(v), "sd": float(np.std(v)), "each": v} for m, v in means.items()},
        "interval over users": {m: list(results[0].interval(m)) for m in SHOWN[:2]},
        "attacked": attacked,
        "minutes to choose": (chosen - began) / 60,
        "minutes a seed": (ended - chosen) / 60 / len(results),
        "tried": tried,
    }, results


def under_attack(model: keras.Model, split: Split) -> dict[str, float]:
    """NDCG@10 of some users, clean and under attacks of sizes relative to the table's rows."""
    rng = np.random.default_rng(0)
    some = split.train.take(rng.permutation(len(split.train))[: ATTACK["events"]])
    users = split.test.take(rng.permutation(len(split.test))[: ATTACK["users"]])
    part, table = split._replace(test=users), model.item_embedding.embeddings
    loss = tar.losses.BayesianPersonalizedRanking()
    attacker = Attacker(model, training_triples(some, seed=1), loss, variables=[table])
    found = {"clean": measure(model, part).means["ndcg@10"]}
    for relative in ATTACK["relative_epsilon"]:
        size = relative * attacker.norms["all"]
        climb = tar.ProjectedGradient(size, steps=ATTACK["steps"])
        moves = {"attacked": climb, "noise": tar.RandomNoise(size)}
        for label, move in moves.items():
            deltas, _ = attacker.attack(move, scale=attacker.scale)
            with attacker.moved(deltas):
                found[f"{label} {relative:g}"] = measure(model, part).means["ndcg@10"]
    print("under attack", found, flush=True)
    return found


def differences(values: dict[str, Any]) -> dict[str, Any]:
    """Paired differences of nDCG@10 over users, seeds averaged, of rows that are there."""
    pairs = [("SASRec", other) for other in (*CLOSED, "BPR-MF", "GRU4Rec")]
    pairs += list(TWIN.items())
    return {
        f"{a} - {b}": {
            **paired([values[a]], [values[b]], "ndcg@10"),
            "ratio": float(values[a].mean / values[b].mean),
        }
        for a, b in pairs
        if {a, b} <= set(values)
    }


class Stored:
    """A row's values per user, seeds averaged, kept beside the table for paired differences."""

    def __init__(self, users: np.ndarray, values: np.ndarray) -> None:
        self.users, self.column = users, values

    @property
    def mean(self) -> float:
        return float(self.column.mean())

    def values(self, metric: str) -> np.ndarray:
        return self.column


class Popular:
    """Ranks by training counts whatever the history."""

    def __init__(self, log: Interactions) -> None:
        self.counts = np.bincount(log.item, minlength=log.n_items).astype(np.float64)

    def score_history(self, rows: np.ndarray) -> np.ndarray:
        return np.tile(self.counts, (len(rows), 1))


def drift(folder: pathlib.Path) -> dict[str, Any]:
    """Next events of MovieLens-100K after training ended, in four windows."""
    log = tar.data.movielens("100k", path=folder / "ml-100k")
    train, _, test = tar.data.by_time(log, validation=0, test=0.2)
    settings = {"dimension": 64, "length": 50, "dropout": 0.3, "seed": 0}
    models = {"MostPopular": Popular(train), "ItemKNN": closed(train, "ItemKNN", {})}
    for name, options in {"SASRec": {}, "SASRec, time-aware": {"time_aware": True}}.items():
        model = SelfAttentive(**rows_of(log), **settings, **options).bind(train)
        model.compile(keras.optimizers.Adam(1e-3, beta_2=0.98), loss=tar.losses.InBatchSoftmax())
        data = tar.data.sequences(
            train, batch_size=64, length=50, candidates="catalogue", windows=None, block=10_000
        )
        model.fit(data, epochs=10, verbose=0)
        models[name] = model
    after, found = int(test.time.min()), {}
    for name, model in models.items():
        result = tar.evaluation.evaluate_next_events(model, log, after=after)
        found[name] = {"unranked": result.unranked, "windows": result.rows()}
        print(name, found[name], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*CLOSED, *TRAINED]
    parser.add_argument("--only", nargs="+", default=every, choices=every, metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--drift", action="store_true")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    folder = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    path = arguments.output / "sequential_table.json"
    record = json.loads(path.read_text()) if path.exists() else {"rows": []}
    if arguments.drift:
        record["drift on ml-100k"] = drift(folder)
        path.write_text(json.dumps(record, indent=1) + "\n")
        return
    log = load(folder)
    outer = leave_last_out(log, validation=False)
    inner = leave_last_out(outer.train, validation=False)
    some = np.random.default_rng(0).permutation(len(inner.test))[:CHOOSING_USERS]
    inner = inner._replace(test=inner.test.take(np.sort(some)))
    kept = arguments.output / "sequential_table_users.npz"
    stored = dict(np.load(kept)) if kept.exists() else {}
    for name in arguments.only:
        known = {one["model"]: one for one in record["rows"]}
        known[name], results = row(name, outer, inner, known, arguments.seeds)
        stored["users"] = results[0].users
        stored[name] = np.mean([r.values("ndcg@10") for r in results], axis=0, dtype=np.float32)
        np.savez_compressed(kept, **stored)
        values = {m: Stored(stored["users"], stored[m]) for m in every if m in stored}
        record["rows"] = [known[m] for m in every if m in known]
        record["paired differences, nDCG@10"] = differences(values)
        path.write_text(json.dumps(record, indent=1) + "\n")
    for one in record["rows"]:
        cells = (f"{one[m]['mean']:.4f} ± {one[m]['sd']:.4f}" for m in SHOWN)
        print(f"| {one['model']} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
