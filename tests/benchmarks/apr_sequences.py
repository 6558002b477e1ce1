"""Table A, continued: the zoo's models of sequences on `apr-ml100k`, beside EASE.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.apr_sequences

The split of `apr_table`, and the zoo's recipes as they are: their settings were chosen on the
validation part of the zoo's own split of MovieLens-100K, where the last events are set aside too,
so that nothing was chosen on the test items. EASE's regularization is chosen as in `apr_table`.
Each user's value is the mean over the seeds, paired over users. Writes
`results/apr_sequences.json`.
"""

import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks.apr_table import CUTS, choose_closed, closed, load, paired, row, show
from tfadvrec.data import leave_last_out
from tfadvrec.evaluation import evaluate
from tfadvrec.recipes import load_recipe, run_recipe

TWIN, ADVERSARIAL = "gru4rec_ml_100k", "gru4rec_adversarial_ml_100k"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    arguments = parser.parse_args()
    began = time.time()
    split = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "apr-ml100k")
    setting = choose_closed(leave_last_out(split.train, validation=False), "EASE")
    ease = evaluate(closed(split.train, "EASE", setting), split.train, split.test, k=CUTS)
    results, rows = {"EASE": [ease] * arguments.seeds}, [row("EASE", setting, [ease])]
    for name in (TWIN, ADVERSARIAL):
        recipe, results[name] = load_recipe(name), []
        for seed in range(arguments.seeds):
            model = run_recipe(recipe, split=split, seed=seed).model
            results[name].append(evaluate(model, split.train, split.test, k=CUTS))
            print(name, seed, results[name][-1].means["ndcg@10"], flush=True)
        rows.append(row(name, {"recipe": name}, results[name]))
    report = {
        "data": "apr-ml100k",
        "split": "published leave-one-out; the zoo's recipes as they are",
        "command": "python -m tests.benchmarks.apr_sequences",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "rows": rows,
        "paired differences": {
            f"{a} - {b}": {m: paired(results[a], results[b], m) for m in ("hr@10", "ndcg@10")}
            for a, b in ((TWIN, "EASE"), (ADVERSARIAL, "EASE"), (ADVERSARIAL, TWIN))
        },
    }
    path = arguments.output / "apr_sequences.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    show(report)


if __name__ == "__main__":
    main()
