"""Section D: the model trained again on a log with some interactions dropped or flipped."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfadvrec.audit.evidence import number
from tfadvrec.audit.triples import other_items
from tfadvrec.evaluation import RankingTask, over_seeds

THREAT_MODEL = {
    "goal": "none: mistakes of logging and of people, not an attacker",
    "knowledge": "none",
    "capability": (
        "drops a share of the training interactions, or replaces their items by uniform items that "
        "the user does not have; the model is trained again from scratch on the changed log"
    ),
}

KINDS = ("dropped", "flipped")


def noisy(train: Any, kind: str, rate: float, *, seed: int) -> Any:
    """A copy of a log with a share of its interactions dropped or flipped.

    Args:
        train: The training `Interactions`.
        kind: `"dropped"` or `"flipped"` (the item becomes a uniform one that the user lacks).
        rate: Share of the interactions, 0 to 1.
        seed: Which ones.

    Returns:
        `Interactions` with the same vocabularies.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind), round(rate * 1_000_000)])
    chosen = rng.permutation(len(train))[: round(rate * len(train))]
    if kind == "dropped":
        keep = np.ones(len(train), bool)
        keep[chosen] = False
        return train.take(keep)
    item = np.array(train.item)
    item[chosen] = other_items(train, train.user[chosen].astype(np.int64), rng)
    return train.replace(item=item)


def noise_section(
    train: Any,
    task: RankingTask,
    rebuild: Callable[[Any, int], Any],
    *,
    k: tuple[int, ...],
    rates: Sequence[float],
    seeds: Sequence[int],
    say: Any,
) -> dict[str, Any]:
    """Trains pairs of models with the same seed on the clean and on the changed log.

    The ranking is always judged on the clean split: mask and held-out items do not change.

    Args:
        train: The clean training `Interactions`.
        task: The prepared split.
        rebuild: `(log, seed) -> model`, trained.
        k: Cuts.
        rates: Shares of interactions.
        seeds: Training seeds; the noise of a pair has the same seed.
        say: Called with a line of progress.

    Returns:
        The section's record.
    """
    lead = f"ndcg@{k[0]}"
    names = [f"{name}@{cut}" for cut in k for name in ("ndcg", "hr")]

    def trained(log: Any, seed: int, what: str) -> Any:
        say(f"training on the {what} log, seed {seed}")
        return task.evaluate(rebuild(log, seed), k=k, metrics=("ndcg", "hr"))

    clean = {seed: trained(train, seed, "clean") for seed in seeds}
    slices = _slices(train, task.users)
    rows = []
    for kind in KINDS:
        for rate in rates:
            found = {
                seed: trained(noisy(train, kind, rate, seed=seed), seed, f"{rate:.0%} {kind}")
                for seed in seeds
            }
            change = [
                {name: found[seed].means[name] - clean[seed].means[name] for name in names}
                for seed in seeds
            ]
            rows.append(
                {
                    "kind": kind,
                    "rate": float(rate),
                    "metrics": over_seeds([found[seed] for seed in seeds]),
                    "change": over_seeds(change),
                    "slices": _by_slice(slices, clean, found, lead),
                }
            )
    return {
        "seeds": list(seeds),
        "clean": over_seeds([clean[seed] for seed in seeds]),
        "rows": rows,
        "intervals": "Student's over training seeds, paired: same seed on the clean log",
    }


def _slices(train: Any, users: np.ndarray) -> dict[str, np.ndarray]:
    """The evaluated users in three groups by the length of their training history."""
    length = np.bincount(train.user, minlength=train.n_users)[users]
    parts = np.array_split(np.argsort(length, kind="stable"), 3)
    return {
        f"{name} histories ({length[part].min()} to {length[part].max()})": part
        for name, part in zip(("short", "middle", "long"), parts, strict=True)
        if len(part)
    }


def _by_slice(slices: dict, clean: dict, found: dict, lead: str) -> dict[str, Any]:
    kept = {}
    for name, part in slices.items():
        before = np.mean([clean[seed].per_user[lead][part].mean() for seed in clean])
        after = np.mean([found[seed].per_user[lead][part].mean() for seed in found])
        kept[name] = {"users": len(part), "clean": number(before), "noisy": number(after)}
    worst = min(kept, key=lambda name: kept[name]["noisy"] - kept[name]["clean"])
    return {"metric": lead, "groups": kept, "worst": worst}
