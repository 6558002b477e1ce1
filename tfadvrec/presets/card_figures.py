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
    validated = any("validation" in measured for measured in models.values())
    chosen_on = "the validation part" if validated else "a tenth of the train part"
    note = (
        f"{metrics.get('users', '?')} users; {metrics.get('split', '')}. {_part(metrics)}"
        "Means over "
        f"{len(metrics.get('seeds', []))} seeds ± their standard deviation (baselines: one fit, "
        f"settings chosen on {chosen_on}); in brackets the 95% bootstrap interval over "
        "users of the shipped seed. `metrics.json` has every metric, seed and situation."
    )
    parts = [note, "### Clean, test part", _clean(models, cuts, lead)]
    situations = metrics.get("situations", {})
    if situations:
        parts += [f"### Attacked, {lead} on the test part", _attacked(models, situations, lead)]
        parts.append("\n".join(f"- **{name}**: {told}" for name, told in situations.items()))
    against = _against(metrics, lead)
    return "\n\n".join([*parts, against] if against else parts)


def verdict(name: str, metrics: Mapping[str, Any]) -> str:
    """Whether a game beats its twin and the best baseline, in a sentence.

    Args:
        name: The preset's name.
        metrics: The parsed `metrics.json`.
    """
    if metrics.get("kind") == "generator":
        return _generator_verdict(name, metrics)
    lead = f"ndcg@{min(metrics.get('k', [10]))}"
    means = {
        label: parts["test"][lead]["mean"]
        for label, parts in metrics.get("models", {}).items()
        if lead in parts.get("test", {})
    }
    own = means.pop(name, None)
    if own is None or not means:
        return ""
    told = [f"On the test part its {lead} is {own:.4f}"]
    twin = metrics.get("twin")
    if twin in means:
        of_twin = means.pop(twin)
        found = metrics.get("against_twin", {}).get("test", {}).get(lead, {})
        sure = found.get("low", 0) > 0 or found.get("high", 0) < 0
        word = ("above" if own > of_twin else "below") if sure else "not to be told from"
        told.append(f"{word} that of its twin without the adversary ({of_twin:.4f})")
    if means:
        best = max(means, key=means.get)
        word = "above" if own > means[best] else "below"
        told.append(f"{word} that of the best baseline ({best}: {means[best]:.4f})")
    return f"**{', '.join(told)}.**"


def _generator_verdict(name: str, metrics: Mapping[str, Any]) -> str:
    """Whether a model learns as much from the made log as from what simple samplers make."""
    models = metrics["models"]
    lead = next((key for key in models.get(name, {}) if key.startswith("utility ")), None)
    if lead is None:
        return ""
    own = models[name][lead]["mean"]
    others = {label: row[lead]["mean"] for label, row in models.items() if label != name}
    best = max(others, key=others.get)
    word = "more" if own > others[best] else "less"
    return (
        f"**{lead.removeprefix('utility ')} trained on its log alone reaches {own:.0%} of the "
        f"nDCG@10 of {lead.removeprefix('utility ')} trained on the real one, {word} than on the "
        f"best simple sampler's ({best}: {others[best]:.0%}).**"
    )


def generator_figures(metrics: Mapping[str, Any]) -> str:
    """A generator's figures beside those of samplers that learn less.

    Args:
        metrics: The parsed `metrics.json`.

    Returns:
        Markdown.
    """
    models = metrics["models"]
    names = list(next(iter(models.values())))
    rows = {
        label: [_figure(figures.get(name)) for name in names] for label, figures in models.items()
    }
    note = (
        f"{metrics['users']} users made and compared; {metrics['split']}. Means over "
        f"{len(metrics['seeds'])} seeds ± their standard deviation. `utility`: nDCG@10 of a model "
        "that ranks real users and learnt from the made log alone, over that of the same model "
        "that learnt from the real one. `js`: Jensen-Shannon distance of a column, over that of "
        "one real half from the other. `exact profiles`: share of made profiles that are a real "
        "user's (most have a single interaction where this is above 0). `metrics.json` has the "
        "whole report of the shipped seed."
    )
    return f"{note}\n\n{_table(['made by', *names], rows)}"


def rating_figures(metrics: Mapping[str, Any]) -> str:
    """Rating errors clean and attacked, beside those of the mean and of biases alone.

    Args:
        metrics: The parsed `metrics.json`.

    Returns:
        Markdown.
    """
    models, situations = metrics["models"], metrics["situations"]
    note = (
        f"{metrics['users']} users, {metrics['counts']['ratings']:,} ratings; {metrics['split']}. "
        f"Means over {len(metrics['seeds'])} seeds ± their standard deviation; in brackets the 95% "
        "bootstrap interval over users of the shipped seed. Predictions are clipped to the range "
        "of the training ratings. `metrics.json` has every seed and situation."
    )
    clean = {
        label: [_figure(parts["test"]["rmse"], interval=True), _figure(parts["test"]["mae"])]
        for label, parts in models.items()
    }
    told = [note, "### Clean, test part", _table(["model", "RMSE", "MAE"], clean)]
    if situations:
        told += ["### Attacked, RMSE on the test part", _attacked(models, situations, "rmse")]
        told.append("\n".join(f"- **{name}**: {words}" for name, words in situations.items()))
    return "\n\n".join(told)


def click_figures(metrics: Mapping[str, Any]) -> str:
    """Order, size and calibration of probabilities, clean and attacked.

    Args:
        metrics: The parsed `metrics.json`.

    Returns:
        Markdown.
    """
    models, situations, counts = metrics["models"], metrics["situations"], metrics["counts"]
    note = (
        f"{counts['impressions']:,} impressions of the test part, {counts['clicks']:,} of them "
        f"clicked; {metrics['split']}. Means over {len(metrics['seeds'])} seeds ± their standard "
        f"deviation; in brackets the 95% bootstrap interval of the shipped seed, over "
        f"{counts['owners']:,} owners of impressions. `metrics.json` has every seed and situation."
    )
    shown = {
        "auc": "AUC",
        "log_loss": "log loss",
        "normalised_entropy": "normalised entropy",
        "calibration_error": "calibration error",
    }
    clean = {
        label: [_figure(parts["test"][name], interval=name == "auc") for name in shown]
        for label, parts in models.items()
    }
    told = [note, "### Clean, test part", _table(["model", *shown.values()], clean)]
    if situations:
        told += ["### Attacked, AUC on the test part", _attacked(models, situations, "auc")]
        told.append("\n".join(f"- **{name}**: {words}" for name, words in situations.items()))
    return "\n\n".join(told)


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


def _part(metrics: Mapping[str, Any]) -> str:
    """What the policy says first where only a part of the catalogue is ranked."""
    first = str(metrics.get("policy", "")).split(". ")[0]
    return f"{first}. " if first.startswith("Of the ") else ""
