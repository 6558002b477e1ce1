"""The ladder that a servable climbs before and after it is published."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfadvrec.serving.comparison import compare
from tfadvrec.serving.contract import changed_files, read_contract
from tfadvrec.serving.graph_audit import audit_graph, audit_signatures, read_meta_graph
from tfadvrec.serving.live_answers import LiveAnswers
from tfadvrec.serving.model_vectors import ranking_model
from tfadvrec.serving.probe import make_calls
from tfadvrec.serving.publishing import versions
from tfadvrec.serving.report import Report
from tfadvrec.serving.runtimes import IsolatedRun, no_c_runtime
from tfadvrec.serving.vocabulary import read_vocabulary

L1 = "L1 files, signatures and graph"
L2 = "L2 fresh Python process without Keras and tfadvrec"
L3 = "L3 TensorFlow C runtime without Python's TensorFlow"
LIVE_ROWS = 64


def verify(path: str | Path, *, model: Any = None, runtime: str = "c") -> Report:
    """Checks that a servable answers what it should.

    L1: every file has the checksum of the contract; signatures have the names, dtypes and shapes of
    the contract; the graph has core operations only. L2: a fresh Python process in which Keras and
    this package cannot be imported answers every signature. L3: the TensorFlow C library, in a
    process without Python's TensorFlow, does the same. Expected are the contract's probe answers
    or, with `model`, also the model's own answers for more users.

    The checksums find accidents. Somebody who can write the folder can write the contract as well.

    Args:
        path: A version folder, or a base path, which means its newest version.
        model: The live model that the servable was made of.
        runtime: `"c"` for L1 to L3, `"python"` for L1 and L2.

    Returns:
        A `Report`; `verified` is False where anything differs, and `failures` says what.

    Raises:
        FileNotFoundError: If there is no servable at `path`.
        ValueError: If `runtime` is neither, or `model` cannot be the servable's.
    """
    if runtime not in ("c", "python"):
        raise ValueError(f"runtime must be 'c' or 'python', got {runtime!r}.")
    started = time.perf_counter()
    folder = find_version(Path(path))
    number = int(folder.name) if folder.name.isdecimal() else None
    try:
        contract = read_contract(folder)
    except ValueError as error:
        return Report(path=str(folder), version=number, verified=False, failures=(str(error),))
    with IsolatedRun("python_runtime") as python:
        calls = list(contract["probe"])
        if model is not None:
            calls = live_calls(folder, contract, model)
        found = climb(folder, contract, calls=calls, runtime=runtime, python=python)
    return Report(
        path=str(folder),
        version=number,
        signatures=tuple(contract["signatures"]),
        index_bytes=contract["index"]["bytes"],
        seconds={"verify": round(time.perf_counter() - started, 3)},
        **found,
    )


def find_version(path: Path) -> Path:
    """Finds the version folder that a path means."""
    if (path / "saved_model.pb").exists() or (path / "assets.extra").exists():
        return path
    found = versions(path)
    if not found:
        raise FileNotFoundError(
            f"{path} is neither a version folder (with a saved_model.pb) nor a base path with "
            "numbered versions."
        )
    return found[max(found)]


def live_calls(folder: Path, contract: dict[str, Any], model: Any) -> list[dict[str, Any]]:
    """Makes calls whose expected answers come from the live model."""
    users = read_vocabulary(folder / "assets" / "users.txt")
    items = read_vocabulary(folder / "assets" / "items.txt")
    model = ranking_model(model)
    for side, ids in (("n_users", users), ("n_items", items)):
        if getattr(model, side, len(ids)) != len(ids):
            raise ValueError(
                f"The model has {side}={getattr(model, side)}, the servable {len(ids)}: it was "
                "made of another model."
            )
    live = LiveAnswers(
        model,
        users=users,
        items=items,
        width=contract["options"]["width"],
        unknown_user=contract["options"]["unknown_user"],
    )
    probe = [
        {**one, "outputs": live.answer(one["signature"], one["inputs"])}
        for one in contract["probe"]
    ]
    return [*probe, *make_calls(live, contract["signatures"], rows=LIVE_ROWS, seed=1)]


def climb(
    folder: Path,
    contract: dict[str, Any],
    *,
    calls: list[dict[str, Any]],
    runtime: str,
    python: IsolatedRun,
) -> dict[str, Any]:
    """Runs the checks; those that execute the graph only if it passes the audit.

    Args:
        folder: The version folder.
        contract: Its contract.
        calls: What to ask, with the expected outputs.
        runtime: `"c"` or `"python"`.
        python: A process of the Python runtime that has not been asked yet: its start takes
            seconds, in which the caller can do other things.

    Returns:
        `verified`, `checks`, `failures`, `skipped` and `max_difference` for the `Report`.
    """
    failures, tensors = inspect(folder, contract)
    if failures:
        reason = "the files, signatures or graph are not those of the contract"
        return outcome([], failures, {L2: reason, L3: reason}, None)
    skipped = {}
    why = "runtime='python' was asked for" if runtime == "python" else no_c_runtime()
    if why:
        skipped[L3] = why
    passed, worst = [L1], 0.0
    with ExitStack() as stack:
        running = {L2: python}
        if not why:
            running[L3] = stack.enter_context(IsolatedRun("c_runtime"))
        for process in running.values():
            process.ask(folder, calls, tensors)
        for name, process in running.items():
            outputs, problems = process.outcome()
            for call, served in zip(calls, outputs, strict=False):
                difference, wrong = compare(call, served)
                worst, problems = max(worst, difference), [*problems, *wrong]
            failures += [f"{name}: {problem}" for problem in problems]
            passed += [] if problems else [name]
    return outcome(passed, failures, skipped, worst)


def inspect(folder: Path, contract: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Reads a version folder without running it.

    Returns:
        One sentence a problem, and signature -> side -> name -> tensor name in the graph.
    """
    failures = changed_files(folder, contract["files"])
    if failures:
        return [f"{L1}: {problem}" for problem in failures], {}
    meta = read_meta_graph(folder)
    signatures = dict(meta.signature_def)
    failures = audit_signatures(signatures, contract["signatures"]) + audit_graph(meta.graph_def)
    tensors = {
        name: {
            "inputs": {key: one.name for key, one in signatures[name].inputs.items()},
            "outputs": {key: one.name for key, one in signatures[name].outputs.items()},
        }
        for name in contract["signatures"]
        if name in signatures
    }
    return [f"{L1}: {problem}" for problem in failures], tensors


def outcome(
    passed: list[str], failures: list[str], skipped: dict[str, str], worst: float | None
) -> dict[str, Any]:
    """Collects what `climb` found; an infinite difference is told by the failures."""
    finite = None if worst is None or worst == float("inf") else worst
    return {
        "verified": not failures,
        "checks": tuple(passed),
        "failures": tuple(failures),
        "skipped": skipped,
        "max_difference": finite,
    }
