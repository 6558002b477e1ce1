"""Which systems a part measures, and how they are started and prepared."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.context import Context
from tests.benchmarks.peers.catalogue import HERE, PEERS
from tests.benchmarks.workers import Worker, WorkerFailed, here

OURS = "tfadvrec"


class Wanted(NamedTuple):
    """A variant of a system: each is measured in a process of its own."""

    system: str
    variant: str

    @property
    def label(self) -> str:
        return f"{self.system} {self.variant}"


def split(label: str) -> Wanted:
    """The variant that a label names."""
    return Wanted(*label.split(" ", 1))


class Prepared(NamedTuple):
    """What runs: workers, what `prepare` said, and why the others do not run."""

    workers: list[Worker]
    facts: dict[str, dict[str, Any]]
    missing: dict[str, str]


@contextmanager
def started(
    wanted: Sequence[Wanted],
    data: Path,
    context: Context,
    *,
    limit: float = 900.0,
    restore: bool = False,
) -> Iterator[Prepared]:
    """Starts and prepares the wanted variants one after the other; ends them afterwards.

    Args:
        wanted: What to measure.
        data: The log's file.
        context: Where the peers are, and how many threads they get.
        limit: Seconds that one answer may take.
        restore: Whether models need their initial values after the warm-up.
    """
    with ExitStack() as stack:
        prepared, offered = Prepared([], {}, {}), {}
        for one in wanted:
            problem = missing(one.system, context)
            if not problem and one.variant not in offered.get(one.system, [one.variant]):
                problem = f"it offers no {one.variant}"
            if problem:
                prepared.missing[one.label] = problem
                continue
            worker = stack.enter_context(_worker(one, data, context, limit))
            try:
                offered[one.system] = [each["name"] for each in worker.ready()["variants"]]
                prepared.facts[one.label] = prepare(worker, one, restore=restore)
                prepared.workers.append(worker)
                context.say(f"{one.label}: ready")
            except WorkerFailed as error:
                prepared.missing[one.label] = str(error)
                context.say(f"{one.label}: {error}")
        yield prepared


def missing(system: str, context: Context) -> str | None:
    """Why a system cannot be measured; None where it can."""
    if system == OURS:
        return None
    if context.peers is None:
        return "missing: no --peers"
    if not PEERS[system].interpreter(context.peers).exists():
        return f"missing: python -m tests.benchmarks.peers FOLDER --only {system}"
    return None


def _worker(one: Wanted, data: Path, context: Context, limit: float) -> Worker:
    if one.system == OURS:
        command: list[Any] = [sys.executable, "-m", "tests.benchmarks.ours"]
        variables = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    else:
        peer = PEERS[one.system]
        command = [peer.interpreter(context.peers), HERE / peer.script]
        variables = peer.variables
    return Worker(
        one.label,
        command,
        data=data,
        threads=context.threads,
        variables=variables,
        limit=limit,
        folder=here() if one.system == OURS else None,
    )


def prepare(worker: Worker, one: Wanted, *, restore: bool) -> dict[str, Any]:
    """Makes a fresh model; what the worker says of itself, its variant, and the preparation."""
    hello = worker.ready()
    offered = {variant["name"]: variant for variant in hello["variants"]}
    if one.variant not in offered:
        raise WorkerFailed(f"it offers no {one.variant}")
    answer = worker.ask("prepare", variant=one.variant, restore=restore)
    return {"version": hello["version"], **offered[one.variant], "prepared": answer}
