"""Rating errors: RMSE and MAE."""

from typing import Any

import numpy as np

from tfadvrec.evaluation.rating_result import RatingResult


def evaluate_ratings(
    model: Any,
    test: Any,
    *,
    clip: tuple[float, float] | None = None,
    chunk: int = 65_536,
) -> RatingResult:
    """Compares predicted ratings with the held-out ones.

    The model is called with `{"user_id": (b,), "item_id": (b, 1)}` and returns `(b, 1)` scores,
    which must be on the scale of the ratings (a model trained with `SquaredError` on ratings).

    Args:
        model: A recommender.
        test: Held-out `Interactions` with ratings.
        clip: Smallest and largest rating; predictions are clipped to it.
        chunk: Interactions scored at once.

    Returns:
        A `RatingResult`.

    Raises:
        ValueError: If `test` has no ratings, or a prediction is NaN.
    """
    if test.rating is None or not len(test):
        raise ValueError(
            f"rating errors need a held-out log with ratings; this one has {len(test)} "
            f"interactions and {'no ratings' if test.rating is None else 'ratings'}. "
            "Read it with rating=<column>."
        )
    predicted = np.empty(len(test), np.float64)
    for start in range(0, len(test), chunk):
        part = slice(start, start + chunk)
        batch = {"user_id": test.user[part], "item_id": test.item[part][:, None]}
        predicted[part] = np.asarray(model(batch), np.float64).reshape(-1)
    if np.isnan(predicted).any():
        raise ValueError(
            f"{int(np.isnan(predicted).sum())} predicted ratings are NaN, first at row "
            f"{int(np.argmax(np.isnan(predicted)))} of the held-out log."
        )
    if clip is not None:
        predicted = np.clip(predicted, *clip)
    error = predicted - test.rating
    users, owner = np.unique(test.user, return_inverse=True)
    sums = {
        "absolute": np.bincount(owner, np.abs(error)),
        "squared": np.bincount(owner, error**2),
        "count": np.bincount(owner).astype(np.float64),
    }
    counts = {"ratings": len(test), "users": len(users)}
    return RatingResult(users=users.astype(np.int32), sums=sums, counts=counts)
