"""A split by items or users: what is held out has no interaction in the training part."""

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.splitting import Split

SIDES = ("item", "user")


def cold_items(
    log: Interactions,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    least: int = 1,
    side: str = "item",
    seed: int = 0,
) -> Split:
    """Holds out random items with all their interactions, as if they were not there yet.

    No model without features can rank them. Users (with `side="user"`: items) that only the
    held-out rows knew stay in the vocabulary, without training interactions.

    Args:
        log: The log.
        validation: Share of the items that have interactions for validation, 0 for none.
        test: Share of them for the test.
        least: Items with fewer interactions are never held out: they say little about a ranking.
        side: What is held out, `"item"` or `"user"`.
        seed: What decides which.

    Returns:
        The split.

    Raises:
        DataError: When a part would be empty.

    Example:
        >>> log = Interactions.from_arrays([1, 1, 2, 2, 3, 3], [5, 6, 6, 7, 8, 9])
        >>> train, validation, test = cold_items(log, validation=0.2, test=0.4)
        >>> bool(np.isin(test.item, train.item).any()), np.unique(test.item).size
        (False, 2)
    """
    if side not in SIDES:
        raise ValueError(f"side: expected one of {', '.join(SIDES)}, got {side!r}.")
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(
            "validation and test: expected shares between 0 and 1 that leave some for train, got "
            f"validation={validation} and test={test}."
        )
    rows, size = (log.item, log.n_items) if side == "item" else (log.user, log.n_users)
    counts = np.bincount(rows, minlength=size)
    fit = np.flatnonzero(counts >= max(1, least))
    active = int((counts > 0).sum())
    n_test, n_valid = (int(np.floor(active * share + 0.5)) for share in (test, validation))
    if n_test == 0 or (validation and n_valid == 0) or n_test + n_valid > len(fit):
        raise DataError(
            f"{log.name}: {len(fit)} of {active} {side}s have at least {max(1, least)} "
            f"interactions, of which {n_test} were to be held out for the test and {n_valid} for "
            "validation. Change the shares, or lower least."
        )
    drawn = np.random.default_rng(seed).permutation(fit)
    part = np.zeros(size, np.int8)
    part[drawn[:n_test]], part[drawn[n_test : n_test + n_valid]] = 2, 1
    of = part[rows]
    if not (of == 0).any():
        raise DataError(f"{log.name}: every {side} would be held out. Lower the shares.")
    middle = log.take(of == 1) if validation else None
    return Split(log.take(of == 0), middle, log.take(of == 2))
