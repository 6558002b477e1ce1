"""What a caller asks of generated rows, as numbers for the networks."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfadvrec.models.behaviour.column_spec import CATEGORY, ColumnSpec
from tfadvrec.models.behaviour.heads import FORBIDDEN

ITEM = "item"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHOWN = 8


@dataclass
class Condition:
    """A checked condition.

    Attributes:
        vector: `(condition_width,)`, what the networks are given.
        allowed: `(choices of all columns,)`, 0 where a choice may be made, else very negative.
        items: `(n_items,)` mask of the items that may be drawn, or None for all.
        numbers: Column -> the number that it has.
        columns: Which columns are given.
    """

    vector: np.ndarray
    allowed: np.ndarray
    items: np.ndarray | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def condition_of(model: Any, asked: Mapping[str, Any] | None) -> Condition:
    """Checks a condition and turns it into numbers.

    Args:
        model: The generator.
        asked: Column -> value, or None.

    Raises:
        ValueError: There is no such column or value; the nearest is named.
    """
    width = model.condition_width
    choices = sum(c.choices for c in model.columns)
    found = Condition(np.zeros(width, np.float32), np.zeros(choices, np.float32))
    found.columns = tuple(asked or ())
    for name, value in (asked or {}).items():
        numbers = [n for n, c in enumerate(model.columns) if c.name == name]
        if name == ITEM or (not numbers and name in model.item_features):
            _items(model, found, name, value)
        elif numbers:
            _column(model, found, numbers[0], value)
        else:
            known = [ITEM, *[c.name for c in model.columns], *model.item_features]
            raise ValueError(
                f"there is no column {name!r} to condition on.{_near(name, known)} There are "
                f"{', '.join(known)}."
            )
    return found


def _column(model: Any, found: Condition, number: int, value: Any) -> None:
    spec: ColumnSpec = model.columns[number]
    start = model.offset(number)
    if spec.kind == CATEGORY:
        chosen = _category(spec, value)
    else:
        figure = _figure(spec, value)
        found.numbers[spec.name] = figure
        away = np.abs(spec.forward(np.array([figure])) - np.array(spec.means))
        chosen = int(np.argmin(away / np.array(spec.deviations)))
    found.vector[start + chosen] = 1.0
    found.allowed[start : start + spec.choices] = FORBIDDEN
    found.allowed[start + chosen] = 0.0


def _category(spec: ColumnSpec, value: Any) -> int:
    texts = [_text(v) for v in spec.values]
    if spec.name == "weekday" and _text(value).lower() in WEEKDAYS:
        value = WEEKDAYS.index(_text(value).lower())
    if _text(value) in texts:
        return texts.index(_text(value))
    shown = ", ".join(texts[:_SHOWN]) + (", ..." if len(texts) > _SHOWN else "")
    raise ValueError(
        f"column {spec.name!r} has no category {_text(value)!r}.{_near(_text(value), texts)} It "
        f"has {shown}."
    )


def _figure(spec: ColumnSpec, value: Any) -> float:
    try:
        figure = float(value)
    except (TypeError, ValueError):
        figure = float("nan")
    if not spec.low <= figure <= spec.high:
        raise ValueError(
            f"column {spec.name!r} takes numbers from {spec.low:g} to {spec.high:g}. Received: "
            f"{value!r}"
        )
    return float(spec.restore(spec.forward(np.array([figure])))[0])


def _items(model: Any, found: Condition, name: str, value: Any) -> None:
    if name == ITEM:
        ids = np.arange(model.n_items) if model.item_ids is None else model.item_ids
        names = [_text(i) for i in ids.tolist()]
        mask = np.array([n == _text(value) for n in names])
        label = "item"
    else:
        rows = model.item_features[name].tolist()
        held = [{_text(v) for v in (r if isinstance(r, tuple) else (r,))} for r in rows]
        names = sorted(set().union(*held))
        mask = np.array([_text(value) in h for h in held])
        label = f"item feature {name!r}"
    if not mask.any():
        raise ValueError(f"no {label} is {_text(value)!r}.{_near(_text(value), names)}")
    found.items = mask if found.items is None else found.items & mask
    if not found.items.any():
        raise ValueError(f"no item fits all of the condition; the last was {name}={value!r}.")
    weight = np.where(found.items, np.exp(model.item_bias.numpy()), 0.0)
    weight = weight if weight.sum() > 0 else found.items.astype(float)
    width = model.item_vectors.shape[1]
    found.vector[-width - 1 : -1] = weight @ model.item_vectors.numpy() / weight.sum()
    found.vector[-1] = 1.0


def _text(value: Any) -> str:
    """One spelling of a value: 3, 3.0 and "3" are the same."""
    if isinstance(value, bytes):
        return value.decode()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if not math.isfinite(number) or not str(value)[:1].isdigit():
        return str(value)
    return str(int(number)) if number == int(number) else str(number)


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name), [str(k) for k in known], 1, cutoff=0.0)
    return f" The nearest is {near[0]!r}." if near else ""
