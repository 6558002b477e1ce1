"""Part `experiment`: the whole APR experiment on `apr-ml100k`, from nothing to the last figure.

Matrix factorisation, dimension 64: 100 plain epochs, then 100 against the adversary, evaluated on
the test items every 10 (HR and NDCG at 10, 50, 100; full ranking). Each repetition is a process of
its own that has imported TensorFlow.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.context import Context

EPOCHS, EVERY = 100, 10
# batch -> optimizer and learning rate: the APR paper's kind, and a faster one
SETTINGS = {
    512: ("keras.optimizers", "Adagrad", 0.05),
    2048: ("tfadvrec.optimizers", "RowWiseAdagrad", 0.2),
}


def run(context: Context) -> dict[str, Any]:
    """Seconds of the whole and of its parts."""
    if context.data is None:
        return {"rows": [], "note": "Not measured: it needs the published split `apr-ml100k`."}
    epochs = 10 if context.quick else EPOCHS
    rows = [_row(context, batch, epochs) for batch in SETTINGS]
    return {
        "rows": rows,
        "note": f"Seconds, the median of {_processes(context)} processes, imports left out; "
        f"{epochs} plain and {epochs} adversarial epochs (epsilon 0.5, weight 1), evaluated every "
        f"{EVERY}. Training includes compiling. Settings of the second row: the rate was chosen on "
        "held-out training interactions of another log (MovieLens-1M); the batch was taken for its "
        "speed on this log, after one trial of each of 512, 2,048 and 8,192 that showed test "
        "figures too.",
    }


def _processes(context: Context) -> int:
    return min(3, context.rounds)


def _row(context: Context, batch: int, epochs: int) -> dict[str, Any]:
    """The medians of one batch size and its optimizer."""
    here = [sys.executable, "-m", "tests.benchmarks.experiment"]
    here += [str(context.data), str(epochs), str(batch)]
    found = [
        json.loads(subprocess.run(here, check=True, capture_output=True, text=True).stdout)
        for _ in range(_processes(context))
    ]
    _, optimizer, rate = SETTINGS[batch]
    row = {"batch": batch, "optimizer": f"{optimizer} {rate}"}
    names = [name for name in found[0] if name != "ndcg@10"]
    row |= {name: round(statistics.median(one[name] for one in found), 2) for name in names}
    row["slowest whole"] = max(one["whole"] for one in found)
    row["NDCG@10 plain, adversarial"] = ", ".join(f"{v:.4f}" for v in found[0]["ndcg@10"])
    return row


def measured(folder: Path, epochs: int, batch: int) -> dict[str, Any]:
    """One experiment in this process."""
    import tfadvrec as tar
    from tests.benchmarks.apr_table import load

    begun = time.perf_counter()
    split = load(folder / "apr-ml100k")
    loaded = time.perf_counter()
    train, test = split.train, split.test
    model = tar.MatrixFactorization(n_users=train.n_users, n_items=train.n_items, seed=0)
    robust = tar.AdversarialTraining(model, tar.FastGradient(0.5), weight=1.0)
    data = tar.data.pairs(train, batch_size=batch, block=10_000, seed=0)
    module, name, rate = SETTINGS[batch]
    optimizer = getattr(import_module(module), name)
    values, seconds = [], []
    for trainer in (model, robust):
        trainer.compile(optimizer(rate), loss=tar.losses.BayesianPersonalizedRanking())
        watch = tar.evaluation.RankingCallback(train, test, every=EVERY, k=(10, 50, 100))
        start = time.perf_counter()
        trainer.fit(data, epochs=epochs, callbacks=[watch], verbose=0)
        seconds.append(time.perf_counter() - start)
        values.append(list(watch.evaluations.values())[-1]["ndcg@10"])
    return {
        "whole": round(time.perf_counter() - begun, 2),
        "loading": round(loaded - begun, 2),
        "plain with evaluation": round(seconds[0], 2),
        "adversarial with evaluation": round(seconds[1], 2),
        "ndcg@10": values,
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(json.dumps(measured(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
