"""Part `serving`: one request for lists of 100, by what answers it, catalogue, batch and threads.

Measured are the loopback server over gRPC, with the client in a process of its own; TensorFlow's
C runtime alone, which is the run of the session without turning text into tensors and back;
NumPy's product with `argpartition`; faiss where it is installed; and one pass over the table's
memory, below which no exact search of the whole catalogue can be.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.context import Context
from tests.benchmarks.export import DIMENSION, USERS, K
from tests.benchmarks.workers import THREADS, here

ITEMS, TRIAL = (10_000, 100_000, 1_000_000), (1_000, 10_000)
BATCHES = (1, 8, 32)
LIMIT = 1800
HUGE = "glibc.malloc.hugetlb=1"
STEPS = ("pass", "numpy", "faiss", "runtime", "server", "warmed")
COLUMNS = (
    *("items", "threads", "batch", "system", "first_ms", "p50_ms", "p95_ms", "p99_ms"),
    *("rows_per_s", "times_pass", "requests"),
)


def run(context: Context) -> dict[str, Any]:
    """Measures every size with one thread and with all."""
    rows: list[dict[str, Any]] = []
    budget = 0.5 if context.quick else 8.0
    for items in TRIAL if context.quick else ITEMS:
        with tempfile.TemporaryDirectory(prefix="benchmark-serving-") as room:
            context.say(f"{items:,} items: export")
            made = _child("export", items, room, budget=budget, threads=context.threads)
            if made[0].get("problem"):
                rows += [{"items": items, **made[0]}]
                continue
            for threads in sorted({1, context.threads}):
                context.say(f"{items:,} items, threads: {threads}")
                found = [
                    {"items": items, "threads": threads, **row}
                    for step in STEPS
                    for row in _child(step, items, room, budget=budget, threads=threads)
                ]
                rows += compared(found)
    return {
        "rows": rows,
        "columns": COLUMNS,
        "note": f"GENERATED vectors: normal, dimension {DIMENSION}, {USERS:,} users; lists of {K}, "
        "text ids in and out, float32, exact. One request after the other; each system in a "
        "process that is tied to as many cores as it has threads, the client of the server beside "
        "it. `first` is the first request of that batch size after loading, in rising order of "
        "size; `warmed` a server that replayed its warm-up records before. A server on a network, "
        "or under load, is slower. `times pass` is the median over that of one pass over the "
        f"table's memory; in `by turns` it is the median ratio of neighbours in one process. At "
        f"least {atleast(budget)} requests each, so p99 rests on few. All processes have "
        f"GLIBC_TUNABLES={HUGE}, as the generated start scripts have: without huge pages a search "
        "of 10^6 items took 1.3 to 1.9 passes here.",
    }


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds to each row how many passes over the table's memory its median takes."""
    once = next((row.get("p50_ms") for row in rows if row.get("system") == "pass"), None)
    return [
        {**row, "times_pass": round(row["p50_ms"] / once, 2)}
        if once and row.get("p50_ms") and row["system"] != "pass" and "times_pass" not in row
        else row
        for row in rows
    ]


def atleast(budget: float) -> int:
    """How many requests are made even if they take longer than the budget."""
    return 100 if budget >= 5 else 5


def _child(step: str, items: int, room: str, *, budget: float, threads: int) -> list[dict]:
    """Runs one step in a process of its own; its rows, or one with the problem."""
    words = [step, str(items), room, str(budget), str(threads)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.serving", *words],
            cwd=here(),
            env=_environment(threads),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [{"system": step, "problem": f"no answer within {LIMIT} s"}]
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        why = said[-1] if said else "it said nothing"
        return [{"system": step, "problem": f"ended with {done.returncode}: {why}"}]
    return json.loads(done.stdout.splitlines()[-1])


def _environment(threads: int) -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "GLIBC_TUNABLES": HUGE}
    return {**os.environ, **{name: str(threads) for name in THREADS}, **quiet}


def measured(
    system: str, batch: int, ask: Callable[[int], float | None], budget: float
) -> dict[str, Any]:
    """Asks until the budget is spent; `ask` may say itself how many seconds it took."""
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < 2000:
        if time.perf_counter() - begun > budget and len(seconds) > atleast(budget):
            break
        started = time.perf_counter()
        took = ask(len(seconds))
        seconds.append(time.perf_counter() - started if took is None else took)
    return summary(system, batch, seconds)


def summary(system: str, batch: int, seconds: list[float]) -> dict[str, Any]:
    """Percentiles and throughput of requests, apart from the first and those that settle."""
    first, *warm = seconds
    warm = warm[len(warm) // 10 :]  # the first tenth is settling
    cuts = statistics.quantiles(warm, n=100, method="inclusive")
    return {
        "batch": batch,
        "system": system,
        "first_ms": round(1e3 * first, 3),
        "p50_ms": round(1e3 * statistics.median(warm), 3),
        "p95_ms": round(1e3 * cuts[94], 3),
        "p99_ms": round(1e3 * cuts[98], 3),
        "rows_per_s": round(batch * len(warm) / sum(warm), 1),
        "requests": len(warm),
    }


def users(number: int, batch: int) -> list[int]:
    """The users of a request."""
    return [(number * batch + row) % USERS for row in range(batch)]


def export(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Exports a model of generated vectors, and a second copy without warm-up records."""
    import shutil

    import numpy as np

    import tfadvrec as tar
    from tfadvrec.serving import export
    from tfadvrec.serving.ladder.graph_audit import read_meta_graph
    from tfadvrec.serving.operations import warm_up

    model = tar.MatrixFactorization(
        n_users=USERS, n_items=items, dimension=DIMENSION, initial_scale=1.0, seed=0
    )
    model.set_ids(np.arange(USERS), np.arange(items))
    folder = Path(export(model, room / "servable", k=K, signatures=("recommend",)).path)
    np.save(room / "items.npy", model.embed_items(np.arange(items)).numpy())
    signature = read_meta_graph(folder).signature_def["recommend"]
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    tensors = {side: {key: one.name for key, one in held.items()} for side, held in sides.items()}
    (room / "tensors.json").write_text(json.dumps(tensors), encoding="utf-8")
    shutil.copytree(folder, room / "cold" / "1", copy_function=os.link)
    (room / "cold" / "1" / warm_up.FILE).unlink(missing_ok=True)
    return [{}]


@contextmanager
def memory_pass(room: Path, threads: int) -> Iterator[Callable[[], None]]:
    """Gives what reads the whole table once, a part in each thread: each part times itself.

    It has one multiplication a number, so it waits for the memory; a plain sum in NumPy is slower.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from threadpoolctl import threadpool_limits

    parts = np.array_split(np.load(room / "items.npy").ravel(), threads)
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):

        def read() -> None:
            list(pool.map(np.dot, parts, parts))

        yield read


def one_pass(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Reads the whole table once."""
    with memory_pass(room, threads) as read:
        row = measured("pass", 1, lambda _: read(), budget / 2)
    return [{name: value for name, value in row.items() if name not in ("first_ms", "rows_per_s")}]


def numpy_search(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Multiplies and partitions."""
    import numpy as np

    table = np.ascontiguousarray(np.load(room / "items.npy").T)
    queries = np.random.default_rng(0).normal(size=(USERS, DIMENSION)).astype(np.float32)

    def best(number: int, batch: int) -> None:
        scores = queries[users(number, batch)] @ table
        top = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1)
        np.take_along_axis(top, order, 1)

    return [
        measured("numpy", batch, lambda number, batch=batch: best(number, batch), budget)
        for batch in BATCHES
    ]


def faiss_search(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Searches faiss's flat index, or says that there is none."""
    if importlib.util.find_spec("faiss") is None:
        return [{"system": "faiss flat", "problem": "missing: faiss is not installed"}]
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(np.load(room / "items.npy"))
    queries = np.random.default_rng(0).normal(size=(USERS, DIMENSION)).astype(np.float32)

    def best(number: int, batch: int) -> None:
        index.search(queries[users(number, batch)], K)

    return [
        measured("faiss flat", batch, lambda number, batch=batch: best(number, batch), budget)
        for batch in BATCHES
    ]


def runtime(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Runs the session of the C runtime, and nothing of Python in the time that counts."""
    from tfadvrec.serving.ladder.c_runtime import Runtime

    lib = Path(importlib.util.find_spec("tensorflow").origin).parent
    libraries = ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2"]
    session = Runtime([str(lib / name) for name in libraries], str(room / "cold" / "1"))
    tensors = json.loads((room / "tensors.json").read_text(encoding="utf-8"))
    found = []
    for batch in BATCHES:

        def ask(number: int, batch: int = batch) -> float:
            ids = [str(user) for user in users(number, batch)]
            return seconds_of_run(session, ids, tensors)

        found.append(measured("C runtime", batch, ask, budget))
    with memory_pass(room, threads) as read:
        found.append(in_turn(read, lambda number: seconds_of_run(session, [str(number)], tensors)))
    return found


def in_turn(read: Callable[[], None], ask: Callable[[int], float]) -> dict[str, Any]:
    """One query and one pass over the memory by turns: the median of their ratios."""
    passes, queries = [], []
    for number in range(120):
        started = time.perf_counter()
        read()
        passes.append(time.perf_counter() - started)
        queries.append(ask(number % USERS))
    ratios = [query / once for query, once in zip(queries[20:], passes[20:], strict=True)]
    row = summary("C runtime and pass by turns", 1, queries)
    return {**row, "first_ms": None, "times_pass": round(statistics.median(ratios), 2)}


def seconds_of_run(session: Any, ids: list[str], tensors: dict[str, Any]) -> float:
    """Seconds of `TF_SessionRun` for one request."""
    import ctypes as c

    from tfadvrec.serving.ladder.c_runtime import Port

    fed = session.port(tensors["inputs"]["user_id"])
    fetched = [session.port(name) for name in tensors["outputs"].values()]
    given = session.tensor({"dtype": "string", "shape": [len(ids)], "values": ids})
    results = (c.c_void_p * len(fetched))()
    started = time.perf_counter()
    session.tf.TF_SessionRun(
        session.session, None,
        (Port * 1)(fed), (c.c_void_p * 1)(given), 1,
        (Port * len(fetched))(*fetched), results, len(fetched),
        None, 0, None, session.status,
    )  # fmt: skip
    took = time.perf_counter() - started
    session.check("run")
    for one in (given, *results):
        session.tf.TF_DeleteTensor(c.c_void_p(one))
    return took


def server(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Asks a loopback server without warm-up records, by gRPC."""
    with asked(room / "cold", items, threads) as client:
        return [
            measured("gRPC loopback", batch, lambda n, b=batch: request(client, n, b), budget)
            for batch in BATCHES
        ]


def warmed(items: int, room: Path, budget: float, threads: int) -> list[dict[str, Any]]:
    """Asks once each a loopback server that has replayed its warm-up records."""
    found = []
    with asked(room / "servable", items, threads) as client:
        for batch in BATCHES:
            started = time.perf_counter()
            request(client, 0, batch)
            took = round(1e3 * (time.perf_counter() - started), 3)
            found.append({"batch": batch, "system": "gRPC loopback, warmed", "first_ms": took})
    return found


def request(client: Any, number: int, batch: int) -> None:
    """Asks for lists, and checks that they came."""
    found = client.recommend(users(number, batch))
    assert len(found.items) == batch
    assert all(found.known)


@contextmanager
def asked(base: Path, items: int, threads: int) -> Iterator[Any]:
    """Starts a server in a process of its own and gives a client of it."""
    from tfadvrec.serving.client.client import Client

    command = [sys.executable, "-m", "tests.benchmarks.serving", "serve"]
    process = subprocess.Popen(
        [*command, str(items), str(base), "0", str(threads)],
        cwd=here(),
        env=_environment(threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        target = process.stdout.readline().strip()
        if not target:
            raise RuntimeError(f"the server ended with {process.wait(60)}")
        with Client(target, base.name, timeout=120.0) as client:
            client.describe()
            yield client
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def serve(items: int, room: Path, budget: float, threads: int) -> None:
    """Serves until the input ends."""
    from tfadvrec.serving.loopback.server import LoopbackServer

    with LoopbackServer(room) as served:
        print(served.target, flush=True)
        sys.stdin.read()


STEP = {
    "export": export,
    "pass": one_pass,
    "numpy": numpy_search,
    "faiss": faiss_search,
    "runtime": runtime,
    "server": server,
    "warmed": warmed,
    "serve": serve,
}


def main() -> None:
    """Entry of the processes that measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=STEP)
    parser.add_argument("items", type=int)
    parser.add_argument("room", type=Path)
    parser.add_argument("budget", type=float)
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity") and options.step not in ("export", "server", "warmed"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: options.threads])
    found = STEP[options.step](options.items, options.room, options.budget, options.threads)
    if found is not None:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
