"""Columns, pairs and the popularity curve, with their two reference rows."""

import numpy as np
import pytest
from scipy import stats

from tests.synthesis.synthesis_cases import two_tastes
from tfadvrec.data import Interactions, synthetic
from tfadvrec.synthesis import (
    event_columns,
    fidelity,
    gaussian_copula,
    independent_columns,
    popularity_profiles,
)
from tfadvrec.synthesis.columns import column_distances
from tfadvrec.synthesis.pairs import pair_distances
from tfadvrec.synthesis.popularity import popularity_distances, popularity_facts


def test_columns_come_from_time_ratings_columns_and_users():
    log = Interactions.from_arrays(
        ["a", "a", "b"], [1, 2, 1], rating=[1, 5, 3], time=[0, 86_399, 4 * 86_400]
    )
    log = log.replace(
        columns={"place": np.array(["x", "y", "x"])}, user_features={"age": np.array([20.0, 30.0])}
    )
    found = event_columns(log)
    assert found["weekday"].values.tolist() == [3, 3, 0]  # Thursday, Thursday, Monday
    assert found["hour"].values.tolist() == [0, 23, 0]
    assert found["place"].kind == "category"
    assert found["rating"].kind == "ordinal"
    assert (found["age"].unit, found["profile length"].values.tolist()) == ("user", [2, 1])


def test_a_user_without_interactions_is_in_no_column():
    log = Interactions.from_arrays(["a", "b"], [1, 2]).replace(
        user_features={"age": np.array([20.0, 30.0])}
    )
    assert event_columns(log.take([1]))["age"].values.tolist() == [30.0]


def test_numbers_get_scipys_distances_and_categories_none():
    a, b = synthetic(80, 50, n_interactions=900), synthetic(80, 50, n_interactions=900, seed=1)
    real, other = event_columns(a), event_columns(b)
    found = column_distances(real["rating"], other["rating"])
    assert found["ks"] == pytest.approx(stats.ks_2samp(a.rating, b.rating).statistic)
    assert found["wasserstein"] == pytest.approx(stats.wasserstein_distance(a.rating, b.rating))
    assert "ks" not in column_distances(real["item"], other["item"])


def test_the_noise_floor_stands_beside_a_copula_that_misses_who_takes_what():
    log = two_tastes()
    record = fidelity(log, gaussian_copula(log, len(log)), repeats=3)
    rows = record["pairs"]["co-occurrence"]
    assert rows["synthetic"]["mean"] > 1.5 * rows["real halves"]["mean"]
    assert rows["independent columns"]["mean"] > 1.5 * rows["real halves"]["mean"]
    js = record["columns"]["item"]["js"]
    assert js["synthetic"]["mean"] < 1.2 * js["real halves"]["mean"]


def test_another_sample_of_the_same_people_is_at_the_noise_floor():
    log = two_tastes(n_users=400)
    record = fidelity(log, two_tastes(n_users=400, seed=9), repeats=5)
    for values in (record["columns"]["item"]["js"], record["pairs"]["co-occurrence"]):
        assert values["synthetic"]["mean"] == pytest.approx(values["real halves"]["mean"], rel=0.25)


def test_independent_columns_keep_margins_and_lose_associations():
    log = synthetic(300, 80, n_interactions=6_000)
    made = independent_columns(log, 6_000, seed=1)
    assert len(made) == 6_000
    assert len(np.unique(made.user * 1000 + made.item)) == 6_000
    assert stats.spearmanr(log.popularity(), made.popularity()).statistic > 0.9
    tied = np.corrcoef(made.rating, np.bincount(made.user)[made.user])[0, 1]
    assert abs(tied) < 0.05
    assert set(made.rating) <= set(log.rating)


def test_the_copula_keeps_a_correlation_that_independent_columns_lose():
    log = synthetic(200, 60, n_interactions=4_000)
    appeal = stats.rankdata(log.popularity()[log.item])
    log = log.replace(rating=np.clip(appeal / len(log) * 4 + 1, 1, 5).round(1))
    rows = {
        name: pair_distances(log, make(log, 4_000, 5))["correlation"]["popularity x rating"]
        for name, make in (("copula", gaussian_copula), ("independent", independent_columns))
    }
    assert rows["copula"] < 0.15
    assert rows["independent"] > 0.7


def test_popularity_profiles_keep_lengths_and_never_repeat():
    log = synthetic(300, 80, n_interactions=6_000)
    made = popularity_profiles(log, 6_000, seed=1)
    assert len(made) == 6_000 == len(np.unique(made.user * 1000 + made.item))
    lengths = set(np.bincount(log.user))
    assert set(np.bincount(made.user)[:-1]) <= lengths


def test_popularity_by_hand():
    log = Interactions.from_arrays([1, 2, 3, 4, 1], [7, 7, 7, 7, 8])
    log = log.replace(item_ids=np.array([7, 8, 9, 10]))
    facts = popularity_facts(log)
    assert facts["coverage"] == 0.5
    assert (facts["head"], facts["middle"], facts["tail"]) == pytest.approx((0.8, 0.2, 0.0))
    assert facts["gini"] == pytest.approx(0.65)  # (-3*0 - 1*0 + 1*1 + 3*4) / (4 * 5)
    assert popularity_distances(log, log)["spearman of item counts"] == pytest.approx(1.0)


def test_text_against_numbers_is_refused():
    a = Interactions.from_arrays([1, 1, 2, 2, 3, 4], [7, 8, 7, 8, 7, 8])
    log = a.replace(columns={"place": np.arange(6)})
    other = a.replace(columns={"place": np.array(list("abcdef"))})
    with pytest.raises(ValueError, match="'place' holds numbers in one log and text"):
        fidelity(log, other, repeats=1)
