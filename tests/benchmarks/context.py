"""What every part of the benchmark is given."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console


@dataclass(frozen=True)
class Context:
    """The settings of one run of the benchmark.

    Args:
        data: Folder of benchmark data, or None.
        peers: Folder of the peers' environments, or None.
        quick: Whether to try everything on little, to see that it works; figures mean nothing.
        rounds: How often each measurement is repeated.
        output: Folder that the results are written to.
        console: Where progress and tables are printed.
        threads: Threads that each measured system may use.
        groups: Groups of a part to measure; all where empty.
    """

    data: Path | None
    peers: Path | None
    quick: bool
    rounds: int
    output: Path
    console: Console = field(default_factory=Console)
    threads: int = 2
    groups: tuple[str, ...] = ()

    def say(self, text: str) -> None:
        """Prints a line of progress."""
        self.console.print(text, style="dim", highlight=False, markup=False)
