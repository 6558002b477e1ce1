"""What the command line prints: results on standard output, everything else on standard error."""

import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

WIDE = 160  # columns of a table that goes to a file or a pipe
# What TensorFlow's runtime says on every machine without a GPU, while it starts
_NOISE = re.compile(
    rb"absl::InitializeLog|cudart_stub|cuda_platform|cuda_executor|computation_placer|cpu_feature_guard"
    rb"|Unable to register|tf_tfl_flatbuffer|oneDNN|TF-TRT|To enable the following instructions"
)


def output() -> Console:
    """The console of results."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def messages() -> Console:
    """The console of everything that is not a result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Tells something that is not a result."""
    messages().print(text, markup=False)


def print_json(value: Any) -> None:
    """Prints a result for programs: JSON and nothing else."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a result for people; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for number, name in enumerate(columns):
        left = number == 0 or any(isinstance(row[number], str) and row[number] for row in rows)
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    output().print(table)


def figures_table(title: str, models: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints metrics: a row a model, a column a metric; a value is a number or has an interval."""
    names = list(dict.fromkeys(name for row in models.values() for name in row))
    rows = [[label, *[row.get(name) for name in names]] for label, row in models.items()]
    print_table(title, ["model", *names], rows)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows the progress of what runs inside, on standard error.

    Yields:
        A function of a text, how much is done, and of how much. On a terminal it moves a bar;
        elsewhere it prints a line when a text is new.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = messages()
    if not console.is_terminal:
        told: set[str] = set()

        def line(text: str, done: int, total: int) -> None:
            if text not in told:
                told.add(text)
                say(f"{text} ...")

        yield line
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def bar(text: str, done: int, total: int) -> None:
            if text not in tasks:
                for task in bars.tasks:  # what is finished, or has no end, gives way
                    if task.finished or (task.total or 0) <= 1:
                        bars.update(task.id, visible=False)
                tasks[text] = bars.add_task(text, total=total)
            bars.update(tasks[text], completed=done, total=total)

        yield bar


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Shows that something runs whose length is unknown."""
    console = messages()
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        if seconds > 2:
            say(f"{text}: {seconds:.1f} s")


def start_tensorflow() -> None:
    """Imports TensorFlow without what its runtime says about GPUs that are not there.

    Whatever else it says comes through. Only the command line does this, and only while it starts.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with working("starting TensorFlow"), tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for text in caught:
                if not _NOISE.search(text):
                    sys.stderr.write(text.decode(errors="replace"))


def _cell(value: Any) -> str:
    """A value as text: four digits for a ratio, an interval in brackets."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        text = _cell(value["value"])
        return f"{text} [{value['low']:.4f}, {value['high']:.4f}]" if "low" in value else text
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
