"""Part `training`: seconds of an epoch, ours plain and adversarial beside the peers'.

One epoch is one pass over all interactions with one sampled negative (in-batch: with the batch's).
The systems of a group train in turn, round after round; ratios are taken within rounds. implicit is
in every group, so that the groups can be compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import logs
from tests.benchmarks.context import Context
from tests.benchmarks.systems import OURS, Prepared, Wanted, started
from tests.benchmarks.workers import WorkerFailed, alternate, ratio, summary

REFERENCE = Wanted("implicit", "bpr")
PEERS = (
    Wanted("cornac", "bpr"),
    Wanted("lightfm", "bpr"),
    Wanted("lightfm", "warp"),
    Wanted("recbole", "bpr-512"),
    Wanted("recbole", "bpr-4096"),
    Wanted("keras", "bpr-512"),
    Wanted("keras-rs", "pairwise-512"),
    Wanted("keras-rs", "softmax-512"),
    Wanted("tfrs", "retrieval-512"),
    Wanted("tfrs", "retrieval-2048"),
    Wanted("tfrs", "retrieval-8192"),
    Wanted("apr-authors", "bpr-512"),
    Wanted("apr-authors", "apr-512"),
)
FRACTIONS = {"tfrs retrieval-2048": 0.25, "tfrs retrieval-8192": 0.05}  # the rest is extrapolated
SHOWN = (
    *("group", "system", "variant", "batch", "optimizer", "loss", "seconds", "fastest", "slowest"),
    *("cpu_seconds", "peak_mb", "prepare", "times_implicit", "times_own_plain"),
)
FIELDS = ("batch", "optimizer", "loss", "blocked")
SPARSE = ("sparse_adagrad", "rowwise_adagrad", "lazy_adam", "sparse_sgd")


def ours(*names: str) -> list[Wanted]:
    """Our variants of these names."""
    return [Wanted(OURS, name) for name in names]


GROUPS = {
    "peers": [
        *PEERS,
        *ours(
            *(
                f"{form}-{batch}-rowwise_adagrad"
                for batch in (512, 2048, 8192)
                for form in ("bpr", "apr")
            ),
            "bpr-512-adagrad",
            "apr-512-adagrad",
            "softmax-512-sparse_adagrad",
        ),
    ],
    "batches": ours(
        *(
            f"{form}-{batch}-{name}"
            for batch in (512, 2048, 8192)
            for name in ("adagrad", "sparse_adagrad", "sparse_sgd")
            for form in ("bpr", "apr")
        )
    ),
    "optimizers": ours(
        *(f"{form}-512-{name}" for name in ("adam", *SPARSE) for form in ("bpr", "apr"))
    ),
    "forms": ours(
        "bpr-512-adagrad-unblocked",
        "apr-512-adagrad-unblocked",
        *(f"bpr-{batch}-rowwise_adagrad" for batch in (512, 8192)),
        *(f"apr-pgd3-{batch}-rowwise_adagrad" for batch in (512, 8192)),
        "softmax-512-sparse_adagrad",
        "two-tower-512-adagrad",
        "two-tower-512-sparse_adagrad",
        "two-tower-apr-512-sparse_adagrad",
    ),
}
TRIAL = {
    "peers": [
        *(
            one
            for one in PEERS
            if one.variant not in ("retrieval-2048", "retrieval-8192", "bpr-4096")
        ),
        *ours("bpr-512-adagrad", "apr-512-adagrad", "bpr-512-sparse_adagrad"),
    ]
}


def run(context: Context) -> dict[str, Any]:
    """Measures all groups, or those that are asked for."""
    groups = TRIAL if context.quick else GROUPS
    chosen = context.groups or tuple(groups)
    if not set(chosen) <= set(groups):
        raise ValueError(f"there are the groups {list(groups)}, not {list(chosen)}")
    log, described = logs.standard(context)
    rows, comparisons, evaluators, versions = [], [], [], {}
    with logs.on_disk(log) as file:
        for group in chosen:
            context.say(f"group {group}")
            found = measure(group, [REFERENCE, *groups[group]], file, context)
            rows += found["rows"]
            versions |= found["versions"]
            if group == "peers":
                comparisons, evaluators = found["comparisons"], found["evaluators"]
    return {
        "rows": rows,
        "columns": SHOWN,
        "tables": {"comparisons": comparisons, "evaluators": evaluators},
        "versions": versions,
        "note": f"Data: {described}. One epoch in seconds: the median, fastest and slowest of "
        f"{context.rounds} rounds in which the systems took turns; ratios are medians of ratios "
        f"within rounds. {context.threads} threads. Peak memory is the whole process's. "
        "`prepare` includes compiling; it is not in the epochs. A fraction below 1 says that a "
        "part of an epoch was run and extrapolated.",
    }


def measure(group: str, wanted: Sequence[Wanted], data: Path, context: Context) -> dict[str, Any]:
    """Measures one group."""
    with started(wanted, data, context) as prepared:
        records = alternate(prepared.workers, context.rounds, fractions=FRACTIONS, say=context.say)
        evaluators = _evaluators(prepared) if group == "peers" else []
        failed = {one.label: one.failed for one in prepared.workers if one.failed}
    problems = prepared.missing | failed
    rows = [_row(group, one, prepared.facts, records, problems) for one in wanted]
    return {
        "rows": rows,
        "comparisons": _comparisons(wanted, records),
        "evaluators": evaluators,
        "versions": {label.split()[0]: one["version"] for label, one in prepared.facts.items()},
    }


def plain_twin(one: Wanted) -> Wanted | None:
    """The same variant without its adversary; None for one that has none."""
    if one.system != OURS:
        return None
    for adversarial, plain in (
        ("apr-pgd3-", "bpr-"),
        ("two-tower-apr-", "two-tower-"),
        ("apr-", "bpr-"),
    ):
        if one.variant.startswith(adversarial):
            return Wanted(OURS, plain + one.variant.removeprefix(adversarial))
    return None


def _row(
    group: str,
    one: Wanted,
    facts: dict[str, dict[str, Any]],
    records: dict[str, list[Any]],
    problems: dict[str, str],
) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"group": group, "system": one.system, "variant": one.variant}
    if one.label in facts:
        row |= {name: facts[one.label].get(name) for name in FIELDS}
        row |= summary(records[one.label])
        row["prepare"] = round(facts[one.label]["prepared"]["seconds"], 2)
        row |= _ratio("implicit", one.label, REFERENCE.label, records)
        twin = plain_twin(one)
        if twin is not None:
            row |= _ratio("own_plain", one.label, twin.label, records)
    if one.label in problems:
        row["problem"] = problems[one.label]
    return row


def _ratio(
    name: str, label: str, reference: str, records: dict[str, list[Any]]
) -> dict[str, float | None]:
    """`times_<name>` and its range."""
    if label not in records or reference not in records:
        return {}
    found = ratio(records[label], records[reference])
    if found is None:
        return {}
    return {
        f"times_{name}": found["median"],
        f"times_{name}_range": f"{found['lowest']:.3g}-{found['highest']:.3g}",
    }


def _comparisons(wanted: Sequence[Wanted], records: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """How many times as long as each of our adversarial epochs each peer's plain one takes."""
    peers = [one for one in wanted if one.system != OURS and one.label in records]
    mine = [one for one in wanted if plain_twin(one) is not None and one.label in records]
    rows = []
    for peer in peers:
        row = {"an epoch of": peer.label}
        for one in mine:
            found = ratio(records[peer.label], records[one.label])
            if found is not None:
                shown = f"{found['median']:.3g} ({found['lowest']:.3g}-{found['highest']:.3g})"
                row[f"takes times {one.variant}"] = shown
        rows.append(row)
    return rows


def _evaluators(prepared: Prepared) -> list[dict[str, Any]]:
    """Users a second of each system's own evaluation, each system once."""
    found: dict[str, dict[str, Any]] = {}
    for worker in prepared.workers:
        system = worker.label.split()[0]
        if system in found or worker.failed:
            continue
        try:
            answer = worker.ask("evaluate", vital=False)
        except WorkerFailed as error:
            found[system] = {"system": system, "problem": str(error)}
            continue
        if "users" in answer:
            found[system] = {
                "system": system,
                "users": answer["users"],
                "seconds": round(answer["seconds"], 4),
                "users_per_second": round(answer["users"] / answer["seconds"]),
                "computes": answer["computes"],
            }
    return list(found.values())
