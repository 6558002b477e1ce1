"""Raw columns become the checked fields of `Interactions`."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfadvrec.data import checks
from tfadvrec.data.checks import SHOWN, DataError, DataWarning, Locate, plural
from tfadvrec.data.choice import Choice, column_name
from tfadvrec.data.numbers import Column, UnitError, ratings, seconds
from tfadvrec.data.ordering import stable_sort, taken, used_rows
from tfadvrec.data.vocabulary import Encoded, encode, numpy_text

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions


def count_from_zero(rows: np.ndarray) -> list[str]:
    """Names rows of something without lines: `row 0` is the first."""
    return [f"row {int(row)}" for row in rows]


@dataclass(frozen=True)
class RawLog:
    """Columns as they were read, and how to find a row again.

    Attributes:
        columns: Name -> values of shape `(n,)`.
        source: The file or object, for messages.
        locate: Rows -> where a person finds them.
        dropped: Reason -> rows that the reader itself left out.
        part: Which file each row is from, for logs of several; repeated pairs are looked for
            within a part only.
    """

    columns: dict[str, Column]
    source: str
    locate: Locate = count_from_zero
    dropped: dict[str, int] = field(default_factory=dict)
    part: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def assemble(raw: RawLog, choice: Choice) -> dict[str, Any]:
    """Checks and encodes a log.

    Args:
        raw: The columns, which are taken out of it.
        choice: Which of them are what, and what to do with bad rows.

    Returns:
        The fields `user`, `item`, `rating`, `time`, `columns`, `user_ids`, `item_ids`, `dropped`
        of `Interactions`, and `rows`: which rows of `raw` were kept, a mask or a slice.

    Raises:
        DataError: When rows are bad and may not be dropped, or nothing can be ranked.
    """
    roles = choice.resolve(list(raw.columns), raw.source)
    if not len(raw):
        checks.check_catalogue(raw.source, 0, 0)
    others = [column_name(asked, list(raw.columns), raw.source) for asked in choice.columns]
    extra = {name: values_of(raw.columns[name]) for name in others}
    users = _encoded(raw, roles["user"], "user")
    items = _encoded(raw, roles["item"], "item")
    columns = {"user": users.rows, "item": items.rows}
    bad = {f"{side} without id": columns[side] < 0 for side in ("user", "item")}
    vocabularies = {"user": users.ids, "item": items.ids}
    merged = {"user": len(users.merged), "item": len(items.merged)}
    del users, items
    if "rating" in roles:
        columns["rating"] = named(raw, roles["rating"], ratings, raw.columns[roles["rating"]])
        bad["rating that is no finite number"] = np.isnan(columns["rating"])
    if "time" in roles:
        columns["time"], bad["time that cannot be read"] = _times(
            raw, roles["time"], choice.time_unit
        )
    dropped = {**raw.dropped, **reject(raw, bad, choice.invalid)}
    for side, count in merged.items():
        if count:
            dropped[f"{side} ids spelled in several ways, merged"] = count
    raw.columns.clear()
    rows: np.ndarray | slice = slice(None)
    if any(mask.any() for mask in bad.values()):
        rows = ~np.logical_or.reduce(list(bad.values()))
        _keep(columns, rows)
        _keep(extra, rows)
    del bad
    checks.check_catalogue(raw.source, len(columns["item"]), _several(columns["item"]))
    part = None if raw.part is None else raw.part[rows]
    stays = unrepeated(raw, choice.duplicates, columns, rows, part)
    if stays is not None:
        dropped["repeated (user, item) pairs"] = len(stays) - int(stays.sum())
        _keep(columns, stays)
        _keep(extra, stays)
        if isinstance(rows, slice):
            rows = stays
        else:
            rows[rows] = stays
    if "rating" in columns:
        checks.check_varies(
            raw.source, roles["rating"], columns["rating"], " (rating=False; None for arrays)"
        )
        columns["rating"] = columns["rating"].astype(np.float32)
    for side, ids in vocabularies.items():
        columns[side], vocabularies[side] = _compact(columns[side], ids)
    checks.check_memory(len(vocabularies["user"]), len(vocabularies["item"]))
    return {
        "user": columns["user"],
        "item": columns["item"],
        "rating": columns.get("rating"),
        "time": columns.get("time"),
        "columns": {name: checks.own(values, values.dtype) for name, values in extra.items()},
        "user_ids": vocabularies["user"],
        "item_ids": vocabularies["item"],
        "dropped": dropped,
        "rows": rows,
    }


def build(cls: type["Interactions"], fields: dict[str, Any], **about: Any) -> "Interactions":
    """Makes the log from assembled fields and what is known about it."""
    for key in ("user", "item", "rating"):  # made here, so that the log need not copy them
        if fields[key] is not None:
            fields[key].flags.writeable = False
    return cls(**{key: value for key, value in fields.items() if key != "rows"}, **about)


def values_of(column: Column) -> np.ndarray:
    """Returns a column as NumPy values: numbers as they are, everything else as text."""
    if isinstance(column, np.ndarray):
        return column.astype(np.str_) if column.dtype.kind in "OS" else column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return numpy_text(column)
    return np.array(["" if v is None else str(v) for v in column.to_pylist()], np.str_)


def named(raw: RawLog, name: str, read: Any, *arguments: Any) -> Any:
    """Calls a reader of a column; its complaint gets the source, the column and the rows."""
    try:
        return read(*arguments)
    except UnitError as error:
        where = "; ".join(raw.locate(error.rows[:SHOWN]))
        raise DataError(f"{raw.source}: column {name!r}: {error} First of them: {where}.") from None
    except DataError as error:
        raise DataError(f"{raw.source}: column {name!r}: {error}") from None


def _encoded(raw: RawLog, name: str, side: str) -> Encoded:
    encoded = named(raw, name, encode, raw.columns[name], side)
    warn_of_merged(raw.source, name, side, encoded, stacklevel=6)
    return encoded


def warn_of_merged(source: str, name: str, side: str, encoded: Encoded, *, stacklevel: int) -> None:
    """Warns of ids that are spelled in several ways."""
    if encoded.merged:
        shown = "; ".join(" = ".join(map(repr, group)) for group in encoded.merged[:SHOWN])
        warnings.warn(
            f"{source}: column {name!r} spells {plural(len(encoded.merged), 'id')} in several "
            f"ways: {shown}. Each was taken as one {side}.",
            DataWarning,
            stacklevel=stacklevel,
        )


def _times(raw: RawLog, name: str, unit: str | None) -> tuple[np.ndarray, np.ndarray]:
    return named(raw, name, seconds, raw.columns[name], unit)


def reject(raw: RawLog, bad: Mapping[str, np.ndarray], invalid: str) -> dict[str, int]:
    """Returns the counts of bad rows where they may be dropped, and raises where not."""
    counts = {reason: int(mask.sum()) for reason, mask in bad.items() if mask.any()}
    if counts and invalid == "error":
        found = []
        for reason, count in counts.items():
            where = raw.locate(np.flatnonzero(bad[reason])[:SHOWN])
            found.append(f"{plural(count, 'row')} with a {reason}: {'; '.join(where)}")
        raise DataError(
            f'{raw.source}: {". ".join(found)}. Correct them, or pass invalid="drop" to leave '
            "such rows out and count them."
        )
    return {f"{reason}": count for reason, count in counts.items()}


def _keep(columns: dict[str, np.ndarray], rows: np.ndarray) -> None:
    """Keeps some rows of every column, one column after the other."""
    for name in columns:
        columns[name] = columns[name][rows]


def unrepeated(
    raw: RawLog,
    policy: str,
    columns: Mapping[str, np.ndarray],
    rows: np.ndarray | slice,
    part: np.ndarray | None,
) -> np.ndarray | None:
    """Marks which rows of the columns stay; None when all do."""
    if policy == "keep":
        return None
    pair, order = stable_sort(_pairs(columns["user"], columns["item"], part))
    repeats = pair[1:] == pair[:-1]
    if not repeats.any():
        return None
    if policy == "error":
        again = np.sort(order[1:][repeats])
        again = again if isinstance(rows, slice) else np.flatnonzero(rows)[again]
        raise DataError(
            f"{raw.source}: {plural(again.size, 'row')} repeat a (user, item) pair of an earlier "
            f'row: {"; ".join(raw.locate(again[:SHOWN]))}. Pass duplicates="last" or "first" '
            '(by time) to keep one of each, or "keep" where repeats are meant.'
        )
    several = np.zeros(len(order), bool)
    several[1:] |= repeats
    several[:-1] |= repeats
    group, pair = order[several], pair[several]
    if "time" in columns:
        group = group[np.lexsort((columns["time"][group], pair))]
    border = pair[1:] != pair[:-1]
    chosen = np.append(border, True) if policy == "last" else np.insert(border, 0, True)
    stays = np.ones(len(order), bool)
    stays[group[~chosen]] = False
    return stays


def _pairs(user: np.ndarray, item: np.ndarray, part: np.ndarray | None) -> np.ndarray:
    """Numbers the pairs of a user and an item, those of each part apart."""
    pair = user * np.int64(item.max() + 1)
    pair += item
    if part is not None:
        pair += part * (pair.max() + 1)
    return pair


def _several(item: np.ndarray) -> int:
    """Counts items up to two, which is what it takes to rank."""
    return 0 if not item.size else 1 + int(item.min() != item.max())


def _compact(rows: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drops the ids that no row uses."""
    used = used_rows(rows, len(ids))
    if used.all():
        return rows, ids
    return taken(np.cumsum(used, dtype=np.int32) - np.int32(1), rows), ids[used]
