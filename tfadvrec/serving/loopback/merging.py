"""Requests of many threads, collected into batches."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import numpy as np

from tfadvrec.serving.loopback.batching import Batching

Tensors = Mapping[str, np.ndarray]


class BatchQueue:
    """Lets requests with the same inputs and outputs wait for each other, and runs them at once.

    The first request of a batch waits until the batch is full or `rules.timeout` is over, and
    computes for all; the others wait for it.

    Args:
        rules: How batches are made.
        run: `run(inputs, outputs)`: from inputs by name and the names of outputs to outputs by
            name.
    """

    def __init__(self, rules: Batching, run: Callable[[Tensors, tuple[str, ...]], Tensors]) -> None:
        self.rules, self._run = rules, run
        self._lock = threading.Lock()
        self._open: dict[tuple[frozenset[str], tuple[str, ...]], Batch] = {}

    def run(self, inputs: Tensors, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Answers one request, in a batch with others that come meanwhile.

        Raises:
            Refused: If the request, or another of its batch, cannot be answered.
        """
        rows = self.rules.rows(inputs)
        key = (frozenset(inputs), outputs)
        with self._lock:
            batch = self._open.get(key)
            leads = batch is None or batch.rows + rows > self.rules.max_batch_size
            if leads:
                if batch is not None:
                    batch.full.set()
                batch = self._open[key] = Batch()
            place = batch.add(inputs, rows)
            if batch.rows == self.rules.max_batch_size:
                batch.full.set()
                del self._open[key]
        if leads:
            self._lead(key, batch, outputs)
        return batch.answers.result()[place]

    def _lead(
        self, key: tuple[frozenset[str], tuple[str, ...]], batch: "Batch", outputs: tuple[str, ...]
    ) -> None:
        """Waits for the batch to fill, closes it and computes."""
        batch.full.wait(self.rules.timeout)
        with self._lock:
            if self._open.get(key) is batch:
                del self._open[key]
        try:
            answers = self.rules.run(batch.tasks, lambda merged: self._run(merged, outputs))
        except BaseException as error:  # whatever it is, nobody may wait for ever
            batch.answers.set_exception(error)
        else:
            batch.answers.set_result(answers)


class Batch:
    """A batch that is being filled."""

    def __init__(self) -> None:
        self.tasks: list[Tensors] = []
        self.rows = 0
        self.full = threading.Event()
        self.answers: Future[list[dict[str, np.ndarray]]] = Future()

    def add(self, task: Tensors, rows: int) -> int:
        """Takes a request in; its place in the batch."""
        self.tasks.append(task)
        self.rows += rows
        return len(self.tasks) - 1
