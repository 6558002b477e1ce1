"""LightGCN and SimGCL: propagation by hand, noise, contrast, and what a recommender promises."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfadvrec as tar
from tfadvrec.adversary import outputs_of, variables
from tfadvrec.models import LightGCN, SimGCL, SpectralFilter
from tfadvrec.models.interaction_graph import InteractionGraph, adjacency
from tfadvrec.models.sim_gcl import _information

BPR = tar.losses.BayesianPersonalizedRanking


def fitted(log, cls=LightGCN, *, wrap=None, epochs=20, **settings):
    settings = {"dimension": 8, "layers": 2, "seed": 0, **settings}
    model = cls(n_users=log.n_users, n_items=log.n_items, **settings).bind(log)
    trained = model if wrap is None else wrap(model)
    trained.compile(keras.optimizers.Adam(0.05), loss=BPR())
    trained.fit(tar.data.pairs(log, batch_size=60, seed=0, block=100), epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def model(blocks_log):
    return fitted(blocks_log)


def by_hand(log, vectors, layers, social=None):
    """The layers of propagation by dense NumPy."""
    whole = np.zeros((log.n_users + log.n_items,) * 2)
    whole[log.user, log.n_users + log.item] = 1
    if social is not None:
        whole[social[0], social[1]] = 1
    whole = np.maximum(whole, whole.T)
    degree = whole.sum(axis=1)
    whole /= np.sqrt(np.maximum(np.outer(degree, degree), 1e-9))
    found = [vectors]
    for _ in range(layers):
        found.append(whole @ found[-1])
    return found


def trained_tables(model):
    tables = (model.user_embedding.embeddings, model.item_embedding.embeddings)
    return np.concatenate([table.numpy() for table in tables])


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_what_ranks_is_the_mean_over_layers_of_propagation(blocks_log, layers):
    log = blocks_log
    social = (np.array([0, 1, 2]), np.array([5, 1, 7]))  # the loop 1-1 is no edge
    options = {"dimension": 4, "layers": layers, "seed": 1}
    model = LightGCN(n_users=20, n_items=20, **options).bind(log, social=social)
    edges = (social[0][[0, 2]], social[1][[0, 2]])
    expected = np.mean(by_hand(log, trained_tables(model), layers, edges), axis=0)
    np.testing.assert_allclose(model.embed_users(np.arange(20)), expected[:20], atol=1e-6)
    np.testing.assert_allclose(model.embed_items(np.arange(20)), expected[20:], atol=1e-6)


def test_sim_gcl_leaves_the_trained_vectors_themselves_out(blocks_log):
    model = SimGCL(n_users=20, n_items=20, dimension=4, layers=2, seed=1).bind(blocks_log)
    expected = np.mean(by_hand(blocks_log, trained_tables(model), 2)[1:], axis=0)
    np.testing.assert_allclose(model.embed_users(np.arange(20)), expected[:20], atol=1e-6)


def test_the_gradient_of_a_product_is_the_product_with_the_transpose():
    rng = np.random.default_rng(0)
    graph = InteractionGraph(sparse.random(6, 9, 0.4, "csr", random_state=0))
    vectors, weights = (tf.constant(rng.normal(size=(15, 3)), tf.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        value = tf.reduce_sum(weights * graph.neighbours(vectors))
    matrix = graph.neighbours(tf.eye(15)).numpy()
    np.testing.assert_allclose(tape.gradient(value, vectors), matrix.T @ weights, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)


def test_social_edges_that_name_no_user_are_refused():
    with pytest.raises(ValueError, match=r"from 0 to 1.*rows \[5\]"):
        adjacency(sparse.eye(2), (np.array([5]), np.array([0])))


@pytest.mark.parametrize("cls", [LightGCN, SimGCL])
def test_the_item_left_of_a_users_parity_is_recommended(blocks_log, cls):
    model = fitted(blocks_log, cls, **({"contrast": 0.05} if cls is SimGCL else {}))
    items, _ = model.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]


def test_every_way_to_a_score_agrees(model):
    users, every = np.arange(20), np.tile(np.arange(20), (20, 1))
    catalogue = np.asarray(model.score_catalogue(users))
    wide = model.predict({"user_id": users, "item_id": every}, verbose=0)
    shared = model({"user_id": users, "item_id": np.arange(20)})
    in_training = model({"user_id": users, "item_id": every}, training=True)
    for other in (wide, shared, in_training):
        np.testing.assert_allclose(catalogue, other, rtol=1e-4, atol=1e-5)


def test_training_asks_for_a_graph():
    model = LightGCN(n_users=3, n_items=3, dimension=2)
    with pytest.raises(ValueError, match="bind"):
        model({"user_id": np.array([0]), "item_id": np.array([[0, 1]])}, training=True)


def test_the_penalty_is_half_the_squared_lengths_of_the_batchs_trained_vectors(blocks_log):
    model = LightGCN(n_users=20, n_items=20, dimension=3, regularization=0.2).bind(blocks_log)
    model({"user_id": np.array([4]), "item_id": np.array([[1, 2]])}, training=True)
    tables = trained_tables(model)[[4, 21, 22]]
    assert float(sum(model.losses)) == pytest.approx(0.1 * np.square(tables).sum(), rel=1e-5)


def test_noise_has_its_length_and_keeps_every_sign(blocks_log):
    model = SimGCL(n_users=20, n_items=20, dimension=6, layers=1, noise=0.3, seed=0)
    model.bind(blocks_log)
    clean, noisy = (model._noisy_layers(noise=size)[0].numpy() for size in (0.0, 0.3))
    np.testing.assert_allclose(np.linalg.norm(noisy - clean, axis=1), 0.3, rtol=1e-5)
    assert (np.sign(noisy) == np.sign(clean)).all()
    again = model._noisy_layers(noise=0.3)[0].numpy()
    assert not np.allclose(noisy, again)


@pytest.mark.parametrize("items", [[[1, 8], [2, 9], [2, 0]], [1, 2, 2]])
@pytest.mark.parametrize("cross_layer", [None, 1])
def test_the_contrast_is_info_nce_of_the_two_views(blocks_log, cross_layer, items):
    options = {"layers": 2, "noise": 0.0, "contrast": 0.5, "temperature": 0.2, "dimension": 4}
    model = SimGCL(
        n_users=20, n_items=20, regularization=0, cross_layer=cross_layer, **options
    ).bind(blocks_log)
    users, items = np.array([3, 3, 5]), np.array(items)
    model({"user_id": users, "item_id": items}, training=True)
    layers = by_hand(blocks_log, trained_tables(model), 2)
    view = np.mean(layers[1:], axis=0)
    other = view if cross_layer is None else layers[1]
    total = 0.0
    for rows in ([3, 5], [21, 22]):  # each user and each positive once
        one, two = (t[rows] / np.linalg.norm(t[rows], axis=1, keepdims=True) for t in (view, other))
        logits = one @ two.T / 0.2
        total += np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
    assert float(sum(model.losses)) == pytest.approx(0.5 * 3 * total, rel=1e-4)


@pytest.mark.parametrize("sharpness", [1.0, 300.0])  # at 300 most of the softmax is 0
def test_the_gradient_of_the_contrast_is_that_of_the_cross_entropy(sharpness):
    random = np.random.default_rng(0)
    first, second = (tf.constant(random.normal(size=(6, 3)), tf.float32) for _ in range(2))
    found = []
    for loss in (_information, _cross_entropy):
        with tf.GradientTape() as tape:
            tape.watch([first, second])
            value = 2.0 * loss(first, sharpness * second)
        found.append([value, *tape.gradient(value, [first, second])])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * sharpness)


def _cross_entropy(first, second):
    products = tf.matmul(first, second, transpose_b=True)
    return tf.reduce_mean(tf.reduce_logsumexp(products, axis=1) - tf.linalg.diag_part(products))


def test_training_under_a_spread_vectors_attack_raises_the_loss_and_weight_0_is_plain(blocks_log):
    def wrapped(weight):
        return lambda model: tar.AdversarialTraining(
            model, tar.FastGradient(0.3), weight=weight, target=outputs_of("_vectors")
        )

    plain, off = fitted(blocks_log, epochs=3), fitted(blocks_log, wrap=wrapped(0.0), epochs=3)
    np.testing.assert_array_equal(trained_tables(plain), trained_tables(off))
    model = fitted(blocks_log, epochs=1)
    robust = wrapped(1.0)(model)
    robust.compile(keras.optimizers.SGD(0.0), loss=BPR())
    data = tar.data.pairs(blocks_log, batch_size=60, seed=0)
    history = robust.fit(data, epochs=1, verbose=0).history
    assert history["adversarial_loss"][0] > history["loss"][0] * 1.05


def test_the_trained_tables_can_be_moved_as_wholes(blocks_log):
    robust = fitted(
        blocks_log,
        wrap=lambda model: tar.AdversarialTraining(
            model, tar.FastGradient(0.5), target=variables("_embedding")
        ),
    )
    items, _ = robust.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]


def test_evaluation_between_epochs_sees_the_trained_tables(blocks_log):
    model = LightGCN(n_users=20, n_items=20, dimension=4, layers=1, seed=0).bind(blocks_log)
    model.compile(keras.optimizers.Adam(0.05), loss=BPR())
    data = tar.data.pairs(blocks_log, batch_size=60, seed=0)
    x, y = next(iter(data))
    history = model.fit(data, validation_data=(x, y), epochs=3, verbose=0).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    expected = np.mean(by_hand(blocks_log, trained_tables(model), 1), axis=0)
    np.testing.assert_allclose(model.embed_users(np.arange(20)), expected[:20], atol=1e-6)


def test_a_preset_ranks_without_a_graph_and_new_users_get_theirs_by_bind(
    tmp_path, model, blocks_log
):
    model.save_to_preset(tmp_path / "graph")
    loaded = tar.Recommender.from_preset(str(tmp_path / "graph"))
    np.testing.assert_allclose(
        loaded.score_catalogue(np.arange(20)), model.score_catalogue(np.arange(20)), atol=1e-6
    )
    log = tar.Interactions.from_arrays(
        [*blocks_log.user_ids[blocks_log.user], "new", "new"],
        [*blocks_log.item_ids[blocks_log.item], "i01", "i03"],
    )
    grown = tar.Recommender.from_preset(
        str(tmp_path / "graph"),
        user_ids=log.user_ids,
        item_ids=log.item_ids,
        id_map="identity",
        user_id_map="identity",
    )
    items, _ = grown.bind(log).recommend(["new"], 8, exclude=log)
    assert sum(int(item[1:]) % 2 for item in items[0]) >= 7


def test_an_export_answers_what_the_model_answers(tmp_path, model):
    report = tar.serving.export(model, tmp_path / "served", k=5)
    assert report.path


def test_the_spectral_filter_is_the_decomposition_of_the_normalised_log(blocks_log):
    log = blocks_log.take(np.arange(len(blocks_log)) % 7 > 0)  # degrees that differ
    model = SpectralFilter(n_users=20, n_items=20, rank=3).fit(log)
    dense = log.csr().toarray()
    own, theirs = np.sqrt(dense.sum(axis=1)), np.sqrt(dense.sum(axis=0))
    assert len(set(theirs)) > 1
    left, values, right = np.linalg.svd(dense / own[:, None] / theirs)
    expected = (left[:, :3] * values[:3]) @ right[:3] * theirs
    np.testing.assert_allclose(model.score_catalogue(np.arange(20)), expected, atol=1e-5)


def test_half_precision_trains_and_ranks(blocks_log):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = LightGCN(n_users=20, n_items=20, dimension=8, seed=0).bind(blocks_log)
        model.compile(keras.optimizers.Adam(0.05), loss=tar.losses.BayesianPersonalizedRanking())
        data = tar.data.pairs(blocks_log, batch_size=90, seed=0)
        losses = model.fit(data, epochs=15, verbose=0).history["loss"]
        scores = model.score_catalogue(np.arange(20)).numpy()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert losses[-1] < 0.5 * losses[0]
    own = np.add.outer(np.arange(20), np.arange(20)) % 2 == 0
    assert scores[own].mean() > scores[~own].mean() + 1
