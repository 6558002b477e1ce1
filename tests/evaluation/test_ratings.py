"""RMSE and MAE with known answers."""

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.evaluation import evaluate_ratings


def rated(rating):
    return Interactions(
        user=[0, 0, 1],
        item=[0, 1, 1],
        rating=rating,
        user_ids=np.arange(2),
        item_ids=np.arange(2),
    )


def predict(batch):
    assert batch["item_id"].shape == (len(batch["user_id"]), 1)
    return np.full((len(batch["user_id"]), 1), 3.0)


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_errors_have_their_known_values(chunk):
    result = evaluate_ratings(predict, rated([3.0, 5.0, 2.0]), chunk=chunk)
    assert result.means["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert result.means["mae"] == pytest.approx(1.0)
    low, high = result.interval("rmse")
    assert low <= result.means["rmse"] <= high
    assert result.to_dict()["counts"] == {"ratings": 3, "users": 2}


def test_predictions_are_clipped_to_the_scale():
    assert evaluate_ratings(predict, rated([4.0, 4.0, 4.0]), clip=(3.5, 5)).means["mae"] == 0.5


def test_errors_say_what_is_missing():
    with pytest.raises(ValueError, match="no ratings"):
        evaluate_ratings(predict, rated(None))
    with pytest.raises(ValueError, match="3 predicted ratings are NaN"):
        evaluate_ratings(lambda batch: np.full((3, 1), np.nan), rated([1, 2, 3]))
    with pytest.raises(ValueError, match="'rmse' or 'mae'"):
        evaluate_ratings(predict, rated([1, 2, 3])).interval("mse")
