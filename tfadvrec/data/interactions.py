"""A log of who had to do with what, as row numbers and the vocabularies that name the rows."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.data import checks, constructors, from_datasets
from tfadvrec.data.choice import column_name
from tfadvrec.data.features import feature_table
from tfadvrec.data.fingerprints import fingerprint
from tfadvrec.data.frames import columns_of
from tfadvrec.data.vocabulary import known_rows

_FEATURES = ("user_features", "item_features")


@dataclass(frozen=True, eq=False, kw_only=True)
class Interactions:
    """A log of interactions, immutable, checked once when it is made.

    Row `r` of a vocabulary names the user or item that `user` or `item` call `r`.

    Attributes:
        user: Row numbers of the users, int32 of shape `(n,)`.
        item: Row numbers of the items, int32 of shape `(n,)`.
        rating: float32 of shape `(n,)`, or None.
        time: Seconds since the epoch, int64 of shape `(n,)`, or None.
        columns: Other values of each interaction, arrays of shape `(n,)`.
        user_ids: Row -> the caller's id, int64 or text of shape `(n_users,)`.
        item_ids: Row -> the caller's id, int64 or text of shape `(n_items,)`.
        user_features: Arrays of shape `(n_users,)`: floats are numeric, text is categorical (or
            text), objects are tuples of text (several values a row).
        item_features: The same of shape `(n_items,)`.
        name: A short name.
        origin: Where the log came from, in words.
        real: Whether people made it (False: a generator did).
        dropped: Reason -> how many rows were left out or changed for it.

    Example:
        >>> log = Interactions.from_arrays(["ann", "bob", "ann"], [7, 7, 9])
        >>> log.n_users, log.n_items, log.user_ids[log.user[1]].item()
        (2, 2, 'bob')
    """

    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray | None = None
    time: np.ndarray | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    user_ids: np.ndarray
    item_ids: np.ndarray
    user_features: dict[str, np.ndarray] = field(default_factory=dict)
    item_features: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = "log"
    origin: str = "made in memory"
    real: bool = True
    dropped: dict[str, int] = field(default_factory=dict)

    from_csv = classmethod(constructors.from_csv)
    from_lists = classmethod(constructors.from_lists)
    from_parquet = classmethod(constructors.from_parquet)
    from_frame = classmethod(constructors.from_frame)
    from_arrays = classmethod(constructors.from_arrays)
    from_tfds = classmethod(from_datasets.from_tfds)

    def __post_init__(self) -> None:
        """Checks types, ranges and lengths.

        Raises:
            DataError: When something does not fit; the first rows are named.
        """
        put = functools.partial(object.__setattr__, self)
        put("user_ids", checks.check_vocabulary("user", self.user_ids))
        put("item_ids", checks.check_vocabulary("item", self.item_ids))
        put("user", checks.check_rows("user", self.user, self.n_users))
        put("item", checks.check_rows("item", self.item, self.n_items))
        if self.rating is not None:
            put("rating", checks.check_finite("rating", self.rating))
        if self.time is not None:
            put("time", checks.check_seconds(self.time))
        put("columns", {key: np.asarray(value) for key, value in self.columns.items()})
        named = {"item": self.item, "rating": self.rating, "time": self.time, **self.columns}
        for key, values in named.items():
            checks.check_length(key, values, len(self.user), "interactions")
        for side, count in (("user_features", self.n_users), ("item_features", self.n_items)):
            features = {
                key: checks.check_feature(f"{side}[{key!r}]", values, count)
                for key, values in getattr(self, side).items()
            }
            put(side, features)
        put("dropped", dict(self.dropped))
        self._freeze()

    def _freeze(self) -> None:
        """Makes every array read-only, through views that leave the caller's arrays alone."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, entry.name, _read_only(value))
            elif isinstance(value, dict) and entry.name != "dropped":
                frozen = {key: _read_only(array) for key, array in value.items()}
                object.__setattr__(self, entry.name, frozen)

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return (
            f"Interactions({self.name!r}: {len(self):,} interactions of {self.n_users:,} users "
            f"with {self.n_items:,} items; {self.origin})"
        )

    @property
    def n_users(self) -> int:
        """Rows of the user vocabulary."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Rows of the item vocabulary."""
        return len(self.item_ids)

    def replace(self, **changes: Any) -> "Interactions":
        """Returns a copy with some fields changed and everything checked again."""
        return dataclasses.replace(self, **changes)

    def take(self, rows: np.ndarray) -> "Interactions":
        """Returns some of the interactions, with the same vocabularies and features.

        Args:
            rows: Positions of shape `(m,)`, or a mask of shape `(n,)`.
        """
        rows = np.asarray(rows)
        if rows.dtype.kind not in "biu" and rows.size:
            raise TypeError(f"rows: expected positions or a mask, got {rows.dtype}.")
        rows = rows if rows.dtype.kind == "b" else rows.astype(np.int64)
        part = object.__new__(type(self))
        for entry in dataclasses.fields(self):
            object.__setattr__(part, entry.name, getattr(self, entry.name))
        for key in ("user", "item", "rating", "time"):
            values = getattr(self, key)
            object.__setattr__(part, key, None if values is None else values[rows])
        columns = {key: values[rows] for key, values in self.columns.items()}
        object.__setattr__(part, "columns", columns)
        part._freeze()
        return part

    def with_features(
        self,
        users: object = None,
        items: object = None,
        *,
        user_id: str | int | None = None,
        item_id: str | int | None = None,
        lists: Mapping[str, str] | None = None,
        missing: str = "error",
    ) -> "Interactions":
        """Returns the log with features of its users and items.

        Args:
            users: A frame (see `from_frame`; `data.read_table` reads one from a text file) with
                one row a user.
            items: A frame with one row an item.
            user_id: The column of user ids; the first one when not given.
            item_id: The column of item ids; the first one when not given.
            lists: Text columns that hold several values -> what separates those.
            missing: `"error"`, or `"fill"` to give a row without a value the mean (numbers), the
                empty text or the empty tuple; `dropped` counts them.

        Raises:
            DataError: When an id has two rows or a value is missing.

        Example:
            >>> log = Interactions.from_arrays([1, 1], [7, 9])
            >>> films = {"id": [9, 7], "year": [1999, 1987], "genre": ["Drama|War", "War"]}
            >>> log.with_features(items=films, lists={"genre": "|"}).item_features["genre"]
            array([('War',), ('Drama', 'War')], dtype=object)
        """
        changes: dict[str, Any] = {"dropped": dict(self.dropped)}
        tables = {
            side: columns_of(f) for side, f in (("user", users), ("item", items)) if f is not None
        }
        for name in lists or {}:
            column_name(name, [key for table in tables.values() for key in table], "features")
        for side, columns in tables.items():
            features, counts = feature_table(
                columns,
                getattr(self, f"{side}_ids"),
                side=side,
                key=user_id if side == "user" else item_id,
                lists={name: sep for name, sep in (lists or {}).items() if name in columns},
                missing=missing,
            )
            changes[f"{side}_features"] = {**getattr(self, f"{side}_features"), **features}
            changes["dropped"].update(counts)
        return self.replace(**changes)

    def csr(self) -> sparse.csr_matrix:
        """Returns the log as a matrix of ones, float32 of shape `(n_users, n_items)`."""
        ones = np.ones(len(self), np.float32)
        matrix = sparse.csr_matrix((ones, (self.user, self.item)), (self.n_users, self.n_items))
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def popularity(self) -> np.ndarray:
        """Returns how many interactions each item has, int64 of shape `(n_items,)`."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    def lookup_users(self, ids: object) -> np.ndarray:
        """Returns the rows of user ids, int32 of shape `(m,)`; -1 where one is unknown."""
        return known_rows(self.user_ids, self._user_order, ids)

    def lookup_items(self, ids: object) -> np.ndarray:
        """Returns the rows of item ids, int32 of shape `(m,)`; -1 where one is unknown."""
        return known_rows(self.item_ids, self._item_order, ids)

    @functools.cached_property
    def _user_order(self) -> np.ndarray:
        return np.argsort(self.user_ids, kind="stable")

    @functools.cached_property
    def _item_order(self) -> np.ndarray:
        return np.argsort(self.item_ids, kind="stable")

    def fingerprint(self) -> str:
        """Returns a SHA-256 of everything that is data: the rows, ids, columns and features."""
        columns = [
            (key, getattr(self, key))
            for key in ("user", "item", "rating", "time", "user_ids", "item_ids")
        ]
        for side in ("columns", *_FEATURES):
            columns += [(f"{side}.{key}", of) for key, of in sorted(getattr(self, side).items())]
        return fingerprint(columns)

    def describe(self) -> dict[str, Any]:
        """Returns what the log holds, as values that JSON can hold."""
        users = np.bincount(self.user, minlength=self.n_users)
        span = None
        if self.time is not None and len(self):
            span = [int(self.time.min()), int(self.time.max())]
        return {
            "name": self.name,
            "origin": self.origin,
            "real": self.real,
            "interactions": len(self),
            "users": self.n_users,
            "items": self.n_items,
            "density": len(self) / max(1, self.n_users * self.n_items),
            "users_without_interactions": int((users == 0).sum()),
            "users_with_one_interaction": int((users == 1).sum()),
            "items_without_interactions": int((self.popularity() == 0).sum()),
            "rating": None if self.rating is None else [*map(float, _range(self.rating))],
            "time": span,
            "columns": sorted(self.columns),
            "user_features": {key: _kind(values) for key, values in self.user_features.items()},
            "item_features": {key: _kind(values) for key, values in self.item_features.items()},
            "dropped": dict(self.dropped),
            "fingerprint": self.fingerprint(),
        }


def _read_only(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False
    return view


def _range(values: np.ndarray) -> tuple[float, float]:
    return (values.min(), values.max()) if values.size else (np.nan, np.nan)


def _kind(values: np.ndarray) -> str:
    return {"f": "numeric", "U": "text", "O": "several values"}[values.dtype.kind]
