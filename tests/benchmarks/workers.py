"""Starts measured systems in processes of their own and lets them train in turn."""

import contextlib
import json
import os
import queue
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

START_LIMIT, LIMIT = 180.0, 900.0  # seconds for one answer
TAIL = 300
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class WorkerFailed(RuntimeError):
    """A worker died, answered with an error, or took too long."""


class Worker:
    """A system in a process of its own that answers requests; see `peers/protocol.py`.

    Args:
        label: What the tables call it.
        command: How its script is started, without `--data` and `--threads`.
        data: The log, an `.npz` file.
        threads: How many threads it may use.
        variables: Environment variables that it needs.
        limit: Seconds that one answer may take.
        folder: Where it is started; here by default.
    """

    def __init__(
        self,
        label: str,
        command: Sequence[str | os.PathLike],
        *,
        data: str | os.PathLike,
        threads: int = 2,
        variables: Mapping[str, str] | None = None,
        limit: float = LIMIT,
        folder: Path | None = None,
    ) -> None:
        self.label, self.limit = label, limit
        self.hello: dict[str, Any] = {}
        self.failed: str | None = None
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        limits = {name: str(threads) for name in THREADS}
        self.process = subprocess.Popen(
            [*map(str, command), "--data", str(data), "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            cwd=folder,
            env={**os.environ, **limits, **(variables or {})},
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ready(self) -> dict[str, Any]:
        """Waits until the worker says what it is."""
        if not self.hello:
            self.hello = self._wait(max(START_LIMIT, self.limit))
        return self.hello

    def ask(self, do: str, *, vital: bool = True, **fields: Any) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Args:
            do: What to do.
            vital: Whether a worker that answers with an error is of no more use.
            **fields: The rest of the request.

        Raises:
            WorkerFailed: It died, failed or took longer than its limit. It is ended then, and
                `failed` says why.
        """
        self.ready()
        with contextlib.suppress(OSError):  # it has died; waiting says of what
            self.process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            self.process.stdin.flush()
        answer = self._wait(self.limit)
        if "error" in answer:
            reason = f"{do}: {answer['error']}"[:TAIL]
            if vital:
                self._fail(reason)
            raise WorkerFailed(reason)
        return answer

    def close(self) -> None:
        """Asks it to end, and ends it."""
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b'{"do": "quit"}\n')
                self.process.stdin.close()
                self.process.wait(5)
            except (OSError, ValueError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()
        self._reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self._told):
            with contextlib.suppress(OSError):  # what was not sent has nowhere to go
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _wait(self, seconds: float) -> dict[str, Any]:
        if self.failed:
            raise WorkerFailed(self.failed)
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._fail(f"no answer within {seconds:g} s")
        if not line:
            self._fail(f"ended with {self.process.wait()}: {self._tail()}")
        return json.loads(line)

    def _fail(self, reason: str) -> None:
        self.failed = reason
        self.process.kill()
        raise WorkerFailed(reason)

    def _tail(self) -> str:
        self._told.seek(0)
        lines = self._told.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[-TAIL:] if lines else "it said nothing"


def alternate(
    workers: Sequence[Worker],
    rounds: int,
    *,
    fractions: Mapping[str, float] | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, list[dict[str, Any] | None]]:
    """One epoch of each system in turn, round after round, so that all share the machine's state.

    The turn starts with another system in each round. A worker that fails drops out.

    Args:
        workers: Prepared workers.
        rounds: How many epochs of each.
        fractions: Label -> which part of an epoch is asked for; all of it by default. What a
            system says that it did counts, and its figures are extrapolated to one epoch.
        say: Told when a round is done.

    Returns:
        Label -> one record a round; None in the rounds that a worker did not finish.
    """
    records: dict[str, list[dict[str, Any] | None]] = {one.label: [] for one in workers}
    for turn in range(rounds):
        start = turn % max(len(workers), 1)
        for worker in [*workers[start:], *workers[:start]]:
            fraction = (fractions or {}).get(worker.label, 1.0)
            records[worker.label].append(_epoch(worker, fraction))
        if say is not None:
            say(f"round {turn + 1} of {rounds} is done")
    return records


def _epoch(worker: Worker, fraction: float) -> dict[str, Any] | None:
    """One epoch's record, extrapolated where a part was done; None where it failed."""
    try:
        record = worker.ask("epoch", fraction=fraction)
    except WorkerFailed:
        return None
    done = record.get("fraction", 1.0)
    return {
        **record,
        "seconds": record["seconds"] / done,
        "cpu_seconds": record["cpu_seconds"] / done,
        "fraction": done,
    }


def summary(records: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Median, smallest and largest seconds, CPU seconds and peak memory of a system's rounds."""
    done = [record for record in records if record is not None]
    if not done:
        return {"rounds": 0}
    seconds = [record["seconds"] for record in done]
    return {
        "rounds": len(done),
        "seconds": round(statistics.median(seconds), 4),
        "fastest": round(min(seconds), 4),
        "slowest": round(max(seconds), 4),
        "cpu_seconds": round(statistics.median(record["cpu_seconds"] for record in done), 4),
        "peak_mb": round(max(record["peak_mb"] for record in done)),
        **({"fraction": done[0]["fraction"]} if done[0].get("fraction", 1.0) != 1.0 else {}),
    }


def ratio(
    records: Sequence[dict[str, Any] | None], reference: Sequence[dict[str, Any] | None]
) -> dict[str, float] | None:
    """How many times as long as a reference a system took: ratios within rounds, their median.

    Returns:
        `median`, `lowest` and `highest`, or None where no round has both.
    """
    paired = [
        one["seconds"] / other["seconds"]
        for one, other in zip(records, reference, strict=True)
        if one is not None and other is not None
    ]
    if not paired:
        return None
    return {
        "median": round(statistics.median(paired), 3),
        "lowest": round(min(paired), 3),
        "highest": round(max(paired), 3),
    }


def here() -> Path:
    """The folder of the project, from which our own worker is started."""
    return Path(__file__).resolve().parents[2]
