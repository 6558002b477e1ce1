"""The behaviour game against other generators: how near, how useful, how private.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.behaviour --log ml-100k --seeds 0 1 2

On `ml-100k` or `movietweetings`: a fifth of each user's interactions is held out, on
`movietweetings` a tenth more for the settings of the model that ranks; generators learn from the
rest. Each generates as many users (or rows) as there are. Reported by
`tfadvrec.synthesis`: each column's Jensen-Shannon distance over that of one real half against the
other, NDCG@10 of a model that learnt from the synthetic log alone beside that of the same model on
the real one, exact copies, and with `--membership` the membership attack with every tenth user held
out. Beside the game: the same generator with the adversary off (`adversarial_weight=0`),
independent columns, a Gaussian copula, and CTGAN in its own environment (`--ctgan PYTHON`) for as
long as the game took. Writes `results/behaviour_LOG.json`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfadvrec import synthesis
from tfadvrec.data import Interactions, Split, by_ratio, movielens
from tfadvrec.games.behaviour import BehaviourGame

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = {"noise": 64, "taste_widths": (128, 128), "event_widths": (128,)}
SETTINGS: dict[str, dict[str, Any]] = {
    "ml-100k": {
        "epochs": 6, "batch_size": 200, "model": "EASE",
        "game": {"item_dimension": 64, "taste_dimension": 48},
    },
    "movietweetings": {
        "epochs": 2, "batch_size": 200, "model": "ItemKNN", "validation": 0.1,
        "game": {
            "item_dimension": 64, "taste_dimension": 48, "item_draws": 8, "halves": True,
        },
    },
}  # fmt: skip


def load(name: str, data: pathlib.Path) -> Interactions:
    """The log, from the folder of benchmark data."""
    if name == "ml-100k":
        return movielens("100k", path=data / "ml-100k")
    columns = {"user": 0, "item": 1, "rating": 2, "time": 3}
    file = data / "movietweetings" / "100K" / "ratings.dat"
    return Interactions.from_csv(file, separator="::", header=False, **columns)


def play(log: Interactions, name: str, seed: int, *, weight: float = 1.0) -> BehaviourGame:
    """The trained game."""
    chosen = SETTINGS[name]
    game = BehaviourGame.for_log(
        log, seed=seed, critic_widths=(128, 128), generator=NETWORKS, **chosen["game"]
    )
    adam = {"learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.9}
    game.compile(
        keras.optimizers.Adam(**adam, use_ema=True, ema_momentum=0.995),
        keras.optimizers.Adam(**adam),
        adversarial_weight=weight,
    )
    batches = game.batches(log, batch_size=chosen["batch_size"], seed=seed, block=40)
    game.fit(batches, epochs=chosen["epochs"], verbose=0)
    return game


def ctgan(log: Interactions, python: str, seconds: float, seed: int) -> Interactions:
    """CTGAN's rows as a log; rows that repeat a pair of user and item are dropped."""
    import pandas as pd

    hour, weekday = log.time % 86_400 // 3600, (log.time // 86_400 + 3) % 7
    table = {"user": log.user, "item": log.item, "rating": log.rating, "hour": hour}
    table |= {"weekday": weekday}
    with tempfile.TemporaryDirectory() as room:
        events, made = pathlib.Path(room, "events.csv"), pathlib.Path(room, "made.csv")
        pd.DataFrame(table).to_csv(events, index=False)
        words = [python, HERE / "peers" / "ctgan_events.py", events, seconds, seed, len(log), made]
        subprocess.run([str(word) for word in words], check=True)
        rows = pd.read_csv(made).drop_duplicates(["user", "item"])
    week = 4 * 86_400  # a Monday
    return Interactions(
        user=rows["user"].to_numpy(np.int32),
        item=rows["item"].to_numpy(np.int32),
        rating=rows["rating"].to_numpy(np.float32),
        time=(week + rows["weekday"] * 86_400 + rows["hour"] * 3600).to_numpy(np.int64),
        user_ids=np.array([f"ctgan-{n}" for n in range(log.n_users)]),
        item_ids=log.item_ids,
        name="ctgan",
        real=False,
    )


def measured(split: Split, made: Interactions, model: str) -> dict:
    """The figures of one synthetic log."""
    train, test, held = split.train, split.test, split.validation
    near = synthesis.fidelity(train, made, repeats=10)
    ratios = {}
    for column, rows in near["columns"].items():
        js = {row: held["mean"] for row, held in rows["js"].items()}
        ratios[column] = js["synthetic"] / max(js["real halves"], 1e-9)
    settings = {"models": (model,), "k": (10,), "resamples": 200}
    useful = synthesis.utility(train, made, test, validation=held, **settings)
    copies = synthesis.copy_check(made, train)
    return {"js over halves": ratios, "utility": useful, "copies": copies}


def attacked(log: Interactions, name: str, seed: int) -> dict:
    """The membership attack, with every tenth user held out of the game."""
    users = np.random.default_rng(seed).permutation(log.n_users)
    out = np.isin(log.user, users[: log.n_users // 10])
    game = play(log.take(~out), name, seed)
    made = game.generate_profiles(len(game.data.starts) - 1, seed=seed)
    return synthesis.membership(made, log.take(~out), log.take(out), seed=seed)


def main() -> None:
    """Runs what was asked for and writes it down."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", choices=list(SETTINGS), default="ml-100k")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ctgan", help="Python of an environment with ctgan")
    parser.add_argument("--membership", action="store_true")
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results")
    chosen = parser.parse_args()
    data = pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"])
    log, found = load(chosen.log, data), []
    share, model = SETTINGS[chosen.log].get("validation", 0.0), SETTINGS[chosen.log]["model"]
    split = by_ratio(log, validation=share, test=0.2, seed=0)
    for seed in chosen.seeds:
        started = time.perf_counter()
        game = play(split.train, chosen.log, seed)
        seconds = time.perf_counter() - started
        users, rows = len(game.data.starts) - 1, len(split.train)
        logs = {"behaviour game": game.generate_profiles(users, seed=seed)}
        off = play(split.train, chosen.log, seed, weight=0.0)
        logs["adversary off"] = off.generate_profiles(users, seed=seed)
        logs["independent columns"] = synthesis.independent_columns(split.train, rows, seed)
        logs["gaussian copula"] = synthesis.gaussian_copula(split.train, rows, seed)
        if chosen.ctgan:
            logs["ctgan"] = ctgan(split.train, chosen.ctgan, seconds, seed)
        for label, made in logs.items():
            figures = measured(split, made, model)
            found.append({"seed": seed, "generator": label, "seconds": seconds, **figures})
            print(seed, label, json.dumps(figures["js over halves"]), flush=True)
            kept = {"log": chosen.log, "settings": SETTINGS[chosen.log], "runs": found}
            write(chosen.output, kept)
    if chosen.membership:
        found = attacked(log, chosen.log, chosen.seeds[0])
        write(chosen.output, {"log": chosen.log, "membership": found})


def write(folder: pathlib.Path, more: dict[str, Any]) -> None:
    """Puts figures into the file of their log, beside those that are there."""
    folder.mkdir(exist_ok=True)
    file = folder / f"behaviour_{more['log'].replace('-', '_')}.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**before, **more}, indent=1) + "\n")


if __name__ == "__main__":
    main()
