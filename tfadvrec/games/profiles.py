"""Rows of a log as vectors between -1 and 1, as generators with a tanh make them, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.data import DataError, Interactions

MOST_LEVELS = 20


@dataclass(frozen=True, eq=False)
class Profiles:
    """Users (or items) as vectors: -1 where there is no interaction, above it the rating.

    With `m` different ratings the `j`-th of them is `2 * j / m - 1`, so the highest is 1 and the
    lowest lies one step above "none"; without ratings an interaction is 1.

    Attributes:
        x: float32 `(rows, width)`.
        rows: int32 `(rows,)`, which users (or items) these are.
        levels: float32 `(m,)`, the ratings in order; `[1]` without ratings.
        side: `"user"` or `"item"`.

    Example:
        >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"], rating=[1, 5, 3])
        >>> profiles = Profiles.of(log)
        >>> profiles.x.astype(float).round(2).tolist()
        [[-0.33, 1.0], [-1.0, 0.33]]
        >>> profiles.ratings(profiles.x).tolist()
        [[1.0, 5.0], [0.0, 3.0]]
    """

    x: np.ndarray
    rows: np.ndarray
    levels: np.ndarray
    side: str

    @classmethod
    def of(cls, log: Interactions, *, side: str = "user", minimum: int = 1) -> "Profiles":
        """The profiles of a log.

        Args:
            log: The log; of a repeated pair the last rating counts.
            side: `"user"`: a row a user, a column an item; or `"item"`, the other way round.
            minimum: Rows with fewer interactions are left out.

        Raises:
            DataError: Ratings have more than 20 values, one is not above 0, or no row is left.
        """
        if side not in ("user", "item"):
            raise ValueError(f"side must be 'user' or 'item'. Received: {side!r}")
        row, column, width = (log.user, log.item, log.n_items)
        count = log.n_users
        if side == "item":
            row, column, width, count = log.item, log.user, log.n_users, log.n_items
        levels, codes = _levels(log)
        kept = np.flatnonzero(np.bincount(row, minlength=count) >= max(1, minimum))
        if not len(kept):
            raise DataError(f"no {side} of {log.name} has {minimum} interactions or more.")
        x = np.full((count, width), -1.0, np.float32)
        x[row, column] = codes
        return cls(x=x[kept], rows=kept.astype(np.int32), levels=levels, side=side)

    def ratings(self, x: Any) -> np.ndarray:
        """Vectors as ratings, each value at the nearest level.

        Args:
            x: `(n, width)` values between -1 and 1.

        Returns:
            float32 `(n, width)`; 0 where there is no interaction.
        """
        steps = len(self.levels)
        codes = np.rint((np.asarray(x, np.float64) + 1) * steps / 2).astype(np.int64)
        return np.concatenate([[0.0], self.levels]).astype(np.float32)[np.clip(codes, 0, steps)]


def _levels(log: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """The different ratings, and each interaction's code."""
    if log.rating is None:
        return np.ones(1, np.float32), np.ones(len(log), np.float32)
    levels, place = np.unique(log.rating, return_inverse=True)
    if len(levels) > MOST_LEVELS or (len(levels) and levels[0] <= 0):
        raise DataError(
            f"profiles need ratings above 0 with at most {MOST_LEVELS} different values; these "
            f"have {len(levels)}, from {levels[0]:g} to {levels[-1]:g}. Round or shift them first."
        )
    return levels.astype(np.float32), (2.0 * (place + 1) / len(levels) - 1).astype(np.float32)
