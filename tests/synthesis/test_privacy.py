"""Copies are found; a generator that copies is caught; one that ignores its users is not."""

import numpy as np
import pytest

from tfadvrec.data import Interactions, synthetic
from tfadvrec.synthesis import copy_check, independent_columns, membership
from tfadvrec.synthesis.mixing import joined
from tfadvrec.synthesis.shared_items import of_users


def with_copies(made, members, count):
    """The made log with some members' profiles among its own users'."""
    extra = of_users(members, np.arange(count))
    shifted = extra.replace(
        user=extra.user + np.int32(made.n_users),
        user_ids=np.concatenate([made.user_ids, [f"copy {n}" for n in range(count)]]),
        user_features={},
    )
    return joined(made.replace(user_ids=shifted.user_ids, user_features={}), shifted)


def test_planted_copies_are_counted_and_move_the_minimum_not_the_median(population):
    members, others = population
    made = independent_columns(members, len(members), seed=1)
    clean, found = (
        copy_check(log, members, others) for log in (made, with_copies(made, members, 7))
    )
    assert clean["against"]["train"]["exact profiles"] == 0
    train = found["against"]["train"]
    assert train["exact profiles"] * found["profiles"] == pytest.approx(7)
    assert (train["minimum"], train["first percentile"]) == (0, 0)
    assert train["median"] > 0.5
    assert found["against"]["holdout"]["exact profiles"] == 0
    assert found["against"]["train, equal size"]["users"] == others.n_users


def test_rows_are_compared_without_their_users(population):
    members, others = population
    made = members.replace(user=(members.user + 1) % members.n_users)
    found = copy_check(made, members, others)
    assert found["against"]["train"]["exact rows"] == 1.0
    assert found["against"]["holdout"]["exact rows"] < 0.1
    assert found["row columns"] == ["item", "rating", "time"]


def test_a_generator_that_returns_its_users_is_caught_without_shadows(population):
    members, others = population
    found = membership(members, members, others)
    assert found["at"]["0.01"]["true positives"]["low"] > 0.9
    assert found["non-members"] == 150  # the other half is the reference population
    assert "weaker attack" in found["attack"]


def test_a_generator_that_returns_some_of_its_users_is_caught_by_shadows(population):
    members, others = population

    def rebuild(log, seed):
        kept = np.random.default_rng(seed).permutation(log.n_users)[: log.n_users // 2]
        return of_users(log, kept)

    found = membership(rebuild(members, 5), members, others, rebuild=rebuild, shadows=8)
    at = found["at"]["0.01"]
    assert (found["members"], found["non-members"], found["shadows"]) == (300, 300, 8)
    assert at["true positives"]["low"] > 0.3
    assert at["false positives"]["value"] <= 0.01
    assert found["outliers"]["0.01"]["true positives"]["hits"] > 0


def test_a_generator_that_ignores_its_users_is_at_chance(population):
    members, others = population

    def rebuild(log, seed):
        return synthetic(300, 300, n_interactions=7_500, seed=seed)

    for options in ({}, {"rebuild": rebuild, "shadows": 8}):
        found = membership(rebuild(members, 77), members, others, **options)
        at = found["at"]["0.01"]
        low, high = at["true positives"]["low"], at["true positives"]["high"]
        assert low <= at["blind guess"] <= high
        curve = np.array(found["curve"])
        area = np.trapezoid(curve[:, 1], curve[:, 0])
        assert abs(area - 0.5) < 0.08


def test_one_in_a_thousand_needs_a_thousand_non_members(population):
    members, others = population
    found = membership(members, members, others)
    assert found["at"]["0.001"]["false positives"]["hits"] == 0
    assert found["at"]["0.001"]["false positives"]["high"] > 0.02


def test_users_on_both_sides_are_refused(population):
    members, _ = population
    with pytest.raises(ValueError, match="hold whole users out"):
        membership(members, members, members)


def test_few_users_are_refused():
    log = Interactions.from_arrays([1, 2, 3], [7, 8, 9])
    other = Interactions.from_arrays([4, 5, 6], [7, 8, 9])
    with pytest.raises(ValueError, match="10 members and 10 non-members"):
        membership(log, log, other)
