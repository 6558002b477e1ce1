"""Vectors out of attributes: items that nobody has met are ranked by what they are."""

import json

import numpy as np
import pytest

from tfadvrec import serving
from tfadvrec.data import Interactions
from tfadvrec.games.cold_start import ColdStartGame
from tfadvrec.models import ItemKNN, MatrixFactorization, PureSVD, Recommender
from tfadvrec.models.attribute_recommender import AttributeRecommender
from tfadvrec.models.vector_alignment import aligned

GENRES = ("war", "love", "space", "crime", "farce")
USERS, ITEMS, NEW = 60, 80, 20


def tastes_log(seed=0):
    """Users like one genre each, and take what has it; the last items are new."""
    random = np.random.default_rng(seed)
    has = random.random((ITEMS, len(GENRES))) < 0.35
    has[np.arange(ITEMS), np.arange(ITEMS) % len(GENRES)] = True
    liked = np.arange(USERS) % len(GENRES)
    wanted = has[:, liked].T
    taken = wanted & (random.random((USERS, ITEMS)) < 0.8)
    taken[:, -NEW:] = False
    user, item = np.nonzero(taken)
    kinds = np.empty(ITEMS, object)
    kinds[:] = [tuple(np.array(GENRES)[row]) for row in has]
    log = Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=np.array([f"u{n}" for n in range(USERS)]),
        item_ids=np.array([f"i{n}" for n in range(ITEMS)]),
        item_features={"genre": kinds, "year": random.integers(1950, 2000, ITEMS).astype(float)},
        user_features={"likes": np.array(GENRES)[liked]},
        name="tastes",
        real=False,
    )
    return log, wanted


@pytest.fixture(scope="module")
def tastes():
    return tastes_log()


@pytest.fixture(scope="module")
def known(tastes):
    log, _ = tastes
    return PureSVD(n_users=USERS, n_items=ITEMS, rank=5).fit(log)


def trained(log, known, passes=120, **config):
    options = {"features": ["genre"], "hidden": [32], "code_dimension": 16, "seed": 1}
    model = AttributeRecommender.for_log(log, known, **options | config)
    game = ColdStartGame.for_log(log, model)
    game.compile("adam", "adam", adversarial_weight=0)
    game.generator_optimizer.learning_rate = 0.01
    game.fit(game.batches(log, batch_size=40).repeat(passes), verbose=0)
    return model


@pytest.fixture(scope="module")
def model(tastes, known):
    return trained(tastes[0], known)


def hits(model, wanted):
    """Share of each user's best five new items that the user would want."""
    scores = np.asarray(model.score_catalogue(np.arange(USERS)))[:, -NEW:]
    best = np.argsort(-scores, axis=1)[:, :5]
    return np.take_along_axis(wanted[:, -NEW:], best, axis=1).mean()


def permuted(log, side="item"):
    """The log with the attributes dealt out anew."""
    order = np.random.default_rng(5).permutation(ITEMS if side == "item" else USERS)
    features = getattr(log, f"{side}_features")
    return log.replace(**{f"{side}_features": {k: v[order] for k, v in features.items()}})


def test_new_items_are_ranked_by_their_attributes_and_permuted_ones_by_chance(tastes, known, model):
    log, wanted = tastes
    chance = wanted[:, -NEW:].mean()
    assert hits(model, wanted) > 0.95
    assert hits(trained(permuted(log), known), wanted) < chance + 0.15


def test_warm_rows_rank_as_in_the_trained_model(tastes, known, model):
    dense = np.asarray(model.score_catalogue(np.arange(USERS)))
    other = np.asarray(known.score_catalogue(np.arange(USERS)))
    np.testing.assert_allclose(dense[:, :-NEW], other[:, :-NEW], atol=1e-4)


def test_all_ways_to_a_score_agree(model):
    dense = np.asarray(model.score_catalogue([0, 7]))
    shared = model({"user_id": np.array([0, 7]), "item_id": np.arange(ITEMS)})
    np.testing.assert_allclose(shared, dense, rtol=1e-4, atol=1e-5)
    some = np.array([[0, ITEMS - 1], [ITEMS - 2, 3]])
    picked = model({"user_id": np.array([0, 7]), "item_id": some})
    np.testing.assert_allclose(picked, np.take_along_axis(dense, some, 1), rtol=1e-4, atol=1e-5)


def test_generated_vectors_may_rank_everything(tastes, known):
    model = AttributeRecommender.for_log(tastes[0], known, warm="generated", seed=0)
    rows = np.arange(ITEMS)
    np.testing.assert_allclose(model.embed_items(rows), model.generated(rows), rtol=1e-6)


def test_the_code_of_several_values_is_the_sum_of_theirs(tastes, known):
    log, _ = tastes
    kinds = log.item_features["genre"].copy()
    kinds[:4] = [("war",), ("love",), ("love", "war"), ()]
    changed = log.replace(item_features={"genre": kinds})
    tower = AttributeRecommender.for_log(changed, known, seed=0).attributes
    war, love, both, none = np.asarray(tower(np.arange(4)))
    np.testing.assert_allclose(both - none, (war - none) + (love - none), rtol=1e-4, atol=1e-6)


def test_noise_moves_vectors_and_its_absence_is_noise_zero(tastes, known):
    model = AttributeRecommender.for_log(tastes[0], known, noise_dimension=3, seed=0)
    rows = np.arange(4)
    plain = np.asarray(model.generated(rows))
    np.testing.assert_allclose(model.generated(rows, np.zeros((4, 3), "f")), plain, rtol=1e-6)
    assert np.abs(np.asarray(model.generated(rows, np.ones((4, 3), "f"))) - plain).max() > 1e-3


def test_without_a_trained_model_the_log_is_factorised(tastes, known):
    log, _ = tastes
    model = AttributeRecommender.for_log(log, dimension=5, seed=0)
    dense, other = (np.asarray(m.score_catalogue([0, 9]))[:, :-NEW] for m in (model, known))
    np.testing.assert_allclose(dense, other, atol=1e-4)


def test_what_a_trained_model_holds_for_new_items_is_not_taken(tastes):
    log, _ = tastes
    known = MatrixFactorization(n_users=USERS, n_items=ITEMS, dimension=5, seed=0)
    model = AttributeRecommender.for_log(log, known, seed=0)
    own = model.item_vectors.numpy()
    assert np.any(own[:-NEW])
    assert not np.any(own[-NEW:])
    assert model.has_vector.numpy().tolist() == [1.0] * (ITEMS - NEW) + [0.0] * NEW


def test_new_users_are_ranked_for_by_their_attributes(tastes):
    log, wanted = tastes
    fresh = np.arange(USERS) >= USERS - 15
    seen = log.take(~fresh[log.user])
    known = PureSVD(n_users=USERS, n_items=ITEMS, rank=5).fit(seen)
    model = trained(seen, known, features=["likes"], side="user")
    scores = np.asarray(model.score_catalogue(np.flatnonzero(fresh)))[:, :-NEW]
    best = np.argsort(-scores, axis=1)[:, :5]
    assert np.take_along_axis(wanted[fresh][:, :-NEW], best, axis=1).mean() > 0.9


@pytest.mark.parametrize("side", ["user", "item"])
def test_distances_of_aligned_vectors_are_those_of_scores(side):
    random = np.random.default_rng(0)
    given = {"user": random.normal(size=(30, 4)), "item": random.normal(size=(20, 4))}
    every = {"user": np.ones(30, bool), "item": np.ones(20, bool)}
    turned = aligned(given, every, side=side)
    scores = given["user"] @ given["item"].T
    np.testing.assert_allclose(turned["user"] @ turned["item"].T, scores, rtol=1e-4, atol=1e-5)
    mine, columns = turned[side], scores if side == "item" else scores.T
    distance = np.square(mine[1:] - mine[0]).sum(axis=1)
    of_scores = np.square(columns[:, 1:] - columns[:, [0]]).mean(axis=0)
    ratio = distance / of_scores
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert np.mean(np.square(mine)) == pytest.approx(1, rel=1e-5)


def test_a_preset_comes_back_and_takes_items_that_are_newer_still(model, tastes, tmp_path):
    log, _ = tastes
    model.save_to_preset(str(tmp_path / "preset"))
    again = Recommender.from_preset(str(tmp_path / "preset"))
    np.testing.assert_allclose(
        again.score_catalogue([0, 5]), model.score_catalogue([0, 5]), rtol=1e-6
    )
    assert json.loads(json.dumps(again.get_config()))["features"] == model.get_config()["features"]
    kinds = np.empty(3, object)
    kinds[:] = [("war",), ("love",), ("war", "unheard of")]
    ids = np.array(["i3", "new", "newer"])
    wider = Recommender.from_preset(str(tmp_path / "preset"), item_ids=ids, id_map="identity")
    wider.bind(
        Interactions(
            user=np.zeros(1, np.int32),
            item=np.zeros(1, np.int32),
            user_ids=log.user_ids,
            item_ids=ids,
            item_features={"genre": kinds},
        )
    )
    vectors = np.asarray(wider.embed_items(np.arange(3)))
    np.testing.assert_allclose(vectors[0], np.asarray(model.embed_items([3]))[0], rtol=1e-6)
    new = np.asarray(wider.score_catalogue(np.arange(2)))  # user 0 likes war, user 1 love
    assert new[0, 1] < new[1, 1]


def test_new_items_are_served_at_once_and_a_servable_takes_more(model, tmp_path):
    report = serving.export(model, tmp_path / "films", k=5)
    assert report.verified
    newest = [f"i{n}" for n in range(ITEMS - NEW, ITEMS)]
    vectors = np.asarray(model.generated(np.arange(ITEMS - NEW, ITEMS)))
    report = serving.reindex(tmp_path / "films", item_ids=newest, item_vectors=vectors)
    assert report.verified


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda log, svd: AttributeRecommender.for_log(log, svd, features=["plot"]), "'plot'"),
        (
            lambda log, svd: AttributeRecommender.for_log(log.replace(item_features={}), svd),
            "at least one feature",
        ),
        (lambda log, svd: AttributeRecommender.for_log(log, svd, side="film"), "side is one of"),
        (lambda log, svd: AttributeRecommender.for_log(log, svd, warm="cold"), "warm one of"),
        (lambda log, svd: AttributeRecommender.for_log(log, svd, dropout=1.0), "dropout"),
        (lambda log, svd: AttributeRecommender.for_log(log, svd, dimension=9), "vectors of 5"),
        (lambda log, svd: AttributeRecommender.for_log(log, svd, hidden=[0]), "at least 1"),
        (
            lambda log, svd: AttributeRecommender.for_log(
                log, PureSVD(n_users=2, n_items=3, rank=1)
            ),
            "for 60 users and 80 items",
        ),
        (
            lambda log, svd: AttributeRecommender.for_log(
                log, PureSVD(n_users=USERS, n_items=ITEMS, rank=2)
            ),
            "train the model first",
        ),
    ],
)
def test_what_cannot_be_is_refused(tastes, known, make, words):
    with pytest.raises(ValueError, match=words):
        make(tastes[0], known)


def test_a_model_without_vectors_is_refused(tastes):
    with pytest.raises((ValueError, NotImplementedError)):
        AttributeRecommender.for_log(tastes[0], ItemKNN(n_users=USERS, n_items=ITEMS))


def test_features_are_insisted_on_and_unknown_values_counted(model, tastes):
    log, _ = tastes
    with pytest.raises(ValueError, match="genre"):
        model.encode_features(log.replace(item_features={}))
    strange = np.empty(ITEMS, object)
    strange[:] = [("unheard of",)] * (ITEMS // 2) + [("war",)] * (ITEMS // 2)
    assert model.encode_features(log.replace(item_features={"genre": strange})) == {"genre": 0.5}
    model.encode_features(log)
