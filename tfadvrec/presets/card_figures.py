"""The figures of a card: `metrics.json` as a few tables that a person can read."""

from collections.abc import Mapping
from typing import Any

Models = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


def figures(metrics: Mapping[str, Any]) -> str:
    """Clean and attacked quality, and the difference from the twin; the rest stays in the file.

    Args:
        metrics: The parsed `metrics.json`.

    Returns:
        Markdown.
    """
    cuts = metrics.get("k", [10])
    lead = f"ndcg@{min(cuts)}"
    models = metrics.get("models", {})
    note = (
        f"{metrics.get('users', '?')} users; {metrics.get('split', '')}. Means over "
        f"{len(metrics.get('seeds', []))} seeds ± their standard deviation (baselines: one fit, "
        "settings chosen on the validation part); in brackets the 95% bootstrap interval over "
        "users of the shipped seed. `metrics.json` has every metric, seed and situation."
    )
    parts = [note, "### Clean, test part", _clean(models, cuts, lead)]
    situations = metrics.get("situations", {})
    if situations:
        parts += [f"### Attacked, {lead} on the test part", _attacked(models, situations, lead)]
        parts.append("\n".join(f"- **{name}**: {told}" for name, told in situations.items()))
    against = _against(metrics, lead)
    return "\n\n".join([*parts, against] if against else parts)


def cell(value: Any) -> str:
    """Text that cannot break out of a table."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def _clean(models: Models, cuts: list[int], lead: str) -> str:
    """A row a model: hit rate and nDCG at every cut, coverage, and the validation part."""
    names = [f"{metric}@{cut}" for cut in cuts for metric in ("hr", "ndcg")]
    names.append(f"coverage@{min(cuts)}")
    rows = {
        label: [_figure(parts.get("test", {}).get(name), interval=name == lead) for name in names]
        + [_figure(parts.get("validation", {}).get(lead))]
        for label, parts in models.items()
    }
    return _table(["model", *names, f"{lead}, validation"], rows)


def _attacked(models: Models, situations: Mapping[str, str], lead: str) -> str:
    """A row a model that was attacked: the leading metric in every situation."""
    rows = {
        label: [_figure(parts.get(name, {}).get(lead)) for name in ("test", *situations)]
        for label, parts in models.items()
        if any(name in parts for name in situations)
    }
    return _table(["model", "clean", *situations], rows)


def _against(metrics: Mapping[str, Any], lead: str) -> str:
    """Paired differences from the undefended twin."""
    found = metrics.get("against_twin")
    if not found:
        return ""
    rows = {
        situation: [f"{d['difference']:+.4f}", f"[{d['low']:+.4f}, {d['high']:+.4f}]"]
        for situation, by_metric in found.items()
        if (d := by_metric.get(lead))
    }
    return (
        f"### {lead} minus that of `{metrics.get('twin')}`, the undefended twin\n\n"
        "Paired over users, values averaged over the seeds.\n\n"
        + _table(["situation", "difference", "95% interval"], rows)
    )


def _table(columns: list[str], rows: Mapping[str, list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [f"| {cell(label)} | " + " | ".join(values) + " |" for label, values in rows.items()]
    return "\n".join(lines)


def _figure(figure: Mapping[str, Any] | None, *, interval: bool = False) -> str:
    """A mean with its spread, and its interval where that is wanted."""
    if figure is None:
        return ""
    text = f"{figure['mean']:.4f}"
    if figure.get("std") is not None:
        text += f" ± {figure['std']:.4f}"
    if interval and figure.get("interval"):
        low, high = figure["interval"]
        text += f" [{low:.4f}, {high:.4f}]"
    return text
