"""Distances against NumPy, SciPy and hand."""

import numpy as np
import pytest
from scipy import stats

from tfadvrec.programs.distances import (
    earth_movers_distance,
    kl_divergence,
    nearest_level,
    neighbourhoods,
    rating_errors,
)


def test_rating_errors_are_root_mean_square_and_mean_absolute():
    errors = rating_errors(np.array([1.0, 4.0, 5.0]), np.array([2.0, 4.0, 2.0]))
    assert errors["rmse"] == pytest.approx((10 / 3) ** 0.5)
    assert errors["mae"] == pytest.approx(4 / 3)


def test_kl_of_full_bins_is_scipys_and_zero_for_the_same():
    first, second = np.array([300, 500, 200]), np.array([100, 400, 500])
    assert kl_divergence(first, second, floor=0.0) == pytest.approx(stats.entropy(first, second))
    assert kl_divergence(first, first) == 0


def test_kl_with_an_empty_bin_is_finite_and_grows_with_the_evidence():
    few = kl_divergence(np.array([5, 5]), np.array([10, 0]))
    many = kl_divergence(np.array([500, 500]), np.array([1000, 0]))
    assert 0 < few < many < 10


def test_the_nearest_level_is_the_one_at_the_smallest_distance():
    rng = np.random.default_rng(0)
    values, levels = rng.uniform(-1, 7, 200), np.array([0.5, 1.0, 2.5, 5.0])
    expected = np.abs(values[:, None] - levels).argmin(axis=1)
    np.testing.assert_array_equal(nearest_level(values, levels), expected)


def test_the_distance_of_shifted_points_is_the_shift_and_in_one_dimension_scipys():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 3))
    assert earth_movers_distance(points, points[::-1] + np.array([2.0, 0.0, 0.0])) == pytest.approx(
        2.0
    )
    first, second = rng.normal(size=(80, 1)), rng.exponential(size=(80, 1))
    assert earth_movers_distance(first, second) == pytest.approx(
        stats.wasserstein_distance(first[:, 0], second[:, 0])
    )
    with pytest.raises(ValueError, match="80 and 60"):
        earth_movers_distance(first, first[:60])


def test_the_same_distribution_cannot_be_told_apart_and_another_can():
    rng = np.random.default_rng(1)
    real, same = rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
    fine, far = neighbourhoods(real, same), neighbourhoods(real, same + 20.0)
    assert fine["told_apart"] == pytest.approx(0.5, abs=0.06)
    assert fine["precision"] > 0.9
    assert fine["coverage"] > 0.9
    assert far == {"precision": 0.0, "coverage": 0.0, "told_apart": 1.0}


def test_collapse_keeps_precision_and_loses_coverage():
    rng = np.random.default_rng(2)
    real = rng.normal(size=(400, 2))
    collapsed = neighbourhoods(real, rng.normal(size=(400, 2)) * 0.01)
    assert collapsed["precision"] == 1.0
    assert collapsed["coverage"] < 0.1


def test_copies_are_told_apart_less_than_by_chance():
    real = np.random.default_rng(3).normal(size=(100, 3))
    assert neighbourhoods(real, real.copy())["told_apart"] < 0.1
