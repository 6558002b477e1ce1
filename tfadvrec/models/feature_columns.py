"""The feature columns of a side: as they are given, or learnt from a log."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.models.feature_column import FeatureColumn

Features = Sequence[FeatureColumn | Mapping[str, Any]]
Wanted = Sequence[str] | Mapping[str, str | Mapping[str, Any] | None] | None


def as_columns(features: Features) -> tuple[FeatureColumn, ...]:
    """Makes columns of dictionaries, and leaves columns as they are."""
    return tuple(
        column if isinstance(column, FeatureColumn) else FeatureColumn.from_dict(column)
        for column in features
    )


def learn_columns(
    side: str, features: Mapping[str, Any], rows: np.ndarray, wanted: Wanted
) -> tuple[FeatureColumn, ...]:
    """Learns the wanted columns of one side from the rows that are given.

    Vocabularies and scales are learnt from those rows alone; an entry of any row has room.

    Args:
        side: `"user"` or `"item"`, for messages.
        features: Name -> values of all rows.
        rows: Those that are learnt from.
        wanted: Names, or name -> kind or fields of the column.

    Raises:
        ValueError: The log has no such feature.
    """
    if not isinstance(wanted, Mapping):
        wanted = dict.fromkeys([wanted] if isinstance(wanted, str) else wanted or ())
    columns = []
    for name, fields in wanted.items():
        if name not in features:
            raise ValueError(
                f"the log has no {side} feature {name!r}; it has {sorted(features)}. "
                "Add it with log.with_features(...)."
            )
        fields = {"kind": fields} if isinstance(fields, str) else dict(fields or {})
        column = FeatureColumn.learn(name, features[name][rows], **fields)
        columns.append(column if "length" in fields else column.widened(features[name]))
    return tuple(columns)
