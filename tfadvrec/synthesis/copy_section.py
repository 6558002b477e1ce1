"""Copy check: did the generator repeat people? It finds copies; it does not measure privacy."""

from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis.profiles import nearest_similarity
from tfadvrec.synthesis.shared_items import active_users, of_users

LONG = 5

POLICY = (
    "Copy check, not privacy: distances to the closest record do not track membership risk. A "
    "profile is a user's set of items; its distance to another is 1 - Jaccard similarity. 'train, "
    "equal size' is as many random training users as the holdout has, because the nearest of more "
    f"profiles is nearer. Profiles of fewer than {LONG} items coincide by chance, so those of "
    f"{LONG} and more are counted apart. A row is everything of an interaction but its user: "
    "item, rating, time, other columns."
)


def copy_check(
    synthetic: Interactions,
    train: Interactions,
    holdout: Interactions | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Exact copies, and the distances of synthetic profiles to train and to a holdout.

    Args:
        synthetic: The synthetic log.
        train: The log that the generator learnt from.
        holdout: Real users whom it has not seen; the distances to them are what chance makes.
        seed: Seed of the equally large part of train.

    Returns:
        A JSON-able record: `against` (name -> exact shares of profiles and rows; minimum, first
        percentile and median distance; number of users), `profiles`, `long profiles`, `rows`.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2], [7, 8, 8, 9])
    >>> copy_check(log, log)["against"]["train"]["exact profiles"]
    1.0
    """
    fakes = _profiles(synthetic)
    compared = {"train": train}
    if holdout is not None:
        users = active_users(train)
        count = min(len(users), len(active_users(holdout)))
        chosen = np.random.default_rng(seed).choice(users, count, replace=False)
        compared["train, equal size"] = of_users(train, chosen)
        compared["holdout"] = holdout
    long = np.asarray(fakes.sum(axis=1)).ravel() >= LONG
    rows = _rows(synthetic, *compared.values())
    return {
        "against": {
            name: _against(fakes, long, log, rows[0], rows[n + 1])
            for n, (name, log) in enumerate(compared.items())
        },
        "profiles": int(fakes.shape[0]),
        "long profiles": int(long.sum()),
        "rows": len(synthetic),
        "row columns": _row_columns(synthetic, train),
        "policy": POLICY
        + ("" if holdout is not None else " No holdout was given: nothing says what chance makes."),
    }


def _against(
    fakes: Any, long: np.ndarray, log: Interactions, own: np.ndarray, theirs: np.ndarray
) -> dict[str, Any]:
    distance = 1.0 - nearest_similarity(fakes, _profiles(log))
    exact = distance < 1e-12
    return {
        "users": len(active_users(log)),
        "exact profiles": float(exact.mean()),
        "exact long profiles": float(exact[long].mean()) if long.any() else None,
        "exact long profiles, count": int(exact[long].sum()),
        "exact rows": float(np.isin(own, theirs).mean()) if len(own) else 0.0,
        "minimum": float(distance.min()),
        "first percentile": float(np.percentile(distance, 1)),
        "median": float(np.median(distance)),
    }


def _profiles(log: Interactions) -> Any:
    return log.csr()[active_users(log)]


def _row_columns(a: Interactions, b: Interactions) -> list[str]:
    """What a row consists of: the columns that both logs have."""
    there = [
        key
        for key in ("rating", "time")
        if getattr(a, key) is not None and getattr(b, key) is not None
    ]
    return ["item", *there, *(key for key in a.columns if key in b.columns)]


def _rows(first: Interactions, *others: Interactions) -> list[np.ndarray]:
    """Each log's rows as numbers: equal rows of any log have equal numbers."""
    names = _row_columns(first, others[0])
    logs = (first, *others)
    ends = np.cumsum([len(log) for log in logs])
    number = np.zeros(ends[-1], np.int64)
    for name in names:
        parts = [_values(log, name) for log in logs]
        values, at = np.unique(np.concatenate(parts), return_inverse=True)
        number = number * len(values) + at.reshape(-1)
        number = np.unique(number, return_inverse=True)[1].reshape(-1)  # stays small
    return np.split(number, ends[:-1])


def _values(log: Interactions, name: str) -> np.ndarray:
    own = getattr(log, name) if name in ("item", "rating", "time") else log.columns[name]
    return own if own.dtype.kind in "fiub" else np.array(list(map(str, own)))
