"""Rows of flat dictionaries as a table on the screen and in Markdown."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """All keys but `problem`, in the order in which they first appear."""
    return [key for key in dict.fromkeys(key for row in rows for key in row) if key != "problem"]


def problems(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each row that has a `problem`, by its first three fields."""
    return [
        " ".join(str(value) for value in list(row.values())[:3] if value != row["problem"])
        + f": {row['problem']}"
        for row in rows
        if row.get("problem")
    ]


def text(value: Any) -> str:
    """A cell: numbers short and with their thousands apart, nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def screen(title: str, rows: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> Table:
    """A table for the console, of these columns or all."""
    table = Table(title=title)
    names = names or columns(rows)
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(text(row.get(name)) for name in names))
    return table


def markdown(rows: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> str:
    """A Markdown table of these columns or all."""
    names = names or columns(rows)
    lines = [" | ".join(name.replace("_", " ") for name in names), " | ".join("---" for _ in names)]
    lines += [" | ".join(text(row.get(name)).replace("|", "\\|") for name in names) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)
