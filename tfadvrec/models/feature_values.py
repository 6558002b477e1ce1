"""Reading the raw values of a feature: which kind they are, as numbers, as text."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

WORD = re.compile(r"\w+")


def guess_kind(values: Sequence[Any]) -> str:
    """Guesses a feature's kind from its values; `FeatureColumn.learn` has the rule."""
    first = next(iter(values))
    if isinstance(first, tuple | list):
        return "multi"
    if np.asarray(values).dtype.kind in "fiub":
        return "numeric"
    texts = [text for text in map(str, values) if text]
    several = sum(len(WORD.findall(text)) > 1 for text in texts)
    distinct = len(set(texts))
    return "text" if min(several, distinct) * 2 > len(texts) else "categorical"


def as_numbers(name: str, values: Sequence[Any]) -> np.ndarray:
    """Reads values as float64, NaN for missing; text or an infinity is an error."""
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"feature {name!r}: a numeric feature holds numbers: {error}.") from None
    if numbers.ndim != 1 or np.isinf(numbers).any():
        rows = np.flatnonzero(np.isinf(numbers))[:5].tolist() if numbers.ndim == 1 else "all"
        raise ValueError(
            f"feature {name!r}: expected one finite number a row (NaN for missing), got shape "
            f"{numbers.shape}; rows with an infinity: {rows}."
        )
    return numbers


def as_texts(name: str, values: Sequence[Any]) -> list[str]:
    """Reads values as text: whole numbers without a decimal point, missing as empty."""
    texts = []
    for value in values:
        if isinstance(value, tuple | list):
            raise ValueError(
                f"feature {name!r}: expected one text a row, got {value!r}; "
                "tuples are for kind 'multi'."
            )
        if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
            texts.append("")
        elif isinstance(value, float | np.floating) and float(value).is_integer():
            texts.append(str(int(value)))
        else:
            texts.append(str(value))
    return texts


def strict_record(
    what: str, record: Mapping[str, Any], kinds: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """A stored description, if it has exactly the keys that its kind has.

    Args:
        what: What is described, for the error.
        record: What was stored, with its `"name"` and `"kind"`.
        kinds: Kind -> the fields that describe it, beside name and kind.

    Raises:
        ValueError: If a key is missing, unknown, or has no meaning for the kind.
    """
    record = dict(record)
    allowed = {"name", "kind", *kinds.get(record.get("kind", ""), ())}
    if set(record) != allowed:
        raise ValueError(
            f"{what} {record.get('name')!r} of kind {record.get('kind')!r} has the keys "
            f"{sorted(allowed)}, got {sorted(map(str, record))}; kinds are {sorted(kinds)}."
        )
    return record
