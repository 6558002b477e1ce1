"""The generator of interaction rows against NumPy, and as a recommender."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models.collaborative_generator import CollaborativeGenerator
from tfadvrec.serving import export

SIDES = ["item", "user"]


def log_of(matrix):
    user, item = np.nonzero(np.asarray(matrix))
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=np.array([f"u{row}" for row in range(len(matrix))]),
        item_ids=np.array([f"i{row}" for row in range(len(matrix[0]))]),
    )


@pytest.fixture(scope="module")
def matrix():
    matrix = (np.random.default_rng(1).random((9, 13)) < 0.4).astype(np.float32)
    matrix[3] = 0  # a user without history
    matrix[:, 5] = 0  # an item that nobody took
    return matrix


def make(matrix, **settings):
    settings = {"hidden": [6, 5], "seed": 1, **settings}
    model = CollaborativeGenerator(n_users=len(matrix), n_items=len(matrix[0]), **settings)
    noise = np.random.default_rng(0)
    for weight in model.trainable_variables:  # biases that are not zero
        weight.assign_add(noise.normal(scale=0.1, size=weight.shape))
    return model.bind(log_of(matrix))


def catalogue(model):
    return model.score_catalogue(np.arange(model.n_users)).numpy()


def by_numpy(model, rows, numbers):
    """The network written down: profile, row number, two sigmoid layers, a linear one."""
    value = {weight.path.rpartition("network/")[2]: weight.numpy() for weight in model.weights}
    first = value["bias"]
    if "profile_kernel" in value:
        first = first + rows @ value["profile_kernel"]
    if "row_kernel" in value:
        first = first + value["row_kernel"][numbers]
    hidden = 1 / (1 + np.exp(-first))
    hidden = 1 / (1 + np.exp(-(hidden @ value["hidden_1/kernel"] + value["hidden_1/bias"])))
    return hidden @ value["out/kernel"] + value["out/bias"]


@pytest.mark.parametrize("condition", ["profile", "row", "both"])
@pytest.mark.parametrize("side", SIDES)
def test_a_score_is_what_the_network_rebuilds(matrix, side, condition):
    model = make(matrix, side=side, condition=condition, noise=3)
    rows = matrix if side == "user" else matrix.T
    expected = by_numpy(model, rows, np.arange(len(rows)))
    rebuilt = model({"profile": rows, "row": np.arange(len(rows))})
    np.testing.assert_allclose(rebuilt, expected, rtol=1e-4, atol=1e-5)
    scores = expected if side == "user" else expected.T
    np.testing.assert_allclose(catalogue(model), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("training", [False, True])
def test_candidates_get_their_catalogue_scores(matrix, side, training):
    model = make(matrix, side=side)
    dense = catalogue(model)
    users, items = np.array([3, 7, 1]), np.array([[0, 12], [5, 2], [9, 9]])
    each = model({"user_id": users, "item_id": items}, training=training)
    np.testing.assert_allclose(each, dense[users[:, None], items], rtol=1e-4, atol=1e-5)
    shared = model({"user_id": users, "item_id": np.array([4, 1])}, training=training)
    np.testing.assert_allclose(shared, dense[users][:, [4, 1]], rtol=1e-4, atol=1e-5)
    every = model({"user_id": users}, training=training)
    np.testing.assert_allclose(every, dense[users], rtol=1e-4, atol=1e-5)


def test_a_history_is_scored_like_the_user_who_has_it(matrix):
    model = make(matrix, side="user")
    history = np.full((9, 13), -1)
    for user, row in enumerate(matrix):
        history[user, : int(row.sum())] = np.flatnonzero(row)
    np.testing.assert_allclose(model.score_history(history), catalogue(model), rtol=1e-5, atol=1e-5)
    asked = model({"history": history[[4]], "item_id": np.array([[2, 0]])})
    np.testing.assert_allclose(asked, catalogue(model)[[4]][:, [2, 0]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{"side": "item"}, {"side": "user", "condition": "both"}])
def test_a_history_is_refused_where_it_does_not_say_enough(matrix, settings):
    with pytest.raises(ValueError, match="side='user' and condition='profile'"):
        make(matrix, **settings).score_history(np.array([[0, 1]]))


@pytest.mark.parametrize("side", SIDES)
def test_scores_follow_the_weights_and_the_bound_log_at_once(matrix, side):
    model = make(matrix, side=side)
    before = catalogue(model)
    kernel = model.network.kernels["profile"]
    kernel.assign(2 * kernel.numpy())
    changed = catalogue(model)
    assert np.abs(changed - before).max() > 1e-2
    other = 1 - matrix
    model.bind(log_of(other))
    rows = other if side == "user" else other.T
    rebuilt = by_numpy(model, rows, np.arange(len(rows)))
    expected = rebuilt if side == "user" else rebuilt.T
    np.testing.assert_allclose(catalogue(model), expected, rtol=1e-4, atol=1e-5)


def test_a_model_without_a_log_says_how_to_give_it_one():
    model = CollaborativeGenerator(n_users=3, n_items=4, seed=0)
    with pytest.raises(ValueError, match=r"call model\.bind\(log\)"):
        model.score_catalogue([0])
    alone = CollaborativeGenerator(n_users=3, n_items=4, seed=0, condition="row")
    assert alone.score_catalogue([0]).shape == (1, 4)  # it needs none


@pytest.mark.parametrize("side", SIDES)
def test_scores_can_be_traced_for_any_number_of_users(matrix, side):
    model = make(matrix, side=side)
    traced = tf.function(
        model.score_catalogue, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False
    )
    for rows in ([1], [7, 7, 0], []):
        rows = np.array(rows, np.int32)
        np.testing.assert_allclose(traced(rows), catalogue(model)[rows], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_preset_gives_the_same_scores_once_it_is_bound(matrix, side, tmp_path):
    model = make(matrix, side=side, condition="both", noise=2, activation="tanh")
    model.save_to_preset(tmp_path / "preset")
    loaded = CollaborativeGenerator.from_preset(str(tmp_path / "preset"))
    assert json.loads(json.dumps(model.get_config())) | {"name": 0} == loaded.get_config() | {
        "name": 0
    }
    loaded.bind(log_of(matrix))
    np.testing.assert_array_equal(catalogue(loaded), catalogue(model))


def test_item_wise_preset_ranks_another_catalogue_of_the_same_users(matrix, tmp_path):
    model = make(matrix, side="item")
    model.save_to_preset(tmp_path / "preset")
    fewer = matrix[:, 2:9]
    loaded = CollaborativeGenerator.from_preset(
        str(tmp_path / "preset"), item_ids=log_of(fewer).item_ids, id_map=None
    ).bind(log_of(fewer))
    np.testing.assert_allclose(
        catalogue(loaded), by_numpy(model, fewer.T, None).T, rtol=1e-4, atol=1e-5
    )


def test_user_rows_of_a_preset_are_taken_by_id(matrix, tmp_path):
    model = make(matrix, side="item")
    model.save_to_preset(tmp_path / "preset")
    order = [4, 0, 8, 1]
    ids = model.user_ids[order]
    loaded = CollaborativeGenerator.from_preset(
        str(tmp_path / "preset"), user_ids=ids, user_id_map="identity"
    )
    np.testing.assert_array_equal(
        loaded.network.out.kernel, model.network.out.kernel.numpy()[:, order]
    )
    kernels = [one.network.kernels["profile"].numpy() for one in (loaded, model)]
    np.testing.assert_array_equal(kernels[0], kernels[1][order])


@pytest.mark.parametrize(("side", "options"), [("item", {}), ("user", {"history": 6})])
def test_servable_is_verified_and_answers_as_the_model(matrix, side, options, tmp_path):
    model = make(matrix, side=side)
    report = export(model, tmp_path, k=4, max_exclude=2, **options)
    assert report.verified
    assert report.failures == ()
    served = tf.saved_model.load(report.path).signatures["recommend"]
    if side == "item":
        answer = served(user_id=tf.constant(["u2"]))
        scores = catalogue(model)[2]
    else:
        answer = served(history=tf.constant([["i4", "i7", "i1", "", "", ""]]))
        scores = model.score_history([[4, 7, 1]]).numpy()[0]
    best = np.sort(scores)[::-1][:4]
    np.testing.assert_allclose(answer["score"].numpy()[0], best, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"side": "both"}, "side must be one of"),
        ({"condition": "one-hot"}, "condition must be one of"),
        ({"hidden": []}, "one or more widths"),
        ({"noise": -1}, "noise 0 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        CollaborativeGenerator(n_users=3, n_items=4, **settings)
