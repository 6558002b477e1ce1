"""How close a synthetic log is to the real one, beside two rows that say how close that is."""

from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis import columns, pairs
from tfadvrec.synthesis.columns import column_distances
from tfadvrec.synthesis.event_table import event_columns, same_kinds
from tfadvrec.synthesis.independent import independent_columns
from tfadvrec.synthesis.pairs import pair_distances
from tfadvrec.synthesis.popularity import popularity_distances, popularity_facts, rank_frequency
from tfadvrec.synthesis.shared_items import active_users, of_users

ROWS = ("synthetic", "real halves", "independent columns")

POLICY = (
    "Every row compares one random half of the real users with as many users of something else: "
    "the synthetic log, the other real half (the noise floor: two samples of the same people), or "
    "a sampler that draws each column by itself (what no learning achieves). Of columns, as many "
    "values are compared in each row. Figures are means over {repeats} such draws, with their "
    "standard deviation."
)


def fidelity(
    real: Interactions, synthetic: Interactions, *, repeats: int = 5, seed: int = 0
) -> dict[str, Any]:
    """Distances by column, by pair and of the popularity curve, with two reference rows.

    Args:
        real: The real log.
        synthetic: A synthetic one with the same items.
        repeats: Random halvings of the real users.
        seed: Seed of halvings and of the reference sampler.

    Returns:
        A JSON-able record: `columns` (name -> measure -> row -> `mean`, `sd`), `pairs`
        (measure -> row), `popularity` (measure -> row), `facts`, `curves`, and `policy`.
    """
    rng = np.random.default_rng(seed)
    drawn = [_one(real, synthetic, rng) for _ in range(repeats)]
    size = {name: int(np.mean([one["size"][name] for one in drawn])) for name in drawn[0]["size"]}
    logs = {"real": real, "synthetic": synthetic}
    return {
        "columns": _merged([one["columns"] for one in drawn]),
        "pairs": _merged([one["pairs"] for one in drawn]),
        "popularity": _merged([one["popularity"] for one in drawn]),
        "kinds": {name: column.kind for name, column in event_columns(real).items()},
        "not compared": _unshared(real, synthetic),
        "facts": {name: popularity_facts(log) for name, log in logs.items()},
        "curves": {name: rank_frequency(log) for name, log in logs.items()},
        "size": size,
        "repeats": repeats,
        "policy": [POLICY.format(repeats=repeats), columns.POLICY, pairs.POLICY],
    }


def _one(real: Interactions, synthetic: Interactions, rng: np.random.Generator) -> dict[str, Any]:
    """One halving: the three comparisons on samples of equal size."""
    users = rng.permutation(active_users(real))
    fakes = rng.permutation(active_users(synthetic))
    size = min(len(users) // 2, len(fakes))
    if size < 2:
        raise ValueError(
            f"fidelity needs 4 real users and 2 synthetic ones with interactions, got {len(users)} "
            f"and {len(fakes)}."
        )
    half = of_users(real, users[:size])
    free = independent_columns(real, len(real), seed=int(rng.integers(2**31)))
    others = {
        "synthetic": of_users(synthetic, fakes[:size]),
        "real halves": of_users(real, users[size : 2 * size]),
        "independent columns": of_users(free, rng.permutation(active_users(free))[:size]),
    }
    events = min(len(half), *(len(other) for other in others.values()))
    found: dict[str, Any] = {"size": {"users": size, "interactions": events}}
    found["columns"] = _columns(half, others, events, rng)
    found["pairs"] = _turned({row: pair_distances(half, o)["means"] for row, o in others.items()})
    found["popularity"] = _turned(
        {row: popularity_distances(half, other) for row, other in others.items()}
    )
    return found


def _columns(
    half: Interactions, others: dict[str, Interactions], events: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Column -> measure -> row -> distance, with equally many values in every row."""

    def sampled(log: Interactions) -> dict[str, Any]:
        chosen = log.take(rng.choice(len(log), events, replace=False))
        whole, cut = event_columns(log), event_columns(chosen)
        return {name: (whole if c.unit == "user" else cut)[name] for name, c in whole.items()}

    real, found = sampled(half), {}
    tables = {row: sampled(other) for row, other in others.items()}
    names = [name for name in real if all(name in table for table in tables.values())]
    for name in names:
        same_kinds({name: real[name]}, {name: tables["synthetic"][name]})
        rows = {row: column_distances(real[name], table[name]) for row, table in tables.items()}
        found[name] = _turned(rows)
    return found


def _unshared(real: Interactions, synthetic: Interactions) -> list[str]:
    """The real columns that the synthetic log lacks."""
    return sorted(set(event_columns(real)) - set(event_columns(synthetic)))


def _turned(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`row -> measure` as `measure -> row`."""
    return {name: {row: rows[row][name] for row in rows} for name in next(iter(rows.values()))}


def _merged(drawn: list[Any]) -> Any:
    """Nested records of numbers, one for each repeat, as nested `mean` and `sd`."""
    if isinstance(drawn[0], dict):
        shared = [name for name in drawn[0] if all(name in one for one in drawn)]
        return {name: _merged([one[name] for one in drawn]) for name in shared}
    if any(value is None for value in drawn):
        return {"mean": None, "sd": None}
    spread = float(np.std(drawn, ddof=1)) if len(drawn) > 1 else None
    return {"mean": float(np.mean(drawn)), "sd": spread}
