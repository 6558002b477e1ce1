"""One part of a rendered report."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """One part of the page.

    Attributes:
        title: Heading.
        level: 1, 2 or 3.
        text: Paragraphs.
        head: Column names of the table, empty for none.
        rows: Its cells.
        figure: Name of the figure below, or `None`.
        caption: What the figure shows, for those who cannot see it.
    """

    title: str
    level: int = 2
    text: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())
    figure: str | None = None
    caption: str = ""
