"""A small matrix factorisation taught by a big one, beside its twin without a teacher.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.distillation

MovieLens-100K, leave-last-out (leaks time), full ranking, softmax over the positive and ten
negatives. The teacher's vectors have 64 numbers, the student's 8. Rates, weights, temperatures and
epochs are chosen on the last but one event of each user, the twin and the distilled student with
four settings each and the same checkpoints; then all are fitted on the whole training part with
three other seeds, and the last events are read once. Writes `results/distillation.json`.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfadvrec as tar
from tests.benchmarks.apr_table import paired
from tests.benchmarks.catalogues import ml_100k
from tfadvrec.data import Split, leave_last_out
from tfadvrec.evaluation import over_seeds
from tfadvrec.evaluation.ranking_task import RankingTask

RESULT = pathlib.Path(__file__).parent / "results" / "distillation.json"
BIG, SMALL, BATCH, NEGATIVES = 64, 8, 1024, 10
CHECKPOINTS = (5, 10, 15, 20, 30)
TEACHERS = [{"rate": rate} for rate in (0.05, 0.1)]
TWINS = [{"rate": rate} for rate in (0.05, 0.1, 0.2, 0.4)]
TAUGHT = [
    {"weight": weight, "temperature": temperature}
    for weight, temperature in ((1.0, 1.0), (1.0, 4.0), (4.0, 1.0), (4.0, 4.0))
]


def epochs(
    split: Split, dimension: int, seed: int, last: int, setting: dict, teacher: object = None
) -> Iterator[tuple[int, tar.MatrixFactorization]]:
    """The model at each checkpoint up to the last."""
    log = split.train
    model = tar.MatrixFactorization(
        n_users=log.n_users, n_items=log.n_items, dimension=dimension, item_bias=True, seed=seed
    ).bind(log)
    training = model
    if teacher is not None:
        numbers = {key: setting[key] for key in ("weight", "temperature")}
        training = tar.tuning.Distillation(model, teacher, **numbers)
    optimizer = tar.optimizers.SparseAdagrad(setting["rate"], initial_accumulator_value=0.1)
    training.compile(optimizer, loss=tar.losses.InBatchSoftmax(), jit_compile=True)
    options = {"batch_size": BATCH, "negatives": NEGATIVES, "block": 100, "seed": seed}
    data, done = tar.data.pairs(log, **options), 0
    for at in (e for e in CHECKPOINTS if e <= last):
        training.fit(data, epochs=at - done, verbose=0)
        done = at
        yield at, model


def best(split: Split, dimension: int, settings: list[dict], teacher: object = None) -> dict:
    """The setting and the number of epochs that the validation part prefers, and what was tried."""
    task, tried = RankingTask(split.train, split.validation), []
    for setting in settings:
        for at, model in epochs(split, dimension, 100, CHECKPOINTS[-1], setting, teacher):
            value = task.evaluate(model, k=10, metrics=["ndcg"], threads=1).means["ndcg@10"]
            tried.append({**setting, "epochs": at, "ndcg@10": float(value)})
            print(tried[-1], flush=True)
    return {"chosen": max(tried, key=lambda row: row["ndcg@10"]), "tried": tried}


def fitted(split: Split, dimension: int, seed: int, setting: dict, teacher: object = None):
    """The model after the chosen number of epochs."""
    *_, (_, model) = epochs(split, dimension, seed, setting["epochs"], setting, teacher)
    return model


def choose(split: Split) -> dict:
    """All settings, on the validation part."""
    found = {"teacher": best(split, BIG, TEACHERS), "twin": best(split, SMALL, TWINS)}
    teacher = fitted(split, BIG, 100, found["teacher"]["chosen"])
    rate = found["twin"]["chosen"]["rate"]
    taught = [{"rate": rate, **setting} for setting in TAUGHT]
    return {**found, "distilled": best(split, SMALL, taught, teacher)}


def measure(split: Split, found: dict, seeds: int) -> dict:
    """The test part, read once."""
    task = RankingTask(split.train, split.test)
    rows: dict[str, list] = {name: [] for name in found}
    for seed in range(seeds):
        teacher = fitted(split, BIG, seed, found["teacher"]["chosen"])
        models = {
            "teacher": teacher,
            "twin": fitted(split, SMALL, seed, found["twin"]["chosen"]),
            "distilled": fitted(split, SMALL, seed, found["distilled"]["chosen"], teacher),
        }
        for name, model in models.items():
            rows[name].append(task.evaluate(model, k=10, metrics=["ndcg", "hr"], threads=1))
            print(seed, name, rows[name][-1].means, flush=True)
    gaps = {
        f"distilled - {other}": paired(rows["distilled"], rows[other], "ndcg@10")
        for other in ("twin", "teacher")
    }
    return {"rows": {name: over_seeds(row) for name, row in rows.items()}, "ndcg@10 paired": gaps}


def main() -> None:
    """Chooses, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    began, log = time.time(), ml_100k(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]))
    found = choose(leave_last_out(log, validation=True))
    report = {
        "command": f"python -m tests.benchmarks.distillation --seeds {arguments.seeds}",
        "date": time.strftime("%Y-%m-%d"),
        "vectors": {"teacher": BIG, "student": SMALL},
        "validation": found,
        "test": measure(leave_last_out(log, validation=False), found, arguments.seeds),
        "seconds": round(time.time() - began),
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["test"], indent=1))


if __name__ == "__main__":
    main()
