"""The card of a preset: a README made from the folder's other files."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfadvrec.presets.card_figures import (
    cell,
    click_figures,
    figures,
    generator_figures,
    rating_figures,
    verdict,
)
from tfadvrec.presets.files import CURVES, HEALTH

NO_LIMITS = (
    "Nobody has written down yet what this preset is not good for. Until then: it is measured on "
    "one "
    "data set and one split, and its figures under attack hold for the attacks listed above only."
)
_LIMITS = re.compile(r"^## Limits\n+(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def limits_of(card: Path) -> str | None:
    """The hand-written `Limits` section of an existing card, if there is one."""
    if not card.is_file():
        return None
    found = _LIMITS.search(card.read_text(encoding="utf-8"))
    text = found.group(1).strip() if found else ""
    return text if text and text != NO_LIMITS else None


def write_card(
    name: str,
    config: Mapping[str, Any],
    manifest: Mapping[str, Any],
    recipe: str | None,
    metrics: Mapping[str, Any] | None,
    *,
    limits: str,
) -> str:
    """Writes a preset's card.

    Args:
        name: The preset's name.
        config: Its `config.json`.
        manifest: Its manifest.
        recipe: Its recipe's text, or `None`.
        metrics: Its `metrics.json`, or `None`.
        limits: The text of the `Limits` section.

    Returns:
        Markdown.
    """
    parsed = tomllib.loads(recipe) if recipe else {}
    parts = [f"# {name}"]
    if metrics and "game" in parsed:
        parts.append(verdict(name, metrics))
    parts += [parsed.get("description", "").strip(), _facts(config, manifest, parsed)]
    if metrics:
        parts += ["## Figures", _FIGURES.get(metrics.get("kind"), figures)(metrics)]
    if CURVES in manifest.get("files", {}):
        parts += ["## Health", f"![Losses, judgements and what was made, by epoch]({CURVES})"]
        told = (metrics or {}).get("health", {})
        reason = f": {told['reason']}" if told.get("reason") else ""
        parts.append(
            f"The shipped seed's training was {told.get('status', 'not judged')}{reason}. "
            f"`{HEALTH}` holds every value."
        )
    parts += [
        "## Use",
        _use(name, config, manifest),
        "## What is in the folder",
        _shipped(config, manifest),
    ]
    parts += ["## Limits", limits.strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


# kind of metrics.json -> its figures; a ranking's where there is none
_FIGURES = {"generator": generator_figures, "ratings": rating_figures, "clicks": click_figures}


def _facts(
    config: Mapping[str, Any], manifest: Mapping[str, Any], recipe: Mapping[str, Any]
) -> str:
    """Class, data, terms, training and versions."""
    data = manifest.get("data", {})
    shown = {k: v for k, v in config["config"].items() if not isinstance(v, dict | list)}
    rows = [("Model", f"`{config['class_name']}` ({_pairs(shown)})")]
    rows += [
        (key.capitalize(), data[key]) for key in ("name", "origin", "licence") if data.get(key)
    ]
    rows = [("Data" if key == "Name" else key, value) for key, value in rows]
    if "split" in recipe:
        clicks = recipe.get("data", {}).get("source") == "clicks"
        rows.append(("Split", split_note(recipe["split"], clicks=clicks)))
    if recipe.get("stages"):
        told = (_stage(stage, recipe.get("game", {})) for stage in recipe["stages"])
        rows.append(("Training", "; then ".join(told)))
    if recipe.get("twin"):
        rows.append(("Undefended twin", f"`{recipe['twin']}`"))
    versions = manifest.get("versions", {})
    rows.append(("Made with", ", ".join(f"{k} {v}" for k, v in versions.items())))
    return "| | |\n|---|---|\n" + "\n".join(f"| {key} | {cell(value)} |" for key, value in rows)


def split_note(split: Mapping[str, Any], *, clicks: bool = False) -> str:
    """A split, of impressions where `clicks`, in words with its known weakness."""
    if clicks:
        return "impressions drawn at random; leaks time"
    kind = str(split.get("kind"))
    notes = {
        "leave_last_out": "leave-last-out, the last but one as validation; leaks time: later "
        "interactions of other users are in the training set",
        "by_time": "global timeline: train, then validation, then test",
        "by_ratio": "by ratio per user, drawn at random; leaks time",
        "cold_items": "some items held out with all their interactions, some more as validation; "
        "leaks time",
        "published": "as published, by two files",
    }
    return notes.get(kind, kind)


def _stage(stage: Mapping[str, Any], game: Mapping[str, Any]) -> str:
    """One stage of a training in words."""
    adversary = stage.get("adversary")
    if game and stage.get("game", True):
        weight = stage.get("adversarial_weight", game.get("adversarial_weight", 1.0))
        against = f"adversarial weight {weight:g}" if weight else "its adversary off"
        return f"{stage.get('epochs')} epochs of `{game['class']}` with {against}"
    if not adversary:
        return f"{stage.get('epochs')} epochs without adversary"
    shown = {k: v for k, v in adversary.items() if k != "perturbation"}
    return f"{stage.get('epochs')} epochs against `{adversary['perturbation']}` ({_pairs(shown)})"


def _use(name: str, config: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Three lines to load and fine-tune it."""
    if "weights.safetensors" not in manifest.get("files", {}):
        return f"```\ntfadvrec zoo train {name} --output {name}\n```"
    if _columns(config, "categorical"):
        numbers = _columns(config, "numeric")
        more = f", numbers={_quoted(numbers)}" if numbers else ""
        return (
            "```python\nimport tfadvrec as tar\n\n"
            f'model = tar.models.{config["class_name"]}.from_preset("{name}")\n'
            "log = tar.data.ClickLog.from_frame(table, label=None, "
            f"fields={_quoted(_columns(config, 'categorical'))}{more})\n"
            "probabilities = model.probabilities(log)\n```"
        )
    return (
        "```python\nimport tfadvrec as tar\n\n"
        f'model = tar.{config["class_name"]}.from_preset("{name}")\n'
        f'mine = tar.{config["class_name"]}.from_preset("{name}", item_ids=log.item_ids, '
        "user_ids=log.user_ids, id_map=same_items)\n```"
    )


def _columns(config: Mapping[str, Any], kind: str) -> list[str]:
    """The columns of a kind that a click model reads; none of any other model."""
    columns = config["config"].get("columns", [])
    return [column["name"] for column in columns if column["kind"] == kind]


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _shipped(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Files with their sizes, and what they say about people."""
    rows = manifest.get("files", {}).items()
    table = "| file | bytes | sha-256 |\n|---|---|---|\n" + "\n".join(
        f"| {name} | {entry['bytes']:,} | `{entry['sha256'][:16]}…` |" for name, entry in rows
    )
    return f"{table}\n\n{_of_people(config, manifest)}"


def _of_people(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """What the files say about people."""
    fields = _columns(config, "categorical")
    if fields:
        return (
            f"The values of {', '.join(fields)} that it was trained on are in "
            "`config.json`: personal data where a field names persons and the log is private."
        )
    if manifest.get("contains_user_rows"):
        return (
            "User ids and user vectors are included: rows without persons in a public set, "
            "personal data in a private one. Leave them out before you share the latter."
        )
    return "No user ids are included."


def _pairs(values: Mapping[str, Any]) -> str:
    """Arguments as they would be written in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in values.items())
