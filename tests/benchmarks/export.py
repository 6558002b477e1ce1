"""Part `export`: exporting a factorised model, loading it, and asking it for one user's list.

The servable answers through TensorFlow's C runtime, as in a model server. Beside it stand NumPy's
matrix product with `argpartition`, and the product alone, which reads the table once.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.context import Context
from tests.benchmarks.peers.protocol import peak_mb
from tests.benchmarks.workers import THREADS, here

ITEMS, TRIAL = (10_000, 100_000, 1_000_000), (1_000, 10_000)
USERS, DIMENSION, K = 1_000, 64, 100
LIMIT = 1800


def run(context: Context) -> dict[str, Any]:
    """Measures every size in processes of its own: one exports, one serves, one is NumPy."""
    queries = 50 if context.quick else 300
    rows = []
    for items in TRIAL if context.quick else ITEMS:
        context.say(f"{items:,} items")
        row: dict[str, Any] = {"items": items, "dimension": DIMENSION, "k": K}
        with tempfile.TemporaryDirectory(prefix="benchmark-export-") as room:
            for step in ("export", "serve", "numpy"):
                row |= _child(step, items, queries, room, context.threads)
                if "problem" in row:
                    break
            if "product_p50_ms" in row:  # on a busy machine BLAS is faster alone
                alone = _child("numpy", items, queries, room, 1)
                row |= alone if alone["product_p50_ms"] < row["product_p50_ms"] else {}
        if "c_runtime_p50_ms" in row and "product_p50_ms" in row:
            row["times_product"] = round(row["c_runtime_p50_ms"] / row["product_p50_ms"], 2)
        rows.append(row)
    return {
        "rows": rows,
        "note": f"Random factors, {USERS:,} users. One query is one user's {K} best of all items, "
        f"text ids in and out; {queries} queries after 20 that are not counted. "
        f"{context.threads} threads; NumPy as well with one, whichever is faster. Seconds of "
        "export are those of writing and of verifying.",
    }


def _child(step: str, items: int, queries: int, room: str, threads: int) -> dict[str, Any]:
    """Runs one step in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.export", step, str(items), str(queries)]
    limits = {name: str(threads) for name in THREADS}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            [*command, room],
            cwd=here(),
            env={**os.environ, **limits, **quiet},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"{step}: no answer within {LIMIT} s"}
    if done.returncode:
        return {"problem": f"{step} ended with {done.returncode}: {_last(done.stderr)}"}
    return json.loads(done.stdout.splitlines()[-1])


def _last(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def export_step(items: int, queries: int, room: Path) -> dict[str, Any]:
    """Exports a model of random factors, and leaves where the signature's tensors are."""
    import numpy as np

    import tfadvrec as tar
    from tfadvrec.serving import export
    from tfadvrec.serving.ladder.graph_audit import read_meta_graph

    model = tar.MatrixFactorization(
        n_users=USERS, n_items=items, dimension=DIMENSION, initial_scale=1.0, seed=0
    )
    model.set_ids(np.arange(USERS), np.arange(items))
    started = time.perf_counter()
    report = export(model, room / "servable", k=K)
    seconds = time.perf_counter() - started
    signature = read_meta_graph(Path(report.path)).signature_def["recommend"]
    tensors = {
        "inputs": {key: one.name for key, one in signature.inputs.items()},
        "outputs": {key: one.name for key, one in signature.outputs.items()},
    }
    (room / "tensors.json").write_text(json.dumps(tensors), encoding="utf-8")
    np.save(room / "items.npy", model.embed_items(np.arange(items)).numpy())
    size = sum(file.stat().st_size for file in Path(report.path).rglob("*") if file.is_file())
    return {
        "export_seconds": round(seconds, 2),
        **{f"{stage}_seconds": report.seconds[stage] for stage in ("save", "verify")},
        "servable_mb": round(size / 2**20, 1),
        "export_peak_mb": round(peak_mb()),
    }


def serve_step(items: int, queries: int, room: Path) -> dict[str, Any]:
    """Loads the servable into the C runtime and asks it."""
    from tfadvrec.serving.ladder.c_runtime import Runtime

    folder = Path(importlib.util.find_spec("tensorflow").origin).parent
    libraries = ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2"]
    before = time.perf_counter()
    runtime = Runtime([str(folder / name) for name in libraries], str(room / "servable" / "1"))
    loaded = time.perf_counter() - before
    tensors = json.loads((room / "tensors.json").read_text(encoding="utf-8"))

    def ask(number: int) -> None:
        user = {"dtype": "string", "shape": [1], "values": [str(number % USERS)]}
        answer = runtime.run({"user_id": user}, tensors)
        assert answer["item_id"]["shape"] == [1, min(K, items)]

    return {
        "load_seconds": round(loaded, 2),
        **percentiles("c_runtime", ask, queries),
        "serve_peak_mb": round(peak_mb()),
    }


def numpy_step(items: int, queries: int, room: Path) -> dict[str, Any]:
    """Asks NumPy: the product alone, and the product with the best items."""
    import numpy as np

    table = np.load(room / "items.npy")
    users = np.random.default_rng(0).normal(size=(USERS, DIMENSION)).astype(np.float32)

    def product(number: int) -> None:
        table @ users[number % USERS]

    def best(number: int) -> None:
        scores = table @ users[number % USERS]
        top = np.argpartition(-scores, K)[:K]
        top[np.argsort(-scores[top])]

    return {**percentiles("numpy", best, queries), **percentiles("product", product, queries)}


def percentiles(name: str, ask: Callable[[int], None], queries: int) -> dict[str, float]:
    """Milliseconds of the median and of the 95th of 100 queries."""
    seconds = []
    for number in range(queries + 20):
        started = time.perf_counter()
        ask(number)
        seconds.append(time.perf_counter() - started)
    cuts = statistics.quantiles(seconds[20:], n=20)
    return {
        f"{name}_p50_ms": round(1e3 * statistics.median(seconds[20:]), 3),
        f"{name}_p95_ms": round(1e3 * cuts[-1], 3),
    }


STEPS = {"export": export_step, "serve": serve_step, "numpy": numpy_step}


def main() -> None:
    """Entry of the processes that measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("items", type=int)
    parser.add_argument("queries", type=int)
    parser.add_argument("room", type=Path)
    options = parser.parse_args()
    found = STEPS[options.step](options.items, options.queries, options.room)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
