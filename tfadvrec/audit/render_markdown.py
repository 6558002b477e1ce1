"""A report as Markdown."""

from typing import Any

from tfadvrec.audit.block import Block
from tfadvrec.audit.tables import blocks


def markdown(record: dict[str, Any]) -> str:
    """Markdown text of a report's record; figures are referred to as files beside it.

    Args:
        record: A report's record.

    Returns:
        The text.

    Raises:
        ValueError: If a section that was run has no threat model, or limits are empty.
    """
    return "\n\n".join(_block(block) for block in blocks(record)) + "\n"


def _block(block: Block) -> str:
    parts = [f"{'#' * block.level} {_plain(block.title)}", *(_plain(line) for line in block.text)]
    if block.head:
        rows = [block.head, ("---",) * len(block.head), *block.rows]
        parts.append("\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows))
    if block.figure:
        parts.append(f"![{_plain(block.caption)}]({block.figure}.png)")
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Text in which nothing is markup: names come from data."""
    for sign in "\\`*_[]<>#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text if text == "---" else _plain(text).replace("|", "\\|")
