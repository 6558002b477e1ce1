"""A log as a table of columns that can be compared with another log's."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis.column import CATEGORY, NUMBER, ORDINAL, Column

FEW = 25  # different values up to which a number is ordinal
_DAY = 86_400


def event_columns(log: Interactions) -> dict[str, Column]:
    """The columns of a log: of each interaction, and of each user with interactions.

    `item` is a category by its row; `rating` a number; `weekday` (0 is Monday) and `hour` are
    taken from the time in UTC; every other column of the log under its own name. Of users:
    `profile length` and their features (lists of several values are left out).

    Args:
        log: The interactions.

    Returns:
        Name -> column.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], [7, 8, 7], time=[0, 3600, 86400])
    >>> {name: column.values.tolist() for name, column in event_columns(log).items()}
    {'item': [0, 1, 0], 'weekday': [3, 3, 4], 'hour': [0, 1, 0], 'profile length': [2, 1]}
    """
    found = {"item": Column("item", log.item, CATEGORY, "interaction")}
    if log.rating is not None:
        found["rating"] = _column("rating", log.rating, "interaction")
    if log.time is not None:
        day, second = np.divmod(log.time, _DAY)
        weekday, hour = (day + 3) % 7, second // 3600  # 1970-01-01 was a Thursday
        found["weekday"] = Column("weekday", weekday, CATEGORY, "interaction")
        found["hour"] = Column("hour", hour, CATEGORY, "interaction")
    for name, values in log.columns.items():
        found[_free(name, found)] = _column(name, values, "interaction")
    lengths = np.bincount(log.user, minlength=log.n_users)
    active = lengths > 0
    found["profile length"] = Column("profile length", lengths[active], NUMBER, "user")
    for name, values in log.user_features.items():
        if values.dtype.kind != "O":
            found[_free(name, found)] = _column(name, values[active], "user")
    return found


def same_kinds(a: dict[str, Column], b: dict[str, Column]) -> list[str]:
    """The names that two tables share.

    Raises:
        ValueError: If one column holds numbers here and text there.
    """
    shared = [name for name in a if name in b]
    for name in shared:
        kinds = {"text" if t[name].values.dtype.kind in "US" else "numbers" for t in (a, b)}
        if len(kinds) > 1:
            raise ValueError(
                f"column {name!r} holds numbers in one log and text in the other. Read both logs "
                "in the same way."
            )
    return shared


def _free(name: str, taken: dict[str, Column]) -> str:
    return name if name not in taken else f"{name} (column)"


def _column(name: str, values: np.ndarray, unit: str) -> Column:
    if values.dtype.kind not in "fiub":
        return Column(name, np.asarray(values, np.str_), CATEGORY, unit)
    few = len(np.unique(values)) <= FEW
    return Column(name, values, ORDINAL if few else NUMBER, unit)
