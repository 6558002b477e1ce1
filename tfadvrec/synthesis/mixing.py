"""Synthetic interactions among the real ones, at a stated ratio."""

import numpy as np

from tfadvrec.data import DataError, Interactions
from tfadvrec.synthesis.groups import check_target, cold_users, tail_items

MARK = "synthetic"


def mix(
    log: Interactions,
    synthetic: Interactions,
    *,
    ratio: float,
    to: str = "all",
    seed: int = 0,
) -> Interactions:
    """Adds synthetic interactions of a log's own users to it.

    Pairs that are real already, and repetitions, are never added; exactly
    `round(ratio * len(log))` of the others are, drawn at random. The column `synthetic` (bool)
    marks them. A column that the synthetic log lacks is an error: `random_rows` and the other
    samplers fill all of them.

    Args:
        log: The real log.
        synthetic: Rows of the same users and items (the same ids in the same order).
        ratio: Rows to add, as a share of the real rows.
        to: `"all"`; `"cold"`: rows of the users with the shortest profiles only; `"tail"`: rows
            of items of the long tail only.
        seed: Decides which rows are added when there are more than needed.

    Returns:
        The real rows in their order, then the added ones.

    Raises:
        DataError: When ids differ, columns are missing or there are too few new rows.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2], [7, 8, 7, 9])
    >>> rows = log.replace(user=[0, 1, 1], item=[0, 1, 1])  # the first is real, the last repeats
    >>> mixed = mix(log, rows, ratio=0.25)
    >>> mixed.item.tolist(), mixed.columns["synthetic"].tolist()
    ([0, 1, 0, 2, 1], [False, False, False, False, True])
    """
    check_target(to)
    _check_ids(log, synthetic)
    if not ratio >= 0:
        raise ValueError(f"ratio: expected 0 or more rows for each real one, got {ratio!r}.")
    wanted = round(ratio * len(log))
    rows = _new_rows(log, synthetic, to)
    if wanted > len(rows):
        raise DataError(
            f"{log.name}: ratio={ratio:g} asks for {wanted:,} added rows (to={to!r}) and the "
            f"synthetic log has {len(rows):,} new ones. Draw more rows, or lower the ratio."
        )
    kept = np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))
    return joined(_marked(log, False), _marked(synthetic.take(kept), True))


def real_rows(log: Interactions) -> Interactions:
    """The rows of a mixed log that are not marked `synthetic`; of another log all of them.

    Args:
        log: A log.
    """
    mark = log.columns.get(MARK)
    return log if mark is None else log.take(~mark.astype(bool))


def joined(first: Interactions, second: Interactions) -> Interactions:
    """The rows of two logs with the same vocabularies, one after the other.

    Args:
        first: A log; its features, name and origin stay.
        second: A log with (at least) the same columns.

    Raises:
        DataError: When the second log lacks a column of the first.
    """
    missing = [key for key in first.columns if key not in second.columns]
    missing += [
        key
        for key in ("rating", "time")
        if getattr(first, key) is not None and getattr(second, key) is None
    ]
    if missing:
        raise DataError(
            f"{second.name}: the added rows have no {', '.join(missing)}, which {first.name} has. "
            "Fill it, or leave the column out of both."
        )

    def both(key: str) -> np.ndarray | None:
        parts = [getattr(log, key) for log in (first, second)]
        return None if parts[0] is None else np.concatenate(parts)

    columns = {
        key: np.concatenate([values, second.columns[key]]) for key, values in first.columns.items()
    }
    return first.replace(
        user=both("user"),
        item=both("item"),
        rating=both("rating"),
        time=both("time"),
        columns=columns,
        real=first.real and second.real,
    )


def _new_rows(log: Interactions, synthetic: Interactions, to: str) -> np.ndarray:
    """Positions of the synthetic rows that may be added: first of their pair, and not real."""
    real, made = ((one.user * np.int64(log.n_items) + one.item) for one in (log, synthetic))
    first = np.zeros(len(made), bool)
    first[np.unique(made, return_index=True)[1]] = True
    kept = first & ~np.isin(made, real)
    if to == "cold":
        kept &= cold_users(log)[synthetic.user]
    if to == "tail":
        kept &= tail_items(log)[synthetic.item]
    return np.flatnonzero(kept)


def _marked(log: Interactions, value: bool) -> Interactions:
    mark = np.full(len(log), value)
    if not value and MARK in log.columns:
        mark = log.columns[MARK].astype(bool)
    return log.replace(columns={**log.columns, MARK: mark})


def _check_ids(log: Interactions, synthetic: Interactions) -> None:
    for side in ("user", "item"):
        ids = [getattr(one, f"{side}_ids") for one in (log, synthetic)]
        if not np.array_equal(*ids):
            raise DataError(
                f"{synthetic.name}: its {side} ids are not those of {log.name}. Rows are added "
                "for a log's own users and items; a log of new users is joined with "
                "Interactions.from_arrays over the ids of both."
            )
