"""Section A: what happens to the ranking when the embedding tables are moved."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.audit.attack_names import (
    ATTACKS,
    EVERYWHERE,
    ITERATIVE,
    NOISE,
    PLAIN,
    WORST,
    sizes_of,
)
from tfadvrec.audit.evidence import Evidence, number
from tfadvrec.audit.victim import Victim, for_each

THREAT_MODEL = {
    "goal": "untargeted: lower the ranking quality of all users at once",
    "knowledge": (
        "white box: the tables, the scores, the training interactions and the loss are known; the "
        "held-out interactions are not"
    ),
    "capability": (
        "moves every row of every embedding table by at most epsilon in the l2 norm, once, at "
        "ranking time; ids, features, other weights and the training data stay; no retraining"
    ),
}

EPSILONS = (0.1, 0.2, 0.3, 0.5, 1.0)


def run_curves(victims: list[Victim], epsilons: Sequence[float], say: Any) -> None:
    """Runs every attack at every relative size on every victim that has tables."""
    for epsilon in epsilons:
        say(f"attacks at {epsilon:g} of the mean embedding norm")

        def at_size(victim: Victim, epsilon: float = epsilon) -> None:
            for attack in ATTACKS:
                if epsilon in sizes_of(attack, epsilons):
                    victim.run(attack, epsilon)
            victim.worst(epsilon, EVERYWHERE)

        for_each(victims, at_size)


def curves(victim: Victim, epsilons: Sequence[float]) -> list[dict[str, Any]]:
    """One record for each attack and size of one victim, all intervals included."""
    evidence: Evidence = victim.evidence
    points = []
    for attack in (*ATTACKS, WORST):
        for size in sizes_of(attack, epsilons):
            points.append(
                {
                    "attack": attack,
                    "relative": float(size),
                    "absolute": victim.epsilon(size),
                    "draws": victim.draws if attack == NOISE else 1,
                    "metrics": {
                        metric: evidence.estimate(victim.key(attack, size, metric))
                        | {"kept": _kept(victim, attack, size, metric)}
                        | {"drop": _drop(victim, attack, size, metric)}
                        for metric in victim.metrics
                    },
                    **({} if attack == WORST else _lists(victim, attack, size)),
                    **({"loss": victim.losses.get((attack, size))} if attack != WORST else {}),
                }
            )
    return points


def areas(victim: Victim, epsilons: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Area under each attack's curve: the mean share of the clean value over the grid."""
    evidence = victim.evidence
    found = {}
    for attack in (*ATTACKS, WORST):
        sizes = sizes_of(attack, epsilons)
        grid = np.array([0.0, *sizes])
        keys = [victim.key("clean", 0.0), *(victim.key(attack, size) for size in sizes)]
        clean, drawn = evidence.mean(keys[0]), evidence.drawn(keys[0])
        area = np.trapezoid([evidence.mean(key) for key in keys], grid) / grid[-1]
        areas_drawn = np.trapezoid(np.stack([evidence.drawn(key) for key in keys]), grid, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = areas_drawn / grid[-1] / drawn
        low, high = np.nanpercentile(np.where(np.isfinite(share), share, np.nan), [2.5, 97.5])
        found[attack] = {
            "value": number(area / clean) if clean else None,
            "low": number(low),
            "high": number(high),
        }
    return found


def half_size(victim: Victim, attack: str, epsilons: Sequence[float]) -> float | None:
    """The relative size at which an attack first takes half of the lead metric, interpolated."""
    sizes = sizes_of(attack, epsilons)
    grid = [0.0, *sizes]
    kept = [1.0] + [
        victim.evidence.mean(victim.key(attack, size))
        / max(victim.evidence.mean(victim.key("clean", 0.0)), 1e-12)
        for size in sizes
    ]
    for low in range(len(sizes)):
        if kept[low] > 0.5 >= kept[low + 1]:
            share = (kept[low] - 0.5) / (kept[low] - kept[low + 1])
            return grid[low] + share * (grid[low + 1] - grid[low])
    return None


def half_label(attack: str) -> str:
    """What the run at the size where the twin has lost half is stored under."""
    return f"half, {attack}"


def headline(victims: list[Victim], attack: str, epsilons: Sequence[float]) -> dict[str, Any]:
    """What model and twin keep at the size where the twin has lost half, both run at that size."""
    judge = victims[-1]
    size = half_size(judge, attack, epsilons)
    record: dict[str, Any] = {"attack": attack, "metric": judge.lead, "judged by": judge.role}
    if size is None:
        reason = f"the {judge.role} does not lose half of its {judge.lead} within the grid"
        return record | {"relative": None, "reason": reason}
    label = half_label(attack)
    for_each(victims, lambda victim: victim.run(attack, size, size=label, keep=True))
    evidence = judge.evidence
    pairs = {v.role: (v.key(attack, label), v.key("clean", 0.0)) for v in victims}
    record["relative"] = float(size)
    record["absolute"] = {victim.role: victim.epsilon(size) for victim in victims}
    record["attacked"] = {
        victim.role: {
            metric: evidence.estimate(victim.key(attack, label, metric))
            for metric in victim.metrics
        }
        for victim in victims
    }
    record["kept"] = {role: evidence.ratio(*pair) for role, pair in pairs.items()}
    if len(victims) == 2:
        record["kept more than the twin"] = evidence.ratio_difference(pairs["model"], pairs["twin"])
    return record


def headlines(victims: list[Victim], epsilons: Sequence[float]) -> dict[str, dict[str, Any]]:
    """The headline, and the same for the attack on the plain loss."""
    return {attack: headline(victims, attack, epsilons) for attack in (ITERATIVE, PLAIN)}


def _kept(victim: Victim, attack: str, size: Any, metric: str) -> dict[str, Any]:
    return victim.evidence.ratio(victim.key(attack, size, metric), victim.key("clean", 0.0, metric))


def _drop(victim: Victim, attack: str, size: Any, metric: str) -> dict[str, Any]:
    return victim.evidence.difference(
        victim.key("clean", 0.0, metric), victim.key(attack, size, metric)
    )


def _lists(victim: Victim, attack: str, size: Any) -> dict[str, Any]:
    lost = victim.evidence.columns[victim.key(attack, size, "lost hit")]
    hits = int((~np.isnan(lost)).sum())
    gone = float(np.nansum(lost))
    return {
        "overlap": victim.evidence.estimate(victim.key(attack, size, "overlap")),
        "success": {
            "users with a clean hit": hits,
            "lost": gone,
            "rate": gone / hits if hits else None,
            "verdict": "no user to attack" if not hits else "success" if gone else "no success",
        },
    }
