"""Intervals, paired tests, corrections: known answers and calibration."""

import numpy as np
import pytest
from scipy import stats

from tfadvrec.evaluation import RankingResult, compare, holm, over_seeds
from tfadvrec.evaluation.bootstrap import bootstrap_means, mean_interval
from tfadvrec.evaluation.significance import sign_flip


def result_of(values, users=None):
    values = np.asarray(values, float)
    users = np.arange(len(values)) if users is None else users
    return RankingResult(
        users=users,
        per_user={"ndcg@10": values},
        overall={},
        k=(10,),
        counts={},
        mask="",
        policy="",
    )


def test_bootstrap_interval_matches_the_normal_one():
    values = np.random.default_rng(0).normal(2.0, 3.0, 2000)
    low, high = mean_interval(values, resamples=4000, seed=1)
    half = 1.96 * values.std() / 2000**0.5
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_bootstrap_is_deterministic_and_pairs_its_columns():
    values = np.random.default_rng(0).random((50, 2))
    values[3, 0] = np.nan
    both = bootstrap_means(values, resamples=100, seed=4)
    assert np.array_equal(both, bootstrap_means(values, resamples=100, seed=4))
    assert np.allclose(both[:, 1], bootstrap_means(values[:, 1], resamples=100, seed=4))
    assert not np.isnan(both).any()
    with pytest.raises(ValueError, match="no users"):
        bootstrap_means(np.empty(0))


def test_compare_finds_a_difference_and_none():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    better = compare(result_of(base + 0.05 + 0.1 * rng.normal(size=400)), result_of(base))
    assert better.low > 0
    assert max(better.p_value, better.wilcoxon) < 0.001
    assert better.difference == pytest.approx(0.05, abs=0.02)
    same = compare(result_of(base), result_of(base))
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert (same.p_value, same.wilcoxon, same.users) == (1.0, 1.0, 400)
    assert set(better.to_dict()) >= {"difference", "low", "high", "p_value"}


def test_sign_flip_agrees_with_the_exact_test():
    gap = np.array([1.0, 2.0, 3.0, -0.5, 4.0, 1.5, 0.25])
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(gap))).reshape(len(gap), -1)
    exact = np.mean(np.abs(gap @ signs) >= abs(gap.sum()))
    assert sign_flip(gap, permutations=40_000) == pytest.approx(exact, abs=0.004)


def test_p_values_are_uniform_without_a_difference():
    rng = np.random.default_rng(0)
    p = [sign_flip(rng.normal(size=60), permutations=300, seed=n) for n in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_results_of_other_users_cannot_be_compared():
    with pytest.raises(ValueError, match="different users"):
        compare(result_of([1, 2]), result_of([1, 2], users=np.array([0, 5])))


def test_holm_is_monotone_and_capped():
    assert holm({"a": 0.01, "b": 0.5, "c": 0.4}) == pytest.approx({"a": 0.03, "b": 0.8, "c": 0.8})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_over_seeds_gives_students_interval():
    means = [0.10, 0.12, 0.11, 0.13, 0.09]
    row = over_seeds([result_of([mean, mean]) for mean in means])["ndcg@10"]
    low, high = stats.t.interval(0.95, 4, np.mean(means), stats.sem(means))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["sd"] == pytest.approx(np.std(means, ddof=1))
    assert row["seeds"] == 5
    alone = over_seeds([{"auc": 0.5}])["auc"]
    assert (alone["sd"], alone["low"]) == (None, None)
    with pytest.raises(ValueError, match="at least one"):
        over_seeds([])
