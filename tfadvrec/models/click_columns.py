"""What a click model learns of a log's columns: vocabularies, scales, and how rows are encoded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfadvrec.data.checks import DataError
from tfadvrec.data.click_log import ClickLog
from tfadvrec.models.feature_column import FeatureColumn

KINDS = ("categorical", "numeric")


def learn_click_columns(
    log: ClickLog, wanted: Sequence[str] | None, *, least: int
) -> tuple[FeatureColumn, ...]:
    """Learns columns from the impressions of a log.

    Args:
        log: The training impressions.
        wanted: Names of fields and numbers, or None for all, fields first.
        least: A value of a field seen in fewer impressions is not learnt: it is unknown.

    Raises:
        DataError: There is no such column, or nothing of it to learn.
    """
    known = [*log.codes, *log.numbers]
    missing = [name for name in wanted or () if name not in known]
    if missing:
        raise DataError(f"the log has no columns {missing}; it has {known}.")
    return tuple(_learnt(log, name, least) for name in (wanted or known))


def _learnt(log: ClickLog, name: str, least: int) -> FeatureColumn:
    if name in log.numbers:
        return FeatureColumn.learn(name, log.numbers[name], kind="numeric")
    codes, values = log.codes[name], log.values[name]
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    kept = values[counts >= max(least, 1)]
    if not len(kept):
        raise DataError(
            f"field {name!r}: none of its {len(values)} values is seen in {least} or more "
            "impressions. Leave the field out, or lower `least`."
        )
    words = tuple(str(value) for value in kept.tolist())
    return FeatureColumn(name=name, kind="categorical", vocabulary=words)


def checked(columns: Sequence[FeatureColumn], dimension: int) -> tuple[FeatureColumn, ...]:
    """Checks that columns can be those of a click model; their vectors have one width."""
    wrong = [column.name for column in columns if column.kind not in KINDS]
    if wrong or not columns:
        raise ValueError(
            f"a click model has one or more columns of the kinds {KINDS}. Received: "
            f"{[(column.name, column.kind) for column in columns]}"
        )
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise ValueError(f"columns need different names. Received: {names}")
    return tuple(
        column if column.kind == "numeric" else replace(column, dimension=dimension)
        for column in columns
    )


def encoded_fields(columns: Sequence[FeatureColumn], log: ClickLog) -> np.ndarray:
    """The rows of a log's fields, int32 `(n, fields)`: 0 is unknown, r is value r - 1."""
    out = np.zeros((len(log), len(columns)), np.int32)
    for place, column in enumerate(columns):
        if column.name not in log.codes:
            raise DataError(
                f"the model was made with the field {column.name!r}, which the log does not have; "
                f"it has {sorted(log.codes)}."
            )
        found = column.encode(log.values[column.name].tolist())[:, 0]
        rows = np.where(found < len(column.vocabulary), found + 1, 0)
        out[:, place] = np.append(rows, 0)[log.codes[column.name]]
    return out


def encoded_numbers(columns: Sequence[FeatureColumn], log: ClickLog) -> np.ndarray:
    """A log's numbers, standardised as they were learnt, float32 `(n, numbers)`; missing is 0."""
    missing = [column.name for column in columns if column.name not in log.numbers]
    if missing:
        raise DataError(f"the log has no numbers {missing}; it has {sorted(log.numbers)}.")
    return np.concatenate([c.encode(log.numbers[c.name]) for c in columns], axis=1)
