"""Losses against NumPy, keras-rs and hand-made answers."""

import json

import keras
import keras_rs
import numpy as np
import pytest

from tfadvrec import losses

LABELS = np.array([[1, 0, 0, -1], [1, 0, 0, 0], [1, -1, -1, 0]], np.float32)
SCORES = np.array([[0.5, 1.0, -1.0, 9.0], [2, 0, 1, -3], [0, 5, 5, 0]], np.float32)
EVERY = [
    losses.BayesianPersonalizedRanking,
    losses.Hinge,
    losses.Logistic,
    losses.SquaredError,
    losses.InBatchSoftmax,
]


def softplus(x):
    return np.log1p(np.exp(x))


def rows(loss):
    return np.asarray(loss(reduction=None)(LABELS, SCORES))


def test_bpr_is_the_mean_softplus_over_pairs():
    expected = [
        (softplus(0.5) + softplus(-1.5)) / 2,
        (softplus(-2) + softplus(-1) + softplus(-5)) / 3,
        softplus(0),
    ]
    np.testing.assert_allclose(rows(losses.BayesianPersonalizedRanking), expected, rtol=1e-6)


def test_hinge_is_the_mean_missing_lead():
    np.testing.assert_allclose(rows(losses.Hinge), [0.75, 0.0, 1.0], rtol=1e-6)


def test_logistic_is_the_mean_cross_entropy_of_known_candidates():
    expected = [
        (softplus(-0.5) + softplus(1) + softplus(-1)) / 3,
        (softplus(-2) + softplus(0) + softplus(1) + softplus(-3)) / 4,
        np.log(2),
    ]
    np.testing.assert_allclose(rows(losses.Logistic), expected, rtol=1e-6)


def test_squared_error_counts_every_label():
    expected = np.mean((LABELS - SCORES) ** 2, axis=1)
    np.testing.assert_allclose(rows(losses.SquaredError), expected, rtol=1e-6)


def test_softmax_leaves_ignored_candidates_out():
    known = [SCORES[0, :3], SCORES[1], SCORES[2, [0, 3]]]
    expected = [np.log(np.exp(s).sum()) - s[0] for s in known]
    np.testing.assert_allclose(rows(losses.InBatchSoftmax), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (losses.BayesianPersonalizedRanking, keras_rs.losses.PairwiseLogisticLoss),
        (losses.Hinge, keras_rs.losses.PairwiseHingeLoss),
    ],
)
def test_one_negative_agrees_with_keras_rs(ours, theirs):
    random = np.random.default_rng(0)
    scores = random.normal(size=(50, 2)).astype(np.float32)
    labels = np.tile(np.array([[1.0, 0.0]], np.float32), (50, 1))
    expected = np.asarray(theirs(reduction=None)(labels, scores)).sum(axis=-1)
    np.testing.assert_allclose(ours(reduction=None)(labels, scores), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", EVERY)
def test_two_columns_are_no_special_case(loss):
    """The short way for one negative gives what the general way gives with an ignored third."""
    wide = np.array([[1, 0, -1]] * 4, np.float32)
    scores = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    if loss is losses.SquaredError:
        wide[:, 2], scores[:, 2] = 0, 0
        expected = np.asarray(loss(reduction=None)(wide, scores)) * 3 / 2
    else:
        expected = loss(reduction=None)(wide, scores)
    narrow = loss(reduction=None)(wide[:, :2], scores[:, :2])
    np.testing.assert_allclose(narrow, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", EVERY)
def test_the_default_sums_over_the_batch(loss):
    total = float(loss()(LABELS, SCORES))
    assert total == pytest.approx(float(np.sum(rows(loss))), rel=1e-6)


@pytest.mark.parametrize("loss", EVERY)
def test_config_round_trip_through_json(loss):
    config = keras.saving.serialize_keras_object(loss())
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is loss
    assert again.get_config() == loss().get_config()


@pytest.mark.parametrize("loss", EVERY)
def test_large_scores_stay_finite(loss):
    labels = np.array([[1, 0], [1, 0]], np.float32)
    scores = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    assert np.isfinite(float(loss()(labels, scores)))
