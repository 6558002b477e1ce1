"""Samples of a game mixed into a log of ratings."""

import functools
import json

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.games.profiles import Profiles
from tfadvrec.programs import mixing
from tfadvrec.programs import ratings_with_samples as program
from tfadvrec.programs.rating_model import Factorised, Means, factorise


def test_samples_are_users_of_their_own_and_the_log_comes_first(made_log):
    ratings = np.zeros((2, made_log.n_items), np.float32)
    ratings[1, [3, 5]] = 2.0, 4.0
    both = mixing.mixed(made_log, ratings)
    count = len(made_log)
    np.testing.assert_array_equal(both.user[:count], made_log.user)
    np.testing.assert_array_equal(both.rating[:count], made_log.rating)
    assert both.user[count:].tolist() == [made_log.n_users + 1] * 2
    assert both.item[count:].tolist() == [3, 5]
    assert both.n_users == made_log.n_users + 2
    assert not both.real


def test_neighbours_have_the_asked_lengths_and_only_ratings_there_are(made_log):
    lengths = np.array([0, 1, 7, 30])
    drawn = mixing.random_profiles(made_log, Profiles.of(made_log), lengths, seed=0)
    popular = mixing.popular_profiles(made_log, lengths, seed=0)
    for made in (drawn, popular):
        np.testing.assert_array_equal((made > 0).sum(axis=1), lengths)
        assert set(np.unique(made)) <= {0.0, *np.unique(made_log.rating).tolist()}


def test_popular_samples_follow_popularity_and_the_items_own_ratings():
    user = np.arange(100)
    item = np.where(user < 80, 0, 1)
    log = Interactions.from_arrays(
        user, item, rating=np.where(item == 0, 5.0, 2.0), item_ids=[0, 1, 2]
    )
    made = mixing.popular_profiles(log, np.ones(2_000, int), seed=0)
    assert (made[:, 0] > 0).mean() == pytest.approx(0.8, abs=0.04)
    assert set(np.unique(made[:, 0])) == {0.0, 5.0}
    assert set(np.unique(made[:, 1])) == {0.0, 2.0}
    assert not made[:, 2].any()


def test_clean_and_attacked_errors_are_numpys():
    rng = np.random.default_rng(0)
    means = Means(3.0, rng.normal(size=5), rng.normal(size=4))
    model = Factorised(means, rng.normal(size=(4, 2)), rng.normal(size=(5, 2)))
    test = Interactions.from_arrays(
        [0, 1, 3], [4, 0, 2], rating=[1.0, 3.0, 5.0], user_ids=range(4), item_ids=range(5)
    )
    nothing = mixing.alone(test, np.zeros((2, 5)))
    found = program.judged(model, test, nothing)
    clean, attacked = [], []
    for u, i, r in zip(test.user, test.item, test.rating, strict=True):
        p, q, base = model.users[u], model.items[i], 3.0 + means.item[i] + means.user[u]
        error = base + p @ q - r
        move = program.EPSILON * np.sign(error)
        moved = (p + move * q / np.linalg.norm(q)) @ (q + move * p / np.linalg.norm(p))
        clean.append(error)
        attacked.append(base + moved - r)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(clean))))
    assert found["mae"] == pytest.approx(np.mean(np.abs(clean)))
    assert found["attacked_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(attacked))))
    assert "generated_rmse" not in found


def test_samples_like_the_log_have_its_figures(made_log):
    profiles = Profiles.of(made_log)
    figures = program.sample_figures(made_log, profiles.ratings(profiles.x), profiles.levels)
    assert figures["length"] == pytest.approx(figures["real_length"])
    assert figures["popularity_correlation"] == pytest.approx(1.0)
    assert figures["rating_kl"] == pytest.approx(0.0, abs=1e-9)
    flat = program.sample_figures(made_log, np.full((3, 60), 5.0, "float32"), profiles.levels)
    assert flat["popularity_correlation"] == 0.0
    assert flat["rating_kl"] > 0.5


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_a_short_run_is_whole(tmp_path, made_log, finite, eager, monkeypatch):
    quick = functools.partial(factorise, epochs=2)
    monkeypatch.setattr(program, "factorise", quick)
    record = program.run(tmp_path, data=made_log, epochs=4, seed=1, every=2)
    finite(record)
    assert json.loads((tmp_path / "results.json").read_text())["figures"] == record["figures"]
    assert record["files"] == [
        "checkpoints/epoch-0002.weights.h5",
        "checkpoints/epoch-0004.weights.h5",
        "ratings_with_samples.png",
        "samples.npz",
    ]
    assert np.load(tmp_path / "samples.npz")["ratings"].shape == (20, 60)
    rows = record["figures"]
    for label in ("no samples", "the game's samples mixed in", "random samples mixed in"):
        assert rows[label]["attacked_rmse"] > rows[label]["rmse"] > 0.3
    assert rows["user and item means"]["rmse"] < rows["one mean"]["rmse"]
    assert not record["data"]["real"]
