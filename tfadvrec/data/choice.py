"""What a caller asks of a log: which columns are what, and what becomes of bad rows."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tfadvrec.data.checks import DataError

KNOWN_AS = {
    "user": ("user", "user_id", "userid", "uid", "customer_id", "visitor_id", "session_id"),
    "item": ("item", "item_id", "itemid", "iid", "movie_id", "movieid", "product_id", "article_id"),
    "rating": ("rating", "user_rating", "score", "stars"),
    "time": ("time", "timestamp", "datetime", "date", "unixreviewtime"),
}
"""What each column is usually called, for logs whose columns are not named by the caller."""

DUPLICATES = ("last", "first", "error", "keep")
INVALID = ("error", "drop")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the caller asked for: which columns, and what to do with bad rows.

    `None` for a column means: the one with a usual name, if there is one. `False` means none.
    """

    user: str | int | None = None
    item: str | int | None = None
    rating: str | int | bool | None = None
    time: str | int | bool | None = None
    columns: Sequence[str | int] = ()
    time_unit: str | None = None
    duplicates: str = "last"
    invalid: str = "error"

    def __post_init__(self) -> None:
        for key, allowed in (("duplicates", DUPLICATES), ("invalid", INVALID)):
            if getattr(self, key) not in allowed:
                raise ValueError(
                    f"{key}: expected one of {', '.join(allowed)}, got {getattr(self, key)!r}."
                )

    def resolve(self, names: Sequence[str], source: str) -> dict[str, str]:
        """Returns role -> column name, for the roles that the log has."""
        found = {}
        for role in ("user", "item", "rating", "time"):
            asked = getattr(self, role)
            if asked is None:
                usual = {name.lower(): name for name in reversed(names)}
                name = next((usual[n] for n in KNOWN_AS[role] if n in usual), None)
                if name is None and role in ("user", "item"):
                    raise DataError(
                        f"{source}: no column looks like the {role}. The columns are "
                        f"{_listed(names)}; name it: {role}=..."
                    )
            else:
                name = None if asked is False else column_name(asked, names, source)
            if name is not None:
                found[role] = name
        return found

    def named(self, roles: Mapping[str, str], columns: Sequence[str]) -> "Choice":
        """Returns the same choice with every column by its name."""
        found = {role: roles.get(role, False) for role in ("user", "item", "rating", "time")}
        return replace(self, **found, columns=tuple(columns))


def column_name(asked: str | int, names: Sequence[str], source: str) -> str:
    """Finds a column by its name or its position (from 0).

    Raises:
        DataError: When there is no such column; the message lists those there are.
    """
    if isinstance(asked, int) and not isinstance(asked, bool):
        if 0 <= asked < len(names):
            return names[asked]
        raise DataError(f"{source}: no column {asked}; the columns 0..{len(names) - 1} are there.")
    if asked in names:
        return asked
    near = difflib.get_close_matches(str(asked), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{source}: no column {asked!r}. The columns are {_listed(names)}.{hint}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
