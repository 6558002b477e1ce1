"""The sections of a report: which there are, which run in this version, and why others do not."""

from typing import Any

RUNNABLE = ("embedding", "noise")

TITLES = {
    "embedding": "Embedding perturbation",
    "item_features": "Item-feature perturbation",
    "poisoning": "Poisoning and shilling",
    "noise": "Natural noise",
    "drift": "Temporal and popularity drift",
    "missing_modality": "Missing modality",
}

_LATER = "this version of tfadvrec does not have this section"


def section(name: str, *, threat_model: dict[str, str] | None = None, **record: Any) -> dict:
    """Record of a section that was run."""
    return {
        "name": name,
        "title": TITLES[name],
        "status": "RUN",
        "reason": None,
        "threat_model": threat_model,
        **record,
    }


def not_run(name: str, reason: str | None = None) -> dict[str, Any]:
    """Record of a section that was not run."""
    return {
        "name": name,
        "title": TITLES[name],
        "status": "NOT RUN",
        "reason": reason or _LATER,
        "threat_model": None,
    }


def limits_in_words(sections: dict[str, dict], counts: dict[str, int], split: dict) -> str:
    """Limits that follow from what was and was not run; used where the caller states none."""
    missing = [record["title"].lower() for record in sections.values() if record["status"] != "RUN"]
    run = [record["title"].lower() for record in sections.values() if record["status"] == "RUN"]
    words = [
        f"Run: {', '.join(run) or 'clean quality only'}. "
        f"Nothing is known from this report about: {', '.join(missing) or 'other threats'}.",
        "Moving parameters does not follow the mechanism of data poisoning; robustness to one says "
        "nothing about the other.",
        "A PASS in the sanity box means that the check found no fault in the attack, not that the "
        "model is robust; a stronger or better adapted attack may exist.",
        "Intervals over users cover other users of the same kind, not other training seeds: one "
        "trained model (and one twin) was attacked.",
    ]
    if counts.get("FAIL"):
        words.append(f"{counts['FAIL']} checks failed: read them before any number.")
    if split["leaves one out"]:
        words.append(
            "The split leaves one interaction a user out, which lets training see interactions "
            "later than some held-out ones and can reorder models."
        )
    return " ".join(words)
