"""Mixing, samplers, and an ablation whose right answer is known."""

import numpy as np
import pytest

from tests.synthesis.synthesis_cases import two_tastes
from tfadvrec.data import DataError, Split, leave_last_out, synthetic
from tfadvrec.synthesis import (
    augmentation_ablation,
    ease_rows,
    factors,
    game_rows,
    linear,
    mix,
    popularity_rows,
    random_rows,
    real_rows,
)
from tfadvrec.synthesis.groups import cold_users, tail_items

SAMPLERS = (random_rows, popularity_rows, ease_rows)


def keys(log):
    return log.user.astype(np.int64) * log.n_items + log.item


@pytest.fixture(scope="module")
def log():
    return synthetic(120, 80, n_interactions=1_500)


@pytest.mark.parametrize("to", ["all", "cold", "tail"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda one: one.__name__)
def test_samplers_give_exactly_so_many_new_pairs_where_they_belong(log, sampler, to):
    rows = sampler(log, 300, to=to, seed=5)
    assert len(rows) == len(np.unique(keys(rows))) == 300
    assert not np.isin(keys(rows), keys(log)).any()
    if to == "cold":
        assert cold_users(log)[rows.user].all()
    if to == "tail":
        assert tail_items(log)[rows.item].all()
    again = sampler(log, 300, to=to, seed=5)
    np.testing.assert_array_equal(keys(rows), keys(again))


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.33])
def test_mix_adds_exactly_its_ratio_and_marks_it(log, ratio):
    mixed = mix(log, random_rows(log, 600), ratio=ratio)
    added = mixed.take(mixed.columns["synthetic"])
    assert len(added) == round(ratio * len(log))
    assert len(np.unique(keys(mixed))) == len(mixed)
    back = real_rows(mixed)
    for name in ("user", "item", "rating", "time"):
        np.testing.assert_array_equal(getattr(back, name), getattr(log, name))
    assert real_rows(log) is log


def test_columns_are_filled_from_the_users_and_items_own_rows(log):
    rows = random_rows(log, 500)
    for user, time in zip(rows.user, rows.time, strict=True):
        assert time in log.time[log.user == user]
    for item, rating in zip(rows.item, rows.rating, strict=True):
        own = log.rating[log.item == item]
        assert not len(own) or rating in own


def test_mix_refuses_too_few_rows_other_ids_and_missing_columns(log):
    rows = random_rows(log, 100)
    with pytest.raises(DataError, match=r"asks for 150 added rows .* has 100 new ones"):
        mix(log, rows, ratio=0.1)
    with pytest.raises(DataError, match="user ids are not those"):
        mix(log, rows.replace(user_ids=np.arange(120) + 500), ratio=0.01)
    with pytest.raises(DataError, match="have no time"):
        mix(log, rows.replace(time=None), ratio=0.01)
    with pytest.raises(DataError, match=r"only [0-9,]+ pairs are left"):
        random_rows(log, 120 * 80)


def test_ratio_zero_is_the_base_model(log):
    mixed = mix(log, random_rows(log, 10), ratio=0.0)
    models = [linear(one).score_catalogue([0, 1]).numpy() for one in (log, mixed)]
    np.testing.assert_array_equal(*models)


def test_popularity_rows_are_popular_and_a_generators_rows_are_its_own(log):
    popularity = log.popularity()

    def mean(rows):
        return popularity[rows.item].mean()

    assert mean(popularity_rows(log, 400)) > 1.2 * mean(random_rows(log, 400))

    class Wants:
        n_users, n_items = log.n_users, log.n_items

        def log_weights(self, users, seed):
            return np.tile(np.where(np.arange(log.n_items) < 30, 0.0, -50.0), (len(users), 1))

    rows = game_rows(Wants())(log, 200)
    assert (rows.item < 30).mean() > 0.95
    with pytest.raises(ValueError, match="was made for"):
        game_rows(Wants())(two_tastes(), 10)


@pytest.fixture(scope="module")
def sparse():
    """Two tastes, three items a user for training: too few, and more true rows must help."""
    full = two_tastes(n_users=240, n_items=200, length=12, seed=2)
    place = np.tile(np.arange(12), 240)
    parts = [full.take(at) for at in (place < 3, place == 3, (place > 3) & (place < 8))]
    return Split(*parts), full


def true_rows(log, n, *, to="all", seed=0):
    """New pairs inside each user's own taste."""

    class Knows:
        n_users, n_items = log.n_users, log.n_items

        def log_weights(self, users, seed):
            return np.where(np.add.outer(users, np.arange(log.n_items)) % 2 == 0, 0.0, -50.0)

    return game_rows(Knows())(log, n, to=to, seed=seed)


def test_true_rows_help_and_random_rows_do_not(sparse):
    split, _ = sparse
    found = augmentation_ablation(
        split,
        build=linear,
        arms=("none", "random", "popularity", "game", "truth"),
        game=lambda log, seed: _Taste(log),
        samplers={"truth": true_rows},
        ratio=1.0,
        seeds=(0, 1, 2, 3, 4),
        grid=[{"regularization": 10.0}, {"regularization": 100.0}],
        resamples=300,
    )
    record = found.to_dict()
    assert {"truth", "game"} <= set(found.claim["better than none"])
    assert "random" not in found.claim["better than none"]
    assert found.claim["game"] is True
    arms = record["slices"]["all"]["arms"]
    assert arms["truth"]["mean"] > arms["none"]["mean"] > arms["random"]["mean"]
    assert record["added rows"] == len(split.train) + len(split.validation)
    assert "cold users" in record["slices"]
    assert "A benefit of the game is shown" in found.markdown()


class _Taste:
    """A generator that knows the truth, in the game's place."""

    def __init__(self, log):
        self.n_users, self.n_items = log.n_users, log.n_items

    def log_weights(self, users, seed):
        return np.where(np.add.outer(users, np.arange(self.n_items)) % 2 == 0, 0.0, -50.0)


def test_two_seeds_are_too_few_for_a_claim(sparse):
    split, _ = sparse
    found = augmentation_ablation(
        split,
        build=linear,
        arms=("none", "popularity", "game"),
        game=lambda log, seed: _Taste(log),
        seeds=(0, 1),
        resamples=100,
    )
    assert found.claim["game"] is False
    assert "5 seeds" in found.claim["why"]


def test_generators_never_see_the_test_and_the_choice_is_made_before_validation_is_joined(sparse):
    split, _ = sparse
    seen = []

    def game(log, seed):
        seen.append(log)
        return _Taste(log)

    augmentation_ablation(
        split, build=linear, arms=("none", "game"), game=game, seeds=(0,), resamples=50,
        grid=[{"regularization": 10.0}, {"regularization": 100.0}],
    )  # fmt: skip
    assert [len(log) for log in seen] == [
        len(split.train),
        len(split.train) + len(split.validation),
    ]
    assert not any(np.isin(keys(split.test), keys(log)).any() for log in seen)


def test_every_arm_trains_the_same_number_of_steps(sparse):
    split, _ = sparse
    asked = []

    def build(log, *, seed, steps):
        asked.append((len(log), steps))
        return linear(log)

    augmentation_ablation(
        split, build=build, arms=("none", "random", "popularity"), ratio=0.5, seeds=(0,),
        steps=123, resamples=50,
    )  # fmt: skip
    sizes = [size for size, _ in asked]
    assert sizes[1] == sizes[2] == round(1.5 * sizes[0])
    assert {steps for _, steps in asked} == {123}


def test_arms_that_do_not_exist_are_named(sparse):
    split, _ = sparse
    with pytest.raises(ValueError, match="expected 'none' and any of random, popularity, ease"):
        augmentation_ablation(split, build=linear, arms=("none", "gan"))
    with pytest.raises(ValueError, match="needs game="):
        augmentation_ablation(split, build=linear)


def test_a_split_from_the_library_works_with_matrix_factorisation():
    split = leave_last_out(synthetic(60, 40, n_interactions=900))
    found = augmentation_ablation(
        split, build=factors, arms=("none", "popularity"), ratio=0.2, seeds=(0,), steps=5,
        resamples=50,
    )  # fmt: skip
    assert found.to_dict()["slices"]["all"]["arms"]["popularity"]["mean"] >= 0
