"""Matrix factorisation, and what every recommender promises, on the checkerboard."""

import json

import keras
import numpy as np
import pytest

from tfadvrec import MatrixFactorization, losses
from tfadvrec.data import DataError, pairs, points


def trained(log, **options):
    model = MatrixFactorization(
        n_users=log.n_users, n_items=log.n_items, dimension=8, seed=0, **options
    ).bind(log)
    model.compile(keras.optimizers.Adagrad(0.3), loss=losses.BayesianPersonalizedRanking())
    model.fit(pairs(log, batch_size=30, seed=0, block=100), epochs=30, verbose=0)
    return model


@pytest.fixture(scope="module")
def model(blocks_log):
    return trained(blocks_log)


@pytest.mark.parametrize("item_bias", [False, True])
def test_it_recommends_the_one_item_left_of_the_users_parity(blocks_log, item_bias):
    model = trained(blocks_log, item_bias=item_bias)
    items, scores = model.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("item_bias", [False, True])
def test_every_way_to_a_score_agrees(blocks_log, item_bias):
    model = trained(blocks_log, item_bias=item_bias)
    users = np.arange(20)
    catalogue = np.asarray(model.score_catalogue(users))
    everything = np.tile(np.arange(20), (20, 1))
    wide = model.predict({"user_id": users, "item_id": everything}, verbose=0)
    shared = np.asarray(model({"user_id": users, "item_id": np.arange(20)}))
    vectors = np.asarray(model.embed_users(users)) @ np.asarray(model.embed_items(users)).T
    for other in (wide, shared, vectors):
        np.testing.assert_allclose(catalogue, other, rtol=1e-5, atol=1e-5)


def test_ratings_are_learned_with_squared_error(blocks_log):
    import dataclasses

    rating = 1.0 + blocks_log.item % 2
    log = dataclasses.replace(blocks_log, rating=rating.astype(np.float32))
    model = MatrixFactorization(n_users=20, n_items=20, dimension=8, item_bias=True, seed=0)
    model.compile(keras.optimizers.Adagrad(0.3), loss=losses.SquaredError())
    data = points(log, batch_size=30, negatives=0, target="rating", block=100)
    model.fit(data, epochs=60, verbose=0)
    scores = model.predict({"user_id": log.user, "item_id": log.item[:, None]}, verbose=0)
    np.testing.assert_allclose(scores[:, 0], rating, atol=0.1)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("bad", [-1, 20, float("nan")])
def test_a_row_out_of_range_is_an_error(blocks_log, bad, jit):
    model = MatrixFactorization(n_users=20, n_items=20, dimension=2)
    model.compile(jit_compile=jit)
    with pytest.raises(DataError, match="user rows"):
        model.predict({"user_id": np.array([bad]), "item_id": np.array([[1]])}, verbose=0)
    with pytest.raises(DataError, match="item rows"):
        model.predict({"user_id": np.array([1]), "item_id": np.array([[bad]])}, verbose=0)
    with pytest.raises(DataError, match="user rows"):
        model.score_catalogue(np.array([bad]))


def test_unknown_users_follow_the_stated_policy(model):
    with pytest.raises(DataError, match=r"1 user ids are unknown.*\['nobody'\]"):
        model.recommend(["u03", "nobody"])
    items, scores = model.recommend(["u03", "nobody"], 3, unknown="empty")
    assert items[1].tolist() == ["", "", ""]
    assert items[0, 0] != ""
    assert np.isfinite(scores).all()
    _, mean = model.recommend(["nobody"], 20, unknown="mean")
    expected = np.asarray(model.score_catalogue(np.arange(20))).mean(axis=0)
    np.testing.assert_allclose(mean[0], np.sort(expected)[::-1], rtol=1e-4, atol=1e-5)


def test_what_is_left_when_everything_is_excluded(model, blocks_log):
    import dataclasses

    log = dataclasses.replace(
        blocks_log, user=np.zeros(20, np.int32), item=np.arange(20, dtype=np.int32), time=None
    )
    items, _ = model.recommend(["u00"], 2, exclude=log)
    assert items.tolist() == [["", ""]]


def test_a_log_of_other_rows_cannot_be_excluded(model, blocks_log):
    """Its row numbers stand for other users and items: wrong lists, silently."""
    import dataclasses

    for side in ("user_ids", "item_ids"):
        other = dataclasses.replace(blocks_log, **{side: getattr(blocks_log, side)[::-1]})
        with pytest.raises(DataError, match=f"the model's own {side[:4]} ids"):
            model.recommend(["u00"], 2, exclude=other)


def test_the_catalogue_is_scored_in_float32(blocks_log):
    """Lower precision has no score below every other for what is excluded."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = MatrixFactorization(n_users=20, n_items=20, dimension=4, seed=0).bind(blocks_log)
    finally:
        keras.config.set_dtype_policy("float32")
    items, scores = model.recommend(["u00"], 20, exclude=blocks_log)
    assert scores.dtype == np.float32
    assert items[0].tolist()[11:] == [""] * 9


def test_the_number_of_candidates_may_be_unknown_and_the_regulariser_counts_each(blocks_log):
    import tensorflow as tf

    model = MatrixFactorization(n_users=20, n_items=20, dimension=4, seed=0, regularization=0.5)
    users, items = np.array([1, 2]), np.array([[0, 1, 2], [3, 4, 5]])

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)]
    )
    def penalty(users, items):
        model({"user_id": users, "item_id": items}, training=True)
        return model.losses[0]

    p, q = model.user_embedding.embeddings.numpy(), model.item_embedding.embeddings.numpy()
    expected = 0.5 * (np.mean(p[users] ** 2) + np.mean((q[items] ** 2).sum(axis=1)))
    assert float(penalty(users, items)) == pytest.approx(expected, rel=1e-5)


def test_ids_must_be_bound_first():
    model = MatrixFactorization(n_users=2, n_items=2, dimension=2)
    with pytest.raises(ValueError, match=r"model.bind\(log\)"):
        model.recommend([0], 1)
    with pytest.raises(ValueError, match="user_ids must name 2 rows"):
        model.set_ids(np.arange(3), None)


def test_k_beyond_the_catalogue_is_refused(model):
    with pytest.raises(ValueError, match="k must lie between 1 and the 20 items"):
        model.recommend(["u00"], 21)


@pytest.mark.parametrize(
    "wrong", [{"dimension": 0}, {"n_users": 0}, {"initial_scale": 0.0}, {"regularization": -1.0}]
)
def test_bad_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        MatrixFactorization(**{"n_users": 2, "n_items": 2, **wrong})


def test_config_round_trip_through_json():
    model = MatrixFactorization(n_users=3, n_items=4, dimension=5, item_bias=True, seed=7)
    config = json.loads(json.dumps(model.get_config()))
    again = MatrixFactorization.from_config(config)
    assert again.get_config() == model.get_config()
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_row_weights_are_the_tables_and_the_bias():
    model = MatrixFactorization(n_users=3, n_items=4, dimension=5, item_bias=True)
    sides = sorted(side for side, axis in model.row_weights().values())
    assert sides == ["item", "item", "user"]


def test_keras_saves_and_loads_it(tmp_path, model):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    users = np.arange(20)
    np.testing.assert_array_equal(model.score_catalogue(users), again.score_catalogue(users))
