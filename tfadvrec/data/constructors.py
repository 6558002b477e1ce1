"""The ways into `Interactions`: files, frames, arrays and TensorFlow Datasets."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfadvrec.data.assembly import Choice, RawLog, assemble
from tfadvrec.data.checks import DataError, check_length, check_rows

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions


def from_arrays(
    cls: type["Interactions"],
    user: Sequence[Any] | np.ndarray,
    item: Sequence[Any] | np.ndarray,
    *,
    rating: Sequence[float] | np.ndarray | None = None,
    time: Sequence[Any] | np.ndarray | None = None,
    columns: Mapping[str, Sequence[Any] | np.ndarray] | None = None,
    user_ids: Sequence[Any] | np.ndarray | None = None,
    item_ids: Sequence[Any] | np.ndarray | None = None,
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str = "arrays",
) -> "Interactions":
    """Makes a log from arrays of ids, or of row numbers when their vocabulary is given too.

    Args:
        user: User ids of shape `(n,)`; row numbers of `user_ids` when those are given.
        item: Item ids of shape `(n,)`; row numbers of `item_ids` when those are given.
        rating: Numbers of shape `(n,)`.
        time: Numbers, dates or ISO 8601 text of shape `(n,)`.
        columns: Other values of each interaction, each of shape `(n,)`.
        user_ids: Row -> user id.
        item_ids: Row -> item id.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name.

    Returns:
        The log.

    Raises:
        DataError: When the arrays hold no usable log.

    Example:
        >>> from tfadvrec.data import Interactions
        >>> log = Interactions.from_arrays(["u", "u", "v"], [5, 6, 5], rating=[1.0, 2.0, 3.0])
        >>> log.item.tolist(), log.item_ids.tolist()
        ([0, 1, 0], [5, 6])
    """
    given = {"user": user, "item": item, "rating": rating, "time": time, **(columns or {})}
    arrays = {key: as_column(values) for key, values in given.items() if values is not None}
    for key, values in arrays.items():
        check_length(key, values, len(arrays["user"]), "users")
    vocabularies = {"user": user_ids, "item": item_ids}
    for side, ids in vocabularies.items():
        if ids is not None:
            arrays[side] = check_rows(side, arrays[side], len(ids))
    choice = Choice(
        user="user",
        item="item",
        rating="rating" if rating is not None else False,
        time="time" if time is not None else False,
        columns=tuple(columns or ()),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    fields = assemble(RawLog(arrays, name), choice)
    for side, ids in vocabularies.items():
        if ids is not None:
            fields[side] = fields[f"{side}_ids"][fields[side]]
            fields[f"{side}_ids"] = np.asarray(ids)
    return build(cls, fields, name=name, origin="arrays in memory")


def as_column(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Returns values as one axis; a list of mixed types keeps each value as it is."""
    if isinstance(values, np.ndarray):
        array = values
    else:
        values = list(values)
        kinds = {type(value) for value in values}
        array = np.array(values, dtype=object if len(kinds) > 1 else None)
    if array.ndim != 1:
        raise DataError(f"expected one value an interaction, got an array of shape {array.shape}.")
    return array


def build(cls: type["Interactions"], fields: dict[str, Any], **about: Any) -> "Interactions":
    """Makes the log from assembled fields and what is known about it."""
    return cls(**{key: value for key, value in fields.items() if key != "rows"}, **about)
