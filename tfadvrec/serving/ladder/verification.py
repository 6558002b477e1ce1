"""The ladder that a servable climbs before and after it is published."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfadvrec.serving.contract import changed_files, read_contract
from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.graph_audit import audit_graph, audit_signatures, read_meta_graph
from tfadvrec.serving.ladder.live_answers import LiveAnswers
from tfadvrec.serving.ladder.probe import make_calls
from tfadvrec.serving.ladder.runtimes import IsolatedRun, no_c_runtime
from tfadvrec.serving.model_vectors import ranking_model
from tfadvrec.serving.operations import warm_up
from tfadvrec.serving.publishing import find_version
from tfadvrec.serving.report import Report
from tfadvrec.serving.vocabulary import read_vocabulary

L1 = "L1 files, signatures and graph"
L2 = "L2 fresh Python process without Keras and tfadvrec"
L3 = "L3 TensorFlow C runtime without Python's TensorFlow"
WARM_UP = "warm-up requests replayed"
LIVE_ROWS = 64
# scores that one call may ask for: larger catalogues are asked for fewer rows, down to 8
LIVE_SCORES = 16_000_000


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
        **facts(contract),
        seconds={"verify": round(time.perf_counter() - started, 3)},
        **found,
    )


def facts(contract: dict[str, Any]) -> dict[str, Any]:
    """What a `Report` takes from the contract."""
    return {
        "signatures": tuple(contract["signatures"]),
        "index_bytes": contract["index"]["bytes"],
        "recall": contract["index"].get("recall"),
        "warm_up": contract["warmup"]["records"],
    }


def live_calls(folder: Path, contract: dict[str, Any], model: Any) -> list[dict[str, Any]]:
    """Makes calls whose expected answers come from the live model."""
    options = contract["options"]
    users = None if options["history"] else read_vocabulary(folder / "assets" / "users.txt")
    items = read_vocabulary(folder / "assets" / "items.txt")
    model = ranking_model(model, options["history"])
    for side, ids in (("n_users", users), ("n_items", items)):
        if ids is not None and getattr(model, side, len(ids)) != len(ids):
            raise ValueError(
                f"The model has {side}={getattr(model, side)}, the servable {len(ids)}: it was "
                "made of another model."
            )
    live = LiveAnswers(
        model,
        users=users,
        items=items,
        width=options["width"],
        unknown_user=options["unknown_user"],
        history=options["history"],
    )
    probe = contract["probe"]
    if contract["index"]["exact"]:
        probe = [{**one, "outputs": live.answer(one["signature"], one["inputs"])} for one in probe]
    return [*probe, *fresh_calls(live, contract)]


def fresh_calls(live: LiveAnswers, contract: dict[str, Any]) -> list[dict[str, Any]]:
    """Makes more calls than the probe has, with the model's answers.

    An index that is not exact must reach its recall floor in them.
    """
    rows = max(8, min(LIVE_ROWS, LIVE_SCORES // len(live.items)))
    calls = make_calls(live, contract["signatures"], rows=rows, seed=1)
    index = contract["index"]
    return calls if index["exact"] else [one | {"recall": index["recall_floor"]} for one in calls]


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
    replayed, problem = warm_up_calls(folder, contract)
    if problem:
        return outcome(passed, [problem], skipped, None)
    if not replayed:
        skipped[WARM_UP] = contract["warmup"].get("why", "the contract counts no records")
    asked = [with_defaults(call, contract["signatures"]) for call in [*calls, *replayed]]
    with ExitStack() as stack:
        running = {L2: python}
        if not why:
            running[L3] = stack.enter_context(IsolatedRun("c_runtime"))
        for process in running.values():
            process.ask(folder, asked, tensors)
        for name, process in running.items():
            outputs, problems = process.outcome()
            for call, served in zip(calls, outputs, strict=False):
                difference, wrong = compare(call, served)
                worst, problems = max(worst, difference), [*problems, *wrong]
            failures += [f"{name}: {problem}" for problem in problems]
            passed += [] if problems else [name]
    passed += [WARM_UP] if replayed and not failures else []
    return outcome(passed, failures, skipped, worst)


def warm_up_calls(
    folder: Path, contract: dict[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """Reads the warm-up requests as calls without expected answers.

    Returns:
        The calls, and what is wrong with the file.
    """
    if not contract["warmup"]["records"] or warm_up.missing():
        return [], None
    try:
        return warm_up.read(folder, contract), None
    except ValueError as error:
        return [], f"{WARM_UP}: {error}"


def with_defaults(call: dict[str, Any], signatures: dict[str, Any]) -> dict[str, Any]:
    """Fills the inputs that a call leaves out, as a server does from the `SignatureDef`."""
    described = signatures[call["signature"]]["inputs"]
    defaults = {name: one["default"] for name, one in described.items() if "default" in one}
    return {**call, "inputs": {**defaults, **call["inputs"]}}


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
