"""A report's main numbers for the terminal."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from tfadvrec.audit.tables import NOTHING, percent, said


def summary_table(record: dict[str, Any]) -> Table:
    """A `rich` table: every model clean, model and twin at the headline size.

    Args:
        record: A report's record.

    Returns:
        The table.
    """
    lead, head = record["lead"], record["headline"]
    counts = record["check_counts"]
    size = head.get("relative")
    caption = (
        f"sanity box: {counts['PASS']} PASS, {counts['FAIL']} FAIL, {counts['NOT RUN']} NOT RUN"
    )
    if size is not None:
        caption = f"attacked: {head['attack']} at {size:.2f} of the mean row norm; {caption}"
    table = Table(title=f"Robustness on {escape(record['data']['name'])}", caption=caption)
    for name in ("model", lead, f"{lead} attacked", "kept", "kept, plain loss"):
        table.add_column(name, justify="left" if name == "model" else "right")
    other = record["headline_plain_loss"]
    for role, metrics in record["clean"].items():
        attacked = (head.get("attacked") or {}).get(role)
        table.add_row(
            escape(record["models"][role]["label"]),
            said(metrics[lead]),
            said(attacked[lead]) if attacked else NOTHING,
            percent((head.get("kept") or {}).get(role)),
            percent((other.get("kept") or {}).get(role)),
        )
    for name, metrics in record["baselines"].items():
        table.add_row(escape(name), said(metrics[lead]), NOTHING, NOTHING, NOTHING)
    return table
