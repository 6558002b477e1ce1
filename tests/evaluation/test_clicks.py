"""Figures of predicted probabilities, with scikit-learn as the oracle."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, roc_auc_score

from tfadvrec.evaluation import click_metrics


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    logit = np.round(rng.normal(-1, 1.5, 3000), 1)  # with ties
    label = (rng.random(3000) < 1 / (1 + np.exp(-logit))).astype(int)
    return label, logit, rng.integers(0, 200, 3000)


def test_the_figures_are_scikit_learns(drawn):
    label, logit, _ = drawn
    result = click_metrics(label, 2 * logit, bins=10)
    probability = 1 / (1 + np.exp(-2 * logit))
    assert result.means["auc"] == pytest.approx(roc_auc_score(label, logit))
    assert result.means["log_loss"] == pytest.approx(log_loss(label, probability))
    base = log_loss(label, np.full(3000, label.mean()))
    assert result.means["normalised_entropy"] == pytest.approx(log_loss(label, probability) / base)
    rates = probability.sum() / label.sum()
    assert result.means["predicted_over_observed"] == pytest.approx(rates)


def test_the_calibration_error_is_the_gap_of_equally_full_bins():
    rng = np.random.default_rng(1)
    logit = rng.normal(-1, 1.5, 3000)
    label = (rng.random(3000) < 1 / (1 + np.exp(-logit))).astype(int)
    for factor, told in ((1.0, "calibrated"), (3.0, "too sure")):
        result = click_metrics(label, factor * logit, bins=10)
        bins = result.calibration()
        observed, predicted = calibration_curve(
            label, result.probability, n_bins=10, strategy="quantile"
        )
        np.testing.assert_allclose(bins["observed"], observed)
        np.testing.assert_allclose(bins["predicted"], predicted)
        assert bins["count"].tolist() == [300] * 10
        error = np.abs(observed - predicted).mean()
        assert result.means["calibration_error"] == pytest.approx(error)
        assert (error < 0.03) == (told == "calibrated")


def test_known_answers():
    constant = click_metrics([1, 0, 0, 0], np.full(4, np.log(1 / 3)), bins=1).means
    assert constant["auc"] == 0.5
    assert constant["normalised_entropy"] == pytest.approx(1.0)
    assert constant["calibration_error"] == pytest.approx(0.0)
    assert constant["predicted_over_observed"] == pytest.approx(1.0)
    assert click_metrics([1, 0], [1000.0, -1000.0]).means["log_loss"] == 0.0


def test_intervals_resample_whole_owners(drawn):
    label, logit, owner = drawn
    alone = click_metrics(label, logit)
    whole = click_metrics(np.tile(label, 4), np.tile(logit, 4), owner=np.tile(owner, 4))
    for metric in ("auc", "log_loss", "calibration_error", "normalised_entropy"):
        low, high = alone.interval(metric, resamples=100)
        assert low < high
        assert low - 0.02 < alone.means[metric] < high
    naive = click_metrics(np.tile(label, 4), np.tile(logit, 4)).interval("auc", resamples=100)
    honest = whole.interval("auc", resamples=100)
    assert honest[1] - honest[0] > 1.5 * (naive[1] - naive[0])


def test_a_difference_is_paired(drawn):
    label, logit, _ = drawn
    noisy = logit + np.random.default_rng(2).normal(0, 0.3, len(logit))
    one, other = click_metrics(label, logit), click_metrics(label, noisy)
    gap, low, high = one.difference(other, "auc", resamples=200)
    assert gap == pytest.approx(one.means["auc"] - other.means["auc"])
    assert 0 < low < gap < high
    alone = one.interval("auc", resamples=200)
    assert high - low < alone[1] - alone[0]
    with pytest.raises(ValueError, match="of the same impressions"):
        one.difference(click_metrics(label[::-1], logit), "auc")


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="some of each"):
        click_metrics([1, 1], [0.0, 1.0])
    with pytest.raises(ValueError, match="1 logits are NaN or infinite, first at row 1"):
        click_metrics([1, 0], [0.0, np.inf])
    with pytest.raises(ValueError, match=r"one shape \(n,\)"):
        click_metrics([1, 0], [0.0])
    with pytest.raises(ValueError, match="metric must be one of"):
        click_metrics([1, 0], [0.0, 1.0]).interval("rmse")
