"""Neighbours by attributes and means of genres, on items whose likeness is known."""

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.models.attribute_vectors import attribute_matrix
from tfadvrec.models.baselines.content_knn import ContentKNN
from tfadvrec.models.baselines.genre_mean import GenreMean
from tfadvrec.models.feature_column import FeatureColumn

KINDS = [("war",), ("war",), ("love",), ("love",), ("war",), ("love",)]


@pytest.fixture
def log():
    """Users 0 and 1 take war, 2 and 3 love; items 4 (war) and 5 (love) are new."""
    kinds = np.empty(6, object)
    kinds[:] = KINDS
    return Interactions(
        user=np.array([0, 0, 1, 2, 3, 3], np.int32),
        item=np.array([0, 1, 0, 2, 2, 3], np.int32),
        user_ids=np.arange(4),
        item_ids=np.arange(6),
        item_features={"genre": kinds, "year": np.arange(1990.0, 1996.0)},
    )


def knn(log, features=("genre",), **config):
    model = ContentKNN(n_users=log.n_users, n_items=log.n_items, **config)
    return model.fit(log, features)


def genre_mean(log, **config):
    return GenreMean.for_log(log, "genre", **config)


@pytest.mark.parametrize("make", [knn, genre_mean])
def test_new_items_are_ranked_by_their_attributes(log, make):
    scores = np.asarray(make(log).score_catalogue([0, 1, 2, 3]))
    assert (np.argmax(scores[:, 4:], axis=1) == [0, 0, 1, 1]).all()


@pytest.mark.parametrize("make", [knn, genre_mean])
def test_call_agrees_with_the_catalogue(log, make):
    model = make(log)
    dense = np.asarray(model.score_catalogue([0, 3]))
    shared = model({"user_id": np.array([0, 3]), "item_id": np.arange(6)})
    np.testing.assert_allclose(shared, dense, rtol=1e-6)
    some = np.array([[5, 1], [0, 4]])
    picked = model({"user_id": np.array([0, 3]), "item_id": some})
    np.testing.assert_allclose(picked, np.take_along_axis(dense, some, 1), rtol=1e-6)


def test_neighbours_have_interactions_and_are_not_the_item_itself(log):
    model = knn(log, neighbours=3)
    first, items = model.first.numpy(), model.items.numpy()
    assert first[4] == first[6] > 0  # the last two are nobody's neighbours
    for item in range(6):
        assert item not in items[first[item] : first[item + 1]]


def test_a_share_of_equal_neighbours_is_counted_by_hand(log):
    scores = np.asarray(knn(log, average=True).score_catalogue([0, 1]))
    np.testing.assert_allclose(scores[:, 4], [1.0, 0.5], rtol=1e-6)
    summed = np.asarray(knn(log, average=False).score_catalogue([0, 1]))
    np.testing.assert_allclose(summed[:, 4], [2.0, 1.0], rtol=1e-6)


def test_a_user_known_by_history_gets_the_same_scores(log):
    model = knn(log)
    np.testing.assert_allclose(model.score_history([[0, 1, -1]]), model.score_catalogue([0]))


def test_a_genre_is_the_share_of_its_items_that_were_taken(log):
    model = genre_mean(log)
    np.testing.assert_allclose(model.shares, [[0, 1], [0, 0.5], [0.5, 0], [1, 0]])


def test_items_of_several_genres_get_their_mean(log):
    both = log.item_features["genre"].copy()
    both[5] = ("love", "war")
    model = genre_mean(log.replace(item_features={"genre": both}))
    np.testing.assert_allclose(np.asarray(model.score_catalogue([0, 3]))[:, 5], 0.5)


def test_rare_values_and_near_numbers_are_more_alike():
    genres = [("drama", "noir"), ("drama", "noir"), ("drama",), ("drama", "noir"), ("drama",)]
    columns = [
        FeatureColumn.learn("genre", genres),
        FeatureColumn.learn("year", [1990, 1991, 2000, 1950, 1990]),
    ]
    features = {"genre": genres, "year": [1990, 1991, 2000, 1950, 1990]}
    everyone = np.ones(5, bool)
    vectors = attribute_matrix(columns, features, everyone).toarray()
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(np.diag(cosines), 1, rtol=1e-6)
    assert cosines[0, 1] > cosines[0, 3] > cosines[0, 2]
    alone = attribute_matrix(columns, features, everyone, weights={"genre": 0.0}).toarray()
    assert (alone @ alone.T)[0, 4] == pytest.approx(1)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (lambda log: knn(log, ["plot"]), "no item feature 'plot'"),
        (lambda log: genre_mean(log.replace(item_features={})), "no item feature 'genre'"),
        (lambda log: GenreMean.for_log(log, "year"), "holds numbers"),
        (lambda log: knn(log.replace(item_features={}), None), "no item features"),
        (lambda log: knn(log, neighbours=0), "neighbours >= 1"),
        (lambda log: ContentKNN(n_users=4, n_items=6).score_catalogue([0]), "bind"),
    ],
)
def test_what_is_missing_is_named(log, fit, words):
    with pytest.raises(ValueError, match=words):
        fit(log)


def test_configurations_rebuild(log):
    for model in (knn(log, neighbours=2, average=False), genre_mean(log)):
        again = type(model).from_config(model.get_config())
        assert {**again.get_config(), "name": ""} == {**model.get_config(), "name": ""}
        again.set_weights(model.get_weights())
        again.bind(log)
        np.testing.assert_allclose(again.score_catalogue([0, 2]), model.score_catalogue([0, 2]))
