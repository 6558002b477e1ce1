"""The rules by which a model server merges requests into batches, in NumPy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.serving.loopback.status import Refused

Task = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Batching:
    """Merges requests, rounds the batch up, and splits the answers: an emulation.

    It follows what `BatchingSession` of TensorFlow Serving does, to see what it would do to a
    servable. Tensors of one name are joined along axis 0 and must agree in every other axis, or
    the whole batch fails, strangers' requests included. The batch is rounded up to the next
    allowed size with copies of the first row of the last request. With
    `pad_variable_length_inputs`, requests are widened to the widest of the batch, each with its
    own first element: in a list that is padded with `""`, that element means something.

    Args:
        allowed_batch_sizes: Increasing; the last one is the largest batch.
        pad_variable_length_inputs: Whether to widen, not to refuse, narrower tensors.
        timeout: Seconds that a batch waits for more requests.

    Raises:
        ValueError: If the sizes are not increasing positive integers.

    Example:

    >>> rules = Batching((4,))
    >>> merged = rules.merge([{"user": np.array([7, 8])}, {"user": np.array([9])}])
    >>> merged["user"].tolist()
    [7, 8, 9, 9]
    >>> [one["user"].tolist() for one in rules.split(merged, [2, 1])]
    [[7, 8], [9]]
    """

    allowed_batch_sizes: Sequence[int] = (1, 8, 32)
    pad_variable_length_inputs: bool = False
    timeout: float = 0.002

    def __post_init__(self) -> None:
        sizes = list(self.allowed_batch_sizes)
        if not sizes or sizes[0] < 1 or sizes != sorted(set(sizes)):
            raise ValueError(
                "Batching expects allowed_batch_sizes to be increasing integers >= 1, got "
                f"{self.allowed_batch_sizes!r}."
            )

    @property
    def max_batch_size(self) -> int:
        """Rows of the largest batch."""
        return self.allowed_batch_sizes[-1]

    def rows(self, task: Task) -> int:
        """Counts the rows of a request.

        Raises:
            Refused: If its inputs do not have the same number of rows, or it has too many.
        """
        sizes = {one.shape[0] if one.ndim else None for one in task.values()}
        if len(sizes) != 1 or None in sizes:
            shapes = {name: list(one.shape) for name, one in task.items()}
            raise Refused(
                "INVALID_ARGUMENT",
                "under batching all inputs of a request must have axis 0, of the same size, got "
                f"{shapes}",
            )
        (rows,) = sizes
        if rows > self.max_batch_size:
            raise Refused(
                "INVALID_ARGUMENT",
                f"a request of {rows} rows is larger than the largest batch, {self.max_batch_size}",
            )
        return rows

    def round_up(self, rows: int) -> int:
        """Finds the smallest allowed size that holds so many rows."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    def merge(self, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
        """Joins the inputs of several requests, and rounds up.

        Args:
            tasks: Inputs by name, `(rows, ...)`, of each request.

        Returns:
            Inputs by name, `(round_up(all rows), ...)`.

        Raises:
            Refused: If the tensors of a name do not fit together.
        """
        sizes = [self.rows(task) for task in tasks]
        spare = self.round_up(sum(sizes)) - sum(sizes)
        merged = {}
        for name in tasks[0]:
            parts = [task[name] for task in tasks]
            if self.pad_variable_length_inputs:
                parts = widened(parts)
            elif len({part.shape[1:] for part in parts}) > 1:
                raise Refused(
                    "FAILED_PRECONDITION",
                    f"requests of one batch have {name!r} of different widths, "
                    f"{[list(part.shape) for part in parts]}, and padding is off",
                )
            merged[name] = np.concatenate([*parts, *[parts[-1][:1]] * spare])
        return merged

    def split(self, outputs: Task, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Cuts the answers of a batch; what the rounding added is dropped.

        Args:
            outputs: Outputs by name, one row for each row of the merged batch.
            sizes: Rows of each request.

        Returns:
            Outputs by name of each request.

        Raises:
            Refused: If an output does not have the batch as axis 0.
        """
        rows = self.round_up(sum(sizes))
        for name, one in outputs.items():
            if not one.ndim or one.shape[0] != rows:
                raise Refused(
                    "FAILED_PRECONDITION",
                    f"output {name!r} of a batch of {rows} rows must have as many, got "
                    f"{list(one.shape)}",
                )
        ends = np.cumsum(sizes)
        return [
            {name: one[end - size : end] for name, one in outputs.items()}
            for end, size in zip(ends, sizes, strict=True)
        ]

    def run(
        self, tasks: Sequence[Task], compute: Callable[[dict[str, np.ndarray]], Task]
    ) -> list[dict[str, np.ndarray]]:
        """Answers several requests by one computation.

        Args:
            tasks: Inputs by name of each request.
            compute: From the merged inputs to the outputs by name.

        Returns:
            Outputs by name of each request.

        Raises:
            Refused: If they do not fit together; none of them is answered then.
        """
        return self.split(compute(self.merge(tasks)), [self.rows(task) for task in tasks])


def widened(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Widens tensors to the widest, each with its own first element."""
    shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    return [widen(part, shape) for part in parts]


def widen(part: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Widens one tensor `(rows, ...)` to `(rows, *shape)`."""
    if list(part.shape[1:]) == list(shape):
        return part
    if not part.size:
        raise Refused("INVALID_ARGUMENT", "an empty tensor has no element to be padded with")
    first: Any = part.flat[0]
    wide = np.full((len(part), *shape), first, part.dtype)
    wide[tuple(slice(size) for size in part.shape)] = part
    return wide
