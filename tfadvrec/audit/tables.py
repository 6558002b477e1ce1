"""The report's content as titled blocks of text and tables, the same for Markdown and HTML."""

from collections.abc import Iterator
from typing import Any

from tfadvrec.audit.attack_names import (
    ATTACKS,
    WORST,
)
from tfadvrec.pages import Block

NOTHING = "-"


def blocks(record: dict[str, Any]) -> list[Block]:
    """All blocks, in the order: threat models, clean, curves, poisoning, natural, checks, limits.

    Raises:
        ValueError: If a section that was run has no threat model, or limits are empty.
    """
    refuse_incomplete(record)
    made = [*_header(record), *_clean(record)]
    if record["curves"]:
        made += [*_headline(record), *_curves(record)]
    return [*made, *_sections(record), *_natural(record), *_box(record), *_settings(record)]


def refuse_incomplete(record: dict[str, Any]) -> None:
    """Raises `ValueError` for a report that must not be shown."""
    for name, section in record["sections"].items():
        threat = section.get("threat_model") or {}
        missing = [key for key in ("goal", "knowledge", "capability") if not threat.get(key)]
        if section["status"] == "RUN" and missing:
            raise ValueError(
                f"section {name!r} was run but does not state the {', '.join(missing)} of its "
                "threat model; without them its numbers mean nothing, so nothing is rendered."
            )
    if not str(record.get("limits") or "").strip():
        raise ValueError(
            "the report has no limits: say in words what a reader must not conclude "
            "(robustness_report(..., limits=...)), or leave `limits` out for the default text."
        )


def said(estimate: dict[str, Any] | None, digits: int = 4) -> str:
    """A value with its interval, or a dash."""
    if estimate is None or estimate.get("value") is None:
        return NOTHING
    text = f"{estimate['value']:.{digits}f}"
    if estimate.get("low") is None:
        return text
    return f"{text} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"


def percent(estimate: dict[str, Any] | None) -> str:
    """A share with its interval, in percent."""
    if estimate is None or estimate.get("value") is None:
        return NOTHING
    value, low, high = (100 * estimate[part] for part in ("value", "low", "high"))
    return f"{value:.0f}% [{low:.0f}, {high:.0f}]"


def _label(record: dict, role: str) -> str:
    return record["models"][role]["label"]


def _header(record: dict[str, Any]) -> Iterator[Block]:
    data, counts, split = record["data"], record["check_counts"], record["split"]
    left = ", ".join(f"{name}: {n}" for name, n in record["users"]["excluded"].items() if n)
    later = {True: "yes", False: "no", None: "unknown, no times"}[split["test is later than train"]]
    yield Block(
        f"Robustness of {_label(record, 'model')}",
        level=1,
        text=(
            f"Sanity box: {counts['PASS']} PASS, {counts['FAIL']} FAIL, "
            f"{counts['NOT RUN']} NOT RUN.",
            f"Data: {data['name']}, {data['origin']}; {data['users']:,} users, {data['items']:,} "
            f"items; train {data['interactions']['train']:,}, validation "
            f"{data['interactions']['validation'] or 0:,}, test {data['interactions']['test']:,} "
            f"interactions. Real people's log: {'yes' if data['real'] else 'no, generated'}.",
            f"Split: {split['stated'] or 'not stated'}; one held-out item a user: "
            f"{'yes' if split['leaves one out'] else 'no'}; test later than train: {later}.",
            f"Users: {record['users']['evaluated']:,} evaluated; excluded: {left or 'nobody'}. "
            f"Mask: {record['mask']}. {record['policy']}",
            f"Selection: {record['selection']}",
        ),
    )
    names = ("goal", "knowledge", "capability")
    yield Block(
        "Threat models",
        text=("They are never merged, and there is no overall score.",),
        head=("section", "status", "goal (or why it was not run)", "knowledge", "capability"),
        rows=tuple(
            (
                section["title"],
                section["status"],
                *((section["threat_model"] or {}).get(name, "") for name in names),
            )
            if section["status"] == "RUN"
            else (section["title"], section["status"], section["reason"], "", "")
            for section in record["sections"].values()
        ),
    )


def _clean(record: dict[str, Any]) -> Iterator[Block]:
    rows = {_label(record, role): m for role, m in record["clean"].items()}
    rows |= record["baselines"]
    cut = record["k"][0]
    names = [f"{name}@{cut}" for name in ("ndcg", "hr", "recall", "precision", "mrr", "map")]
    more = ["auc", *(f"{name}@{cut}" for name in ("coverage", "gini", "novelty", "ild", "aplt"))]
    yield Block(
        "Clean quality",
        text=(
            "Mean over users with 95% bootstrap interval over users. Baselines: "
            f"{record['baselines_remark']}.",
        ),
        head=("model", *names),
        rows=tuple((name, *(said(m.get(n)) for n in names)) for name, m in rows.items()),
        figure="clean",
        caption=f"{record['lead']} of every model with its interval",
    )
    yield Block(
        "Beyond accuracy",
        level=3,
        head=("model", *more),
        rows=tuple(
            (name, *(said({"value": (m.get(n) or {}).get("value")}) for n in more))
            for name, m in rows.items()
        ),
    )
    roles = {"twin": _label(record, "twin")} if "twin" in record["models"] else {}
    yield Block(
        "Paired differences",
        level=3,
        text=(f"{record['lead']} of {_label(record, 'model')} minus the other's, same users.",),
        head=("against", "difference", "p (sign flips)", "p (Wilcoxon)"),
        rows=tuple(
            (
                roles.get(name, name),
                said({"value": d["difference"], "low": d["low"], "high": d["high"]}),
                f"{d['p_value']:.4f}",
                f"{d['wilcoxon']:.4f}",
            )
            for name, d in record["clean_differences"].items()
        ),
    )


def _headline(record: dict[str, Any]) -> Iterator[Block]:
    norms = tuple(
        (
            _label(record, role),
            *(f"{norms[side]:.3f}" if norms[side] else NOTHING for side in ("users", "items")),
            f"{norms['tables']['all']:.3f}",
            f"{record['scales'][role]:.3f}",
        )
        for role, norms in record["norms"].items()
    )
    yield Block(
        "Embedding perturbation",
        text=(
            "Sizes are multiples of the mean length of all attacked rows (the fourth column); the "
            "attack divides scores by the model's own typical margin (the last column), so that "
            "longer tables do not hide behind a saturated loss; the plain-loss attack does not.",
        ),
        head=("model", "mean user norm", "mean item norm", "mean row norm", "typical margin"),
        rows=norms,
    )
    for key in ("headline", "headline_plain_loss"):
        head = record[key]
        title = f"Headline: {head['attack']}"
        if head["relative"] is None:
            yield Block(title, level=3, text=(f"No headline: {head['reason']}.",))
            continue
        gap = head.get("kept more than the twin")
        text = [
            f"At {head['relative']:.3f} times the mean row norm the {head['judged by']} has lost "
            f"about half of its {head['metric']} (found by interpolation, then run at that size)."
        ]
        if gap:
            text.append(f"Share kept, model minus twin: {percent(gap)}.")
        yield Block(
            title,
            level=3,
            text=tuple(text),
            head=("model", "absolute size", "clean", "attacked", "kept"),
            rows=tuple(
                (
                    _label(record, role),
                    f"{head['absolute'][role]:.3f}",
                    said(record["clean"][role][head["metric"]]),
                    said(head["attacked"][role][head["metric"]]),
                    percent(kept),
                )
                for role, kept in head["kept"].items()
            ),
            figure="robustness" if key == "headline" else "robustness_plain_loss",
            caption=f"{head['metric']} against the size of the perturbation, relative and absolute",
        )


def _curves(record: dict[str, Any]) -> Iterator[Block]:
    lead = record["lead"]
    for role, points in record["curves"].items():
        areas = record["areas"][role]
        yield Block(
            f"Every attack on {_label(record, role)}",
            level=3,
            text=(
                "Area under the curve over the printed sizes, as a share of the clean value: "
                + "; ".join(f"{name} {said(areas[name], 2)}" for name in (*ATTACKS, WORST))
                + ".",
            ),
            head=("attack", "relative", "absolute", lead, "kept", "lost hits", "list overlap"),
            rows=tuple(
                (
                    point["attack"],
                    f"{point['relative']:g}",
                    f"{point['absolute']:.3f}",
                    said(point["metrics"][lead]),
                    percent(point["metrics"][lead]["kept"]),
                    _success(point.get("success")),
                    percent(point.get("overlap")),
                )
                for point in points
            ),
            figure="attacks" if role == "model" else None,
            caption=f"{lead} of the model under every attack",
        )


def _success(success: dict[str, Any] | None) -> str:
    if success is None:
        return NOTHING
    if success["verdict"] != "success":
        return success["verdict"]
    return f"{success['lost']:g} of {success['users with a clean hit']} users"


def _sections(record: dict[str, Any]) -> Iterator[Block]:
    for section in record["sections"].values():
        if section["status"] != "RUN":
            yield Block(section["title"], text=(f"NOT RUN: {section['reason']}.",))


def _natural(record: dict[str, Any]) -> Iterator[Block]:
    noise, lead = record["natural"], record["lead"]
    if noise["status"] != "RUN":
        return
    rows = []
    for row in noise["rows"]:
        change, worst = row["change"][lead], row["slices"]["worst"]
        group = row["slices"]["groups"][worst]
        rows.append(
            (
                row["kind"],
                f"{row['rate']:.0%}",
                f"{row['metrics'][lead]['mean']:.4f}",
                said({"value": change["mean"], "low": change["low"], "high": change["high"]}),
                f"{worst}: {group['clean']:.4f} to {group['noisy']:.4f}",
            )
        )
    yield Block(
        "Natural noise",
        text=(
            f"{len(noise['seeds'])} training seeds {noise['seeds']}; clean log: {lead} "
            f"{noise['clean'][lead]['mean']:.4f}. Intervals: {noise['intervals']}.",
        ),
        head=("interactions", "share", lead, "change", "worst group of users"),
        rows=tuple(rows),
        figure="natural_noise",
        caption=f"{lead} against the share of changed training interactions",
    )


def _box(record: dict[str, Any]) -> Iterator[Block]:
    counts = record["check_counts"]
    yield Block(
        "Sanity box",
        text=(
            f"{counts['PASS']} PASS, {counts['FAIL']} FAIL, {counts['NOT RUN']} NOT RUN. PASS "
            "means that no fault of the attack was found, not that the model is robust.",
        ),
        head=("check", "verdict", "detail"),
        rows=tuple((c["check"], c["verdict"], c["detail"]) for c in record["checks"]),
        figure="convergence" if record["curves"] else None,
        caption="summed loss at each step of the attack, with twice the steps, from a random start",
    )


def _settings(record: dict[str, Any]) -> Iterator[Block]:
    models = record["models"].values()
    rows = [(name, _flat(value)) for name, value in record["attacks"].items()]
    rows += [(f"seed: {name}", _flat(value)) for name, value in record["seeds"].items()]
    rows += [("bootstrap", _flat(record["bootstrap"])), ("versions", _flat(record["versions"]))]
    rows += [(f"fingerprint: {n}", str(v)) for n, v in record["data"]["fingerprints"].items()]
    rows += [(f"weights of {one['label']}, SHA-256", one["weights_sha256"]) for one in models]
    rows += [(f"configuration of {one['label']}", _flat(one["config"])) for one in models]
    yield Block("Settings", head=("what", "value"), rows=tuple(rows))
    yield Block("Limits", text=(str(record["limits"]),))


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_flat(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(one) for one in value)
    return str(value)
