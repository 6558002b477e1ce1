"""Every distance against SciPy, and against values worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from tfadvrec.synthesis.binomial import clopper_pearson, receiver_curve, threshold_at
from tfadvrec.synthesis.distances import (
    jensen_shannon,
    kolmogorov_smirnov,
    kullback_leibler,
    total_variation,
    wasserstein,
)
from tfadvrec.synthesis.profiles import nearest_similarity


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return rng.integers(0, 9, 40), rng.integers(0, 30, 40)


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    return rng.normal(size=300).round(1), rng.normal(0.3, 2, size=170).round(1)


def test_jensen_shannon_is_scipys_distance(counts):
    assert jensen_shannon(*counts) == pytest.approx(distance.jensenshannon(*counts, base=2))
    assert jensen_shannon(counts[0], counts[0]) == 0


def test_total_variation_by_hand_and_as_half_the_city_block(counts):
    assert total_variation([2, 0, 2], [1, 2, 1]) == pytest.approx(0.5)
    p, q = (c / c.sum() for c in counts)
    assert total_variation(*counts) == pytest.approx(distance.cityblock(p, q) / 2)


def test_kullback_leibler_smooths_and_has_a_direction(counts):
    p, q = (c + 0.5 for c in counts)
    assert kullback_leibler(*counts) == pytest.approx(stats.entropy(p, q, base=2))
    assert kullback_leibler(*counts) != pytest.approx(kullback_leibler(*counts[::-1]))
    assert np.isfinite(kullback_leibler([5, 0], [0, 5]))


def test_kolmogorov_smirnov_and_wasserstein_are_scipys(samples):
    assert kolmogorov_smirnov(*samples) == pytest.approx(stats.ks_2samp(*samples).statistic)
    assert wasserstein(*samples) == pytest.approx(stats.wasserstein_distance(*samples))


def test_an_empty_sample_is_refused():
    with pytest.raises(ValueError, match="got 0 and 1"):
        wasserstein(np.array([]), np.array([1.0]))
    with pytest.raises(ValueError, match="sum above 0"):
        total_variation([0, 0], [1, 0])


@pytest.mark.parametrize(("hits", "of"), [(0, 20), (3, 20), (20, 20), (1, 1000)])
def test_clopper_pearson_is_scipys_exact_interval(hits, of):
    wanted = stats.binomtest(hits, of).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, of) == pytest.approx(tuple(wanted))


def test_the_threshold_lets_no_more_non_members_through_than_allowed():
    scores = np.array([1.0, 2.0, 2.0, 3.0] + [0.0] * 96)
    for rate in (0.0, 0.01, 0.02, 0.03, 0.05):
        assert (scores > threshold_at(scores, rate)).mean() <= rate
    assert threshold_at(scores, 0.01) == 2.0
    assert receiver_curve(np.arange(500.0), np.arange(500.0))[-1] == [1.0, 1.0]


def test_nearest_similarity_is_scipys_jaccard():
    rng = np.random.default_rng(2)
    a, b = rng.random((7, 30)) < 0.3, rng.random((9, 30)) < 0.3
    wanted = 1 - distance.cdist(a, b, "jaccard").min(axis=1)
    from scipy.sparse import csr_matrix

    np.testing.assert_allclose(nearest_similarity(csr_matrix(a), csr_matrix(b)), wanted)
    same = nearest_similarity(csr_matrix(a), csr_matrix(a), skip_self=True)
    assert same.max() < 1
