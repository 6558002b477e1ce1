"""Part `experiment`: the whole APR experiment on `apr-ml100k`, from nothing to the last figure.

Matrix factorisation, dimension 64, batches of 512: 100 plain epochs, then 100 against the
adversary, evaluated on the test items every 10 (HR and NDCG at 10, 50, 100; full ranking). Each
repetition is a process of its own that has imported TensorFlow.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.context import Context

EPOCHS, EVERY = 100, 10


def run(context: Context) -> dict[str, Any]:
    """Seconds of the whole and of its parts."""
    if context.data is None:
        return {"rows": [], "note": "Not measured: it needs the published split `apr-ml100k`."}
    epochs = 10 if context.quick else EPOCHS
    here = [sys.executable, "-m", "tests.benchmarks.experiment", str(context.data), str(epochs)]
    found = [
        json.loads(subprocess.run(here, check=True, capture_output=True, text=True).stdout)
        for _ in range(min(3, context.rounds))
    ]
    names = [name for name in found[0] if name != "ndcg@10"]
    row = {name: round(statistics.median(one[name] for one in found), 2) for name in names}
    row["slowest whole"] = max(one["whole"] for one in found)
    row["NDCG@10 plain, adversarial"] = ", ".join(f"{v:.4f}" for v in found[0]["ndcg@10"])
    return {
        "rows": [row],
        "note": f"Seconds, the median of {len(found)} processes, imports left out. {epochs} plain "
        f"and {epochs} adversarial epochs, evaluated every {EVERY}; training includes compiling. "
        "Settings are those of the APR paper's kind (Adagrad 0.05, epsilon 0.5, weight 1), "
        "nothing chosen.",
    }


def measured(folder: Path, epochs: int) -> dict[str, Any]:
    """One experiment in this process."""
    import keras

    import tfadvrec as tar
    from tests.benchmarks.apr_table import load

    begun = time.perf_counter()
    split = load(folder / "apr-ml100k")
    loaded = time.perf_counter()
    train, test = split.train, split.test
    model = tar.MatrixFactorization(n_users=train.n_users, n_items=train.n_items, seed=0)
    robust = tar.AdversarialTraining(model, tar.FastGradient(0.5), weight=1.0)
    data = tar.data.pairs(train, batch_size=512, block=10_000, seed=0)
    values, seconds = [], []
    for trainer in (model, robust):
        trainer.compile(
            keras.optimizers.Adagrad(0.05), loss=tar.losses.BayesianPersonalizedRanking()
        )
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
    print(json.dumps(measured(Path(sys.argv[1]), int(sys.argv[2]))))
