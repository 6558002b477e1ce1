"""What is known of a rating before it is given: its user, its item, weekday and hour."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tfadvrec.data import DataError, Interactions

NAMES = (
    "user mean", "item mean", "user count", "item count",
    "weekday sine", "weekday cosine", "hour sine", "hour cosine",
)  # fmt: skip
DAMPING = 5.0


def weekday_and_hour(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weekday (0 is Monday) and hour, UTC, of seconds since the epoch.

    Example:
        >>> weekday_and_hour(np.array([0, 90_000]))  # Thursday 0:00, Friday 1:00
        (array([3, 4]), array([0, 1]))
    """
    seconds = np.asarray(seconds, np.int64)
    return (seconds // 86_400 + 3) % 7, seconds // 3_600 % 24


@dataclass(frozen=True, eq=False)
class RatingFeatures:
    """Features of interactions, with every statistic taken from a training log alone.

    Ids are names, not numbers: user and item come in as their damped mean rating and the logarithm
    of their number of ratings, weekday and hour as points on a circle. Of a training row the
    user's and item's figures are those of their *other* ratings: with its own in them, a row would
    give its rating away. All features and ratings are standardised by the training rows.

    Attributes:
        sums: For `"user"` and `"item"`: sums of differences from the mean, and counts.
        mean: Of the training ratings.
        feature_scaler: scikit-learn's `StandardScaler`, fitted on training rows.
        rating_scaler: The same for ratings.
    """

    sums: dict[str, tuple[np.ndarray, np.ndarray]]
    mean: float
    feature_scaler: Any
    rating_scaler: Any

    @classmethod
    def of(cls, train: Interactions) -> Self:
        """The statistics of a training log.

        Raises:
            DataError: The log has no ratings or no times.
        """
        from sklearn.preprocessing import StandardScaler

        if train.rating is None or train.time is None:
            raise DataError(
                f"{train.name}: ratings by weekday and hour need ratings and times; read the log "
                "with rating=<column>, time=<column>."
            )
        mean = float(train.rating.mean(dtype=np.float64))
        sums = {}
        for side, count in (("user", train.n_users), ("item", train.n_items)):
            rows = getattr(train, side)
            sums[side] = (
                np.bincount(rows, train.rating - mean, minlength=count),
                np.bincount(rows, minlength=count).astype(np.float64),
            )
        made = cls(sums, mean, StandardScaler(), StandardScaler())
        made.feature_scaler.fit(made.raw(train, own=True))
        made.rating_scaler.fit(train.rating[:, None].astype(np.float64))
        return made

    def raw(self, log: Interactions, *, own: bool) -> np.ndarray:
        """Features before standardisation, float64 `(n, 8)`.

        Args:
            log: Interactions with the training log's vocabularies.
            own: Whether these are the training rows, whose own ratings are taken out.
        """
        left = log.rating - self.mean if own else np.zeros(len(log))
        columns = []
        counts = []
        for side in ("user", "item"):
            rows = getattr(log, side)
            total, number = self.sums[side][0][rows] - left, self.sums[side][1][rows] - int(own)
            columns.append(total / (number + DAMPING))
            counts.append(np.log1p(number))
        weekday, hour = weekday_and_hour(log.time)
        for value, cycle in ((weekday, 7), (hour, 24)):
            counts += [np.sin(2 * np.pi * value / cycle), np.cos(2 * np.pi * value / cycle)]
        return np.stack(columns + counts, axis=1)

    def features(self, log: Interactions, *, own: bool = False) -> np.ndarray:
        """Standardised features, float32 `(n, 8)`; see `raw`."""
        return self.feature_scaler.transform(self.raw(log, own=own)).astype(np.float32)

    def standardised(self, ratings: np.ndarray) -> np.ndarray:
        """Ratings in training deviations from the training mean, float32 `(n,)`."""
        return self.rating_scaler.transform(np.asarray(ratings, np.float64)[:, None])[:, 0].astype(
            np.float32
        )

    def ratings(self, standardised: np.ndarray) -> np.ndarray:
        """The way back, float64 `(n,)`."""
        return self.rating_scaler.inverse_transform(np.asarray(standardised, np.float64)[:, None])[
            :, 0
        ]
