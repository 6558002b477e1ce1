"""A health report as a Markdown page."""

from typing import Any

from tfadvrec.games.health.limit import LEVELS, Limit


def markdown(report: Any) -> str:
    """The page: what happened, the last values beside their limits, every event.

    Args:
        report: A `HealthReport`.

    Returns:
        Markdown that names `health.png` beside it.
    """
    head = f"# Health of {report.settings.get('game', 'the game')}: {report.status}"
    parts = [head, report.reason or "No signal was beyond its limit for long enough to be told."]
    parts += ["![losses, accuracies, gradient norms and diversity by epoch](health.png)"]
    parts += [_table(report), _events(report), _how(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(report: Any) -> str:
    limits = report.settings.get("limits", {})
    rows = []
    for name in report.names:
        epochs, values = report.curve(name)
        limit = Limit(**limits[name]) if name in limits else None
        level = LEVELS[limit.level(values[-1])] if limit else ""
        cells = [name, _number(values[-1]), f"{_number(min(values))} to {_number(max(values))}"]
        rows.append([*cells, _bounds(limit), level, str(epochs[-1])])
    if not rows:
        return "Nothing was measured."
    title = ["value", "last", "range", "warn (act)", "level", "epoch"]
    lines = [title, ["---"] * len(title), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _bounds(limit: Limit | None) -> str:
    if limit is None:
        return ""
    pairs = (("<", limit.warn_below, limit.act_below), (">", limit.warn_above, limit.act_above))
    told = [
        f"{sign} {'-' if warn is None else f'{warn:g}'} ({'-' if act is None else f'{act:g}'})"
        for sign, warn, act in pairs
        if (warn, act) != (None, None)
    ]
    return ", ".join(told)


def _events(report: Any) -> str:
    if not report.events:
        return ""
    lines = [f"- epoch {e['epoch']}, **{e['action']}**: {e['message']}" for e in report.events]
    return "\n".join(["## Events", "", *lines])


def _how(report: Any) -> str:
    told = report.settings
    if not told:
        return ""
    return (
        f"A sample of {told['count']:,} (seed {told['seed']}) beside an equally large real one, "
        f"every {told['every']} epoch(s); {told['patience']} breaches in a row count, the first "
        f"{told['warm_up']} epoch(s) do not; action: {told['action']}. Limits are starting values."
    )


def _number(value: float) -> str:
    return f"{value:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
