"""Distances of two logs in pairs of columns and pairs of items."""

import itertools
from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis.column import CATEGORY, Column
from tfadvrec.synthesis.columns import cells
from tfadvrec.synthesis.distances import total_variation
from tfadvrec.synthesis.event_table import event_columns, same_kinds

ITEMS = 200
PAIR_BINS = 10

POLICY = (
    "Columns of users are repeated for each of their interactions; numbers are cut at "
    f"{PAIR_BINS - 1} quantiles of the real one. Contingency: total variation of the joint counts. "
    "Correlation: absolute difference of Pearson's coefficients; an item is represented by the "
    "logarithm of 1 + its own log's count of it. Co-occurrence: over the "
    f"{ITEMS} items that are most popular in the real log, how many users have both."
)


def pair_distances(real: Interactions, other: Interactions) -> dict[str, Any]:
    """How far the associations of another log are from a real one's.

    Args:
        real: The real log.
        other: A log with the same items.

    Returns:
        `contingency` and `correlation` (`"a x b"` -> distance, with `mean` of each under `means`),
        and under `means` also `co-occurrence`, the total variation of the counts of users that
        have both of two items, and `co-occurrence cosine`, the mean absolute difference of the
        items' cosines.
    """
    tables = [_by_interaction(log) for log in (real, other)]
    names = same_kinds(*tables)
    found: dict[str, Any] = {
        "contingency": _contingency(*tables, names),
        "correlation": _correlation(real, other, *tables, names),
    }
    found["means"] = {
        kind: float(np.mean(list(values.values()))) if values else None
        for kind, values in found.items()
    }
    found["means"] |= _co_occurrence(real, other)
    return found


def _by_interaction(log: Interactions) -> dict[str, Column]:
    """The columns of a log, all with one value an interaction."""
    active = np.bincount(log.user, minlength=log.n_users) > 0
    place = np.cumsum(active) - 1
    return {
        name: column if column.unit == "interaction" else column.take(place[log.user])
        for name, column in event_columns(log).items()
    }


def _contingency(a: dict[str, Column], b: dict[str, Column], names: list[str]) -> dict[str, float]:
    coded = {name: cells(a[name], b[name], bins=PAIR_BINS) for name in names}
    found = {}
    for one, two in itertools.combinations(names, 2):
        (a1, b1, _), (a2, b2, n2) = coded[one], coded[two]
        keys = np.concatenate([a1 * np.int64(n2) + a2, b1 * np.int64(n2) + b2])
        at = np.unique(keys, return_inverse=True)[1].reshape(-1)
        size = int(at.max()) + 1
        p = np.bincount(at[: len(a1)], minlength=size)
        q = np.bincount(at[len(a1) :], minlength=size)
        found[f"{one} x {two}"] = total_variation(p, q)
    return found


def _correlation(
    real: Interactions,
    other: Interactions,
    a: dict[str, Column],
    b: dict[str, Column],
    names: list[str],
) -> dict[str, float]:
    numbers = [name for name in names if a[name].kind != CATEGORY and b[name].kind != CATEGORY]
    columns = [
        [
            np.log1p(log.popularity()[log.item].astype(np.float64)),
            *(table[name].values.astype(np.float64) for name in numbers),
        ]
        for log, table in ((real, a), (other, b))
    ]
    found = {}
    for (i, one), (j, two) in itertools.combinations(enumerate(["popularity", *numbers]), 2):
        found[f"{one} x {two}"] = abs(
            _pearson(columns[0][i], columns[0][j]) - _pearson(columns[1][i], columns[1][j])
        )
    return found


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's coefficient; 0 where one of them never changes."""
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def _co_occurrence(real: Interactions, other: Interactions) -> dict[str, float | None]:
    """Distances of how often two items are in one profile."""
    chosen = np.argsort(-real.popularity(), kind="stable")[: min(ITEMS, real.n_items)]
    upper = np.triu_indices(len(chosen), 1)
    counts, cosines = [], []
    for log in (real, other):
        taken = log.csr()[:, chosen].astype(np.float64)
        both = (taken.T @ taken).toarray()
        scale = np.sqrt(np.maximum(1.0, np.diag(both)))
        counts.append(both[upper])
        cosines.append((both / scale / scale[:, None])[upper])
    some = all(count.sum() > 0 for count in counts)
    return {
        "co-occurrence": total_variation(*counts) if some else None,
        "co-occurrence cosine": float(np.abs(cosines[0] - cosines[1]).mean()) if some else None,
    }
