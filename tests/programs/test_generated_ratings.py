"""Generated ratings: features without leaks, figures by hand, and what they do to a recommender."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from tfadvrec.data import DataError, Interactions, by_ratio
from tfadvrec.programs import generated_ratings as program
from tfadvrec.programs import recommendation_effect as effect
from tfadvrec.programs.rating_features import RatingFeatures, weekday_and_hour


@pytest.fixture(scope="module")
def split(made_log):
    """Train and test of the small log."""
    train, _, test = by_ratio(made_log, validation=0, test=0.2)
    return train, test


def test_weekday_and_hour_are_those_of_the_calendar():
    times = np.array(["2024-02-29T23:59", "1999-12-31T00:00"], "datetime64[s]").astype(int)
    weekday, hour = weekday_and_hour(times)
    assert weekday.tolist() == [3, 4]  # a Thursday, a Friday
    assert hour.tolist() == [23, 0]


def test_training_features_are_standardised_and_test_features_use_the_same_scale(split):
    train, test = split
    known = RatingFeatures.of(train)
    features = known.features(train, own=True)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-4)
    raw = known.raw(train, own=True)
    expected = (known.raw(test, own=False) - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(known.features(test), expected, atol=1e-4)
    np.testing.assert_allclose(
        known.standardised(train.rating), stats.zscore(train.rating.astype(float)), atol=1e-5
    )
    np.testing.assert_allclose(known.ratings(known.standardised(test.rating)), test.rating, 1e-5)


def test_nothing_of_the_test_part_is_looked_at(split):
    train, test = split
    known = RatingFeatures.of(train)
    worse = test.replace(rating=np.full(len(test), 1.0, np.float32))
    np.testing.assert_array_equal(known.features(test), known.features(worse))
    np.testing.assert_array_equal(known.features(test), known.features(test.replace(rating=None)))


def test_a_training_row_does_not_give_its_own_rating_away(split):
    train, _ = split
    before = RatingFeatures.of(train)
    changed = train.rating.copy()
    changed[5] = 1.0 if changed[5] > 3 else 5.0
    after = RatingFeatures.of(train.replace(rating=changed))
    at = [0, 1]  # means of user and item, as differences from the overall mean
    shift = before.mean - after.mean
    own = [
        before.raw(train, own=True)[5, at],
        after.raw(train.replace(rating=changed), own=True)[5, at],
    ]
    weight = [before.sums[side][1][getattr(train, side)[5]] - 1 for side in ("user", "item")]
    np.testing.assert_allclose(own[1] - own[0], [shift * n / (n + 5) for n in weight], rtol=1e-3)


def test_a_log_without_times_is_refused():
    log = Interactions.from_arrays([1, 2], [7, 8], rating=[1.0, 2.0])
    with pytest.raises(DataError, match="need ratings and times"):
        RatingFeatures.of(log)


def test_rating_figures_are_numpys_and_scipys():
    levels = np.array([1.0, 2.0, 3.0])
    given = np.array([1.0, 2.0, 2.0, 3.0, 3.0, 3.0])
    made = np.array([1.2, 2.0, 3.0, 2.6, 2.0, 1.0])
    figures = program.rating_figures(made, given, levels)
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean((made - given) ** 2)))
    assert figures["mae"] == pytest.approx(np.abs(made - given).mean())
    assert (figures["mean"], figures["spread"]) == (made.mean(), made.std())
    real, drawn = np.array([1, 2, 3]) + 0.5, np.array([2, 2, 2]) + 0.5
    assert figures["kl"] == pytest.approx(stats.entropy(real, drawn))


def test_the_rule_of_a_toy_log_is_learnt():
    rng = np.random.default_rng(0)
    count = 6_000
    user, item = rng.integers(0, 30, count), rng.integers(0, 30, count)
    rating = np.where(item < 15, 5.0, 1.0)
    log = Interactions.from_arrays(
        user, item, rating=rating, time=rng.integers(0, 10**8, count), duplicates="keep"
    )
    known = RatingFeatures.of(log)
    game, _ = program.train_game(log, known, None, 80, 80, 0, None)
    made = program.Maker(game, known, np.unique(log.rating)).ratings(log, seed=1)
    right = np.where(log.item_ids[log.item] < 15, 5.0, 1.0)
    assert (made == right).mean() > 0.9


def test_new_pairs_are_new_and_at_times_of_their_users(made_log):
    pairs = effect.new_pairs(made_log, 200, seed=0)
    key = pairs.user.astype(int) * 1_000 + pairs.item
    known = made_log.user.astype(int) * 1_000 + made_log.item
    assert len(pairs) == 200
    assert not np.isin(key, known).any()
    assert len(np.unique(key)) == 200
    for user, time in zip(pairs.user[:50], pairs.time[:50], strict=True):
        assert time in made_log.time[made_log.user == user]


def test_the_untouched_log_is_untouched_and_the_truth_helps(split):
    train, test = split

    class Truth:
        """Knows what is held out, where there is a rating at all."""

        def ratings(self, log, *, seed):
            return np.full(len(log), 1.0)

    rows = effect.recommendation_effect(train, test, Truth(), share=0.3)
    # pairs that nobody likes leave the liked log, and so the recommender, as it was
    assert rows["with the game's ratings"]["liked"] == 0
    assert rows["with the game's ratings"]["ndcg@10"] == rows["untouched log"]["ndcg@10"]
    assert rows["with any ratings"]["ndcg@10"] != rows["untouched log"]["ndcg@10"]
    assert "liked" not in rows["untouched log"]


def test_a_run_on_a_csv_is_whole(tmp_path, made_log, finite):
    file = tmp_path / "ratings.csv"
    with open(file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["user", "item", "rating", "timestamp"])
        ids = made_log.user_ids[made_log.user], made_log.item_ids[made_log.item]
        writer.writerows(zip(*ids, made_log.rating, made_log.time, strict=True))
    record = program.run(tmp_path / "out", data=str(file), epochs=5, seed=0)
    finite(record)
    assert json.loads((tmp_path / "out/results.json").read_text())["figures"] == record["figures"]
    assert record["data"]["interactions"] == len(made_log)
    rows = record["figures"]
    assert rows["user and item means"]["rmse"] < rows["one mean"]["rmse"]
    assert rows["game, mean of 32 draws"]["rmse"] <= rows["game, one draw"]["rmse"]
    assert rows["one mean"]["spread"] == 0
    with open(tmp_path / "out/generated.csv") as text:
        generated = list(csv.DictReader(text))
    made = np.array([float(row["generated"]) for row in generated])
    given = np.array([float(row["rating"]) for row in generated])
    error = np.sqrt(np.mean((made - given) ** 2))
    assert rows["game, one draw"]["rmse"] == pytest.approx(error, abs=1e-5)
