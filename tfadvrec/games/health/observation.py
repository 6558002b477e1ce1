"""What one look at a generator shows: items, profiles and columns, made or real."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

SIDES = ("user", "item")


@dataclass(frozen=True, eq=False, kw_only=True)
class Observation:
    """A sample of what a generator makes, or of the real thing; parts that do not apply are None.

    Attributes:
        items: Item rows of generated events, int of shape `(events,)`, or None.
        profiles: One row a profile, an array or a CSR matrix `(profiles, width)`, or None. For a
            profile of interactions an entry that is not zero is an interaction.
        columns: Name -> values `(rows,)`: floats are numbers, everything else is categories.
        n_items: Size of the catalogue; needed for `items`, and for `profiles` to be counted as
            interactions (a profile of pixels has none).
        side: Whose rows `profiles` are: `"user"` (width is the catalogue) or `"item"`.

    Raises:
        ValueError: If a part has a wrong shape or an item is not in the catalogue.

    Example:
        >>> Observation(items=np.array([0, 2, 2]), n_items=4).counts.tolist()
        [1, 0, 2, 0]
    """

    items: np.ndarray | None = None
    profiles: Any = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    n_items: int | None = None
    side: str = "user"

    def __post_init__(self) -> None:
        """Checks shapes, types and ranges."""
        if self.side not in SIDES:
            raise ValueError(f"side={self.side!r} is none of {SIDES}")
        if self.items is not None:
            object.__setattr__(self, "items", _checked_items(self.items, self.n_items))
        if self.profiles is not None:
            object.__setattr__(self, "profiles", self._checked_profiles())
        columns = {str(key): np.asarray(values) for key, values in self.columns.items()}
        lengths = {key: values.shape for key, values in columns.items()}
        if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
            raise ValueError(f"columns must be of one length and one axis, got shapes {lengths}")
        object.__setattr__(self, "columns", columns)

    def _checked_profiles(self) -> Any:
        given = self.profiles
        profiles = sparse.csr_matrix(given) if sparse.issparse(given) else np.asarray(given)
        if profiles.ndim != 2:
            raise ValueError(f"profiles must be (profiles, width), got shape {profiles.shape}")
        counted = self.n_items is not None and self.items is None and self.side == "user"
        if counted and profiles.shape[1] != self.n_items:
            raise ValueError(
                f"profiles of users are as wide as the catalogue: n_items={self.n_items}, but "
                f"profiles have shape {profiles.shape}. Leave n_items out where they are no "
                "interactions, or name side='item'."
            )
        return profiles

    @cached_property
    def counts(self) -> np.ndarray | None:
        """How often each item occurs, int64 `(n_items,)`; None where no items were observed."""
        if self.n_items is None:
            return None
        if self.items is not None:
            return np.bincount(self.items, minlength=self.n_items).astype(np.int64)
        if self.profiles is None or self.side != "user":
            return None
        if sparse.issparse(self.profiles):
            held = self.profiles.indices[self.profiles.data != 0]
            return np.bincount(held, minlength=self.n_items).astype(np.int64)
        return np.count_nonzero(self.profiles, axis=0).astype(np.int64)

    def finite(self) -> bool:
        """Whether no number in the profiles and columns is NaN or infinite."""
        held = [] if self.profiles is None else [self.profiles]
        held = [p.data if sparse.issparse(p) else p for p in held] + list(self.columns.values())
        return all(np.isfinite(part).all() for part in held if part.dtype.kind == "f")

    @classmethod
    def of_scores(cls, scores: Any, lengths: Any, *, side: str = "user") -> "Observation":
        """Profiles from scores over a catalogue: of each row the `lengths` highest.

        Args:
            scores: `(profiles, n_items)`, higher is likelier; -inf is never taken.
            lengths: How long each profile is, an int or ints `(profiles,)`; real lengths keep the
                comparison with real profiles fair.
            side: Whose rows these are, as in `Observation`.

        Returns:
            An observation with binary `profiles` (CSR).

        Example:
            >>> Observation.of_scores([[0.1, 0.9, 0.5]], 2).profiles.toarray().tolist()
            [[0.0, 1.0, 1.0]]
        """
        scores = np.asarray(scores)
        lengths = np.broadcast_to(np.asarray(lengths, np.int64), scores.shape[:1])
        order = np.argsort(-scores, axis=1, kind="stable")
        taken = np.arange(scores.shape[1]) < lengths[:, None]
        taken &= np.take_along_axis(scores, order, axis=1) > -np.inf
        row = np.repeat(np.arange(len(scores)), taken.sum(axis=1))
        ones = np.ones(len(row), np.float32)
        profiles = sparse.csr_matrix((ones, (row, order[taken])), scores.shape)
        profiles.sort_indices()
        return cls(
            profiles=profiles, n_items=scores.shape[1] if side == "user" else None, side=side
        )

    @classmethod
    def of_log(cls, log: Any, like: "Observation", *, seed: int = 0) -> "Observation":
        """A real sample with the parts and sizes of another observation, drawn from a log.

        A part of which the log has less than asked for is given whole.

        Args:
            log: The real `Interactions`.
            like: The observation whose parts are wanted. Its columns may be the log's `rating`,
                `user`, `item`, `time`, `weekday` (0 is Monday), `hour` (both UTC), any name in its
                `columns`, and any feature of its users or items.
            seed: Seed of the draw.

        Returns:
            The real observation.

        Raises:
            ValueError: If the log has no such column, or another catalogue.
        """
        if like.n_items not in (None, log.n_items):
            raise ValueError(
                f"the observation's catalogue has {like.n_items} items and the log's "
                f"{log.n_items}; give the monitor the log that the game learns from"
            )
        rng = np.random.default_rng(seed)
        events = _some(rng, len(log), _size(like))
        return cls(
            items=None if like.items is None else log.item[events],
            profiles=None if like.profiles is None else _log_profiles(log, like, rng),
            columns={name: _log_column(log, name, events) for name in like.columns},
            n_items=like.n_items,
            side=like.side,
        )


def _checked_items(items: Any, n_items: int | None) -> np.ndarray:
    items = np.asarray(items)
    if n_items is None:
        raise ValueError("items need n_items, the size of the catalogue")
    if items.ndim != 1 or items.dtype.kind not in "iu":
        raise ValueError(f"items must be integers (events,), got {items.dtype} {items.shape}")
    if items.size and not (items.min() >= 0 and items.max() < n_items):
        raise ValueError(f"items lie in 0..{n_items - 1}, got {items.min()}..{items.max()}")
    return items


def _size(like: Observation) -> int:
    parts = [like.items, *like.columns.values()]
    return max((len(part) for part in parts if part is not None), default=0)


def _some(rng: np.random.Generator, population: int, count: int) -> np.ndarray:
    return np.sort(rng.choice(population, size=min(population, count), replace=False))


def _log_profiles(log: Any, like: Observation, rng: np.random.Generator) -> sparse.csr_matrix:
    """Rows of users or items that have interactions, rated where the other's profiles are."""
    values = like.profiles.data if sparse.issparse(like.profiles) else like.profiles
    ones = np.ones(len(log), np.float32)
    rated = log.rating is not None and not np.isin(values, (0, 1)).all()
    place, shape = (log.user, log.item), (log.n_users, log.n_items)
    last = np.unique(np.stack(place)[:, ::-1], axis=1, return_index=True)[1]
    last = len(log) - 1 - last  # of repeated pairs the last one counts
    weight = (log.rating if rated else ones)[last]
    matrix = sparse.csr_matrix((weight, (place[0][last], place[1][last])), shape)
    matrix = sparse.csr_matrix(matrix.T) if like.side == "item" else matrix
    if matrix.shape[1] != like.profiles.shape[1]:
        raise ValueError(
            f"profiles are {like.profiles.shape[1]} wide, but the log's, by {like.side}, are "
            f"{matrix.shape[1]} wide; name the right side, or give a real Observation"
        )
    present = np.flatnonzero(np.diff(matrix.indptr))
    return matrix[present[_some(rng, len(present), like.profiles.shape[0])]]


def _log_column(log: Any, name: str, events: np.ndarray) -> np.ndarray:
    plain = {"user": log.user, "item": log.item, "rating": log.rating, "time": log.time}
    columns = {**{k: v for k, v in plain.items() if v is not None}, **log.columns}
    if name in columns:
        return columns[name][events]
    if log.time is not None and name in ("weekday", "hour"):
        seconds = log.time[events]  # 1 January 1970 was a Thursday
        return (seconds // 86_400 + 3) % 7 if name == "weekday" else seconds // 3_600 % 24
    for features, rows in ((log.user_features, log.user), (log.item_features, log.item)):
        if name in features:
            return features[name][rows[events]]
    known = [*columns, "weekday", "hour", *log.user_features, *log.item_features]
    raise ValueError(
        f"the log has no column {name!r}, only {sorted(set(known))}. Give the monitor a real "
        "Observation, or a function (count, seed) -> Observation, as reference."
    )
