"""Impressions that were not taken, drawn beside those that were."""

import dataclasses

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.click_log import ClickLog

SEARCH = 200  # draws for one impression before it is said that nothing is left to draw


def with_negatives(log: ClickLog, field: str, *, per: int = 2, seed: int = 0) -> ClickLog:
    """Sets other values of a field beside each click: a log of uses becomes one of clicks.

    A value is drawn uniformly among the field's values, and again where the log has it clicked
    with the same other fields. Logs of what was used (apps, songs) say nothing of what was not;
    this is the usual protocol for them. The drawn impressions have the click's other fields and
    numbers, and label 0.

    Args:
        log: The uses; impressions without a click stay as they are.
        field: The field of what is chosen (the app, the song).
        per: Impressions drawn beside each click.
        seed: What they are drawn from.

    Returns:
        The log with the drawn impressions after its own; propensities are dropped.

    Raises:
        DataError: There is no such field, or some situation has every value clicked.

    Example:

    >>> uses = ClickLog.from_frame(
    ...     {"app": ["maps", "mail", "news"], "hour": [8, 8, 20]}, label=None,
    ...     fields=["app", "hour"])
    >>> log = with_negatives(uses, "app", per=1, seed=0)
    >>> log.label.tolist(), log.field_values("app")[3:5].tolist()
    ([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], ['news', 'news'])
    """
    if field not in log.codes:
        raise DataError(f"there is no field {field!r}; there are {sorted(log.codes)}.")
    if per < 1:
        raise ValueError(f"per must be 1 or more. Received: {per}")
    if not len(log.values[field]):
        raise DataError(f"{field!r} has no values to draw from: it is missing in every impression.")
    clicked = np.flatnonzero(log.label == 1)
    others = [log.codes[name] for name in sorted(log.codes) if name != field]
    others += [log.numbers[name] for name in sorted(log.numbers)]
    situation = np.zeros(len(log), np.int64)
    if others:
        table = np.stack([column.astype(np.float64) for column in others], axis=1)
        situation = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
    count = len(log.values[field])
    known = clicked[log.codes[field][clicked] >= 0]  # a missing value takes none
    taken = np.unique(situation[known] * count + log.codes[field][known])
    start = np.repeat(situation[clicked], per) * count
    rng = np.random.default_rng(seed)
    drawn = rng.integers(count, size=len(start))
    for _ in range(SEARCH):
        again = np.isin(start + drawn, taken)
        if not again.any():
            break
        drawn[again] = rng.integers(count, size=int(again.sum()))
    else:
        raise DataError(
            f"{int(again.sum())} clicks have (nearly) every value of {field!r} clicked with the "
            "same other fields, so that nothing is left to draw. Leave these clicks out."
        )
    rows = np.concatenate([np.arange(len(log)), np.repeat(clicked, per)])
    longer = dataclasses.replace(log, propensity=None).take(rows)
    code = longer.codes[field].copy()
    code[len(log) :] = drawn
    label = longer.label.copy()
    label[len(log) :] = 0.0
    return dataclasses.replace(longer, label=label, codes={**longer.codes, field: code})
