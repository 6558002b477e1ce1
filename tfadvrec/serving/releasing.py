"""From a plan to a published version: save, write the extras, verify, rename."""

import tempfile
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadvrec.serving.contract import read_contract, write_contract
from tfadvrec.serving.graph.facade import Facade
from tfadvrec.serving.graph.signatures import MASKED_SCORE
from tfadvrec.serving.index.recall import mean_recall
from tfadvrec.serving.ladder import verification
from tfadvrec.serving.ladder.comparison import TOLERANCE
from tfadvrec.serving.ladder.graph_audit import operations, read_meta_graph
from tfadvrec.serving.ladder.probe import Call, make_calls
from tfadvrec.serving.ladder.python_runtime import run
from tfadvrec.serving.ladder.runtimes import IsolatedRun
from tfadvrec.serving.operations import config_files, warm_up
from tfadvrec.serving.planning import Plan
from tfadvrec.serving.publishing import choose_version, publish, staging
from tfadvrec.serving.report import Report
from tfadvrec.serving.vocabulary import sha256, write_vocabulary

RECALL_ROWS = 512


class ExportError(RuntimeError):
    """A servable failed its verification; nothing was published.

    Args:
        report: What the verification found.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        found = "\n".join(f"- {failure}" for failure in report.failures)
        super().__init__(f"The servable failed its verification; nothing was published:\n{found}")


def release(plan: Plan, base: Path, version: int | None, *, started: float | None = None) -> Report:
    """Publishes what is planned, once everything that can be checked has been.

    Args:
        plan: What to publish.
        base: The base path.
        version: The version's number; None for the highest plus one.
        started: When the work on the plan began, by `time.perf_counter`.

    Returns:
        The `Report` of the published version.

    Raises:
        ExportError: If a check failed.
        FileExistsError: If the version exists.
        ValueError: If the index misses its recall floor.
    """
    begun = time.perf_counter() if started is None else started
    number = choose_version(base, version)
    recall = check_recall(plan)
    seconds = {"read": time.perf_counter() - begun}
    with IsolatedRun("python_runtime") as python, staging(base, number) as folder:
        save(plan, folder, number=number, name=base.absolute().name, recall=recall)
        seconds["save"] = time.perf_counter() - begun - sum(seconds.values())
        contract = read_contract(folder)
        calls = [*contract["probe"], *verification.fresh_calls(plan.live, contract)]
        found = verification.climb(folder, contract, calls=calls, runtime="c", python=python)
        seconds["verify"] = time.perf_counter() - begun - sum(seconds.values())
        report = Report(
            path=str(base / str(number)),
            version=number,
            **verification.facts(contract),
            seconds={name: round(value, 3) for name, value in seconds.items()},
            **found,
        )
        if not report.verified:
            raise ExportError(report)
        publish(folder, base, number)
    return report


def check_recall(plan: Plan) -> float | None:
    """Measures what part of the exact lists an index finds, and refuses too little.

    Raises:
        ValueError: If that is below the index's `recall_floor`.
    """
    if plan.exact:
        return None
    index, items = plan.spec.index, plan.live.vectors[1]
    queries = queries_of(plan)
    recall = mean_recall(plan.ranker.items, items, queries, plan.offer.width)
    if recall < index.recall_floor:
        raise ValueError(
            f"The index finds {recall:.4f} of the exact lists of {plan.offer.width} items (mean of "
            f"{len(queries)} users), below recall_floor={index.recall_floor}. Nothing was "
            "published. Take a finer dtype, a larger rescore, or a lower floor."
        )
    return recall


def queries_of(plan: Plan) -> Any:
    """Vectors that are asked for when recall is measured: of users, or of items as histories."""
    users = plan.live.vectors[0]
    table = plan.live.vectors[1] if users is None else users
    rows = tf.random.stateless_uniform([RECALL_ROWS], [0, 1], maxval=len(table), dtype=tf.int32)
    if users is None:
        spread = tf.fill([RECALL_ROWS, plan.spec.history - 1], -1)
        return plan.ranker.vectors(tf.concat([rows[:, None], spread], axis=1)).numpy()
    return table if len(table) <= RECALL_ROWS else table[rows.numpy()]


def save(plan: Plan, folder: Path, *, number: int, name: str, recall: float | None = None) -> None:
    """Writes the saved model, its warm-up requests and its contract into a folder.

    Args:
        plan: What to write.
        folder: The folder.
        number: The version's number.
        name: The servable's name.
        recall: What `check_recall` gave.
    """
    spec, live = plan.spec, plan.live
    with tempfile.TemporaryDirectory(prefix="tfadvrec-export-") as room:
        users = None if live.users is None else Path(room, "users.txt")
        items = Path(room, "items.txt")
        if users is not None:
            write_vocabulary(users, live.users)
        write_vocabulary(items, live.items)
        facade = Facade(
            plan.ranker,
            plan.offer,
            users,
            items=items,
            mask_unknown=spec.unknown_user == "empty",
            extras=plan.extras,
        )
        functions = facade.functions(plan.signatures)
        tf.saved_model.save(facade, str(folder), signatures=functions)
        probe = make_calls(live, plan.signatures)
        if not plan.exact:  # the model's own answers are another index's
            probe = [answered_here(functions, call) for call in probe]
    contract = describe(plan, folder, number=number, probe=probe, recall=recall)
    why = warm_up.missing()
    contract["warmup"] = {"records": 0, "why": why} if why else {}
    if not why:
        contract["warmup"] = {"records": warm_up.write(folder, name, contract)}
    if spec.server_batching:
        text = config_files.batching_parameters(contract["options"]["batch_sizes"])
        (folder / "batching_params.pbtxt").write_text(text, "utf-8")
    write_contract(folder, contract)


def answered_here(functions: dict[str, Any], call: Call) -> Call:
    """The call with the answers of the graph in this process."""
    return {**call, "outputs": run(tf, functions[call["signature"]], call["inputs"])}


def describe(
    plan: Plan, folder: Path, *, number: int, probe: list[Call], recall: float | None
) -> dict[str, Any]:
    """Says what the contract says, but for its format, warm-up and checksums."""
    live = plan.live
    sides = [(side, ids) for side, ids in (("users", live.users), ("items", live.items)) if ids]
    found = {} if recall is None else {"recall": round(recall, 6)}
    return {
        "version": number,
        "model": plan.about,
        "options": plan.options,
        "index": {**plan.index, **found},
        "masked_score": MASKED_SCORE,
        "tolerance": TOLERANCE,
        "metrics": {name: float(value) for name, value in plan.spec.metrics.items()},
        "vocabularies": {
            side: {
                "file": f"assets/{side}.txt",
                "rows": len(ids),
                "sha256": sha256(folder / "assets" / f"{side}.txt"),
            }
            for side, ids in sides
        },
        "signatures": plan.signatures,
        "ops": operations(read_meta_graph(folder).graph_def),
        "content": plan.content(),
        "probe": probe,
    }
