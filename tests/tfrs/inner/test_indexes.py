"""Our towers in TFRS's indexes, and its metric beside our evaluator."""

import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.tfrs.loading import scann_trouble, tfrs

KINDS = ["brute_force", "streaming"]


def factors(log, **options):
    model = tar.MatrixFactorization(
        n_users=log.n_users,
        n_items=log.n_items,
        dimension=6,
        item_bias=True,
        initial_scale=1.0,
        seed=3,
        **options,
    )
    model.bias.assign(np.random.default_rng(0).normal(size=log.n_items))
    return model.bind(log)


def towers(log):
    options = {"n_users": log.n_users, "n_items": log.n_items, "dimension": 6, "seed": 4}
    return tar.TwoTower(hidden=(8,), **options).bind(log)


def graph(log):
    options = {"n_users": log.n_users, "n_items": log.n_items, "dimension": 6, "seed": 5}
    return tar.models.LightGCN(**options).bind(log)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [factors, towers, graph])
def test_lists_are_those_of_recommend(blocks_log, kind, make):
    model = make(blocks_log)
    wanted, expected = model.recommend(blocks_log.user_ids, 5)
    scores, items = tar.tfrs.index(model, kind, k=5)(tf.constant(blocks_log.user_ids))
    np.testing.assert_array_equal(items.numpy().astype(str), wanted)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_integer_ids_and_a_model_that_is_being_trained():
    log = tar.data.synthetic(n_users=30, n_items=40, n_interactions=300, seed=0)
    model = factors(log)
    robust = tar.AdversarialTraining(model, tar.FastGradient(0.5))
    _, items = tar.tfrs.index(robust, k=7)(tf.constant(log.user_ids.astype(np.int32)))
    np.testing.assert_array_equal(items, model.recommend(log.user_ids, 7)[0])
    assert items.dtype == tf.int64


@pytest.mark.parametrize("kind", KINDS)
def test_rows_where_the_model_has_no_ids(kind):
    model = tar.MatrixFactorization(n_users=6, n_items=9, dimension=4, initial_scale=1.0, seed=0)
    best = tf.math.top_k(model.score_catalogue(np.arange(6)), 3)
    scores, rows = tar.tfrs.index(model, kind, k=3)(tf.range(6))
    np.testing.assert_array_equal(rows, best.indices)
    np.testing.assert_allclose(scores, best.values, rtol=1e-5)


def test_exclusions_are_those_of_recommend(blocks_log):
    model = factors(blocks_log)
    width = int(np.bincount(blocks_log.user).max())
    seen = np.full((blocks_log.n_users, width), "", object)
    for user in range(blocks_log.n_users):
        items = blocks_log.item_ids[blocks_log.item[blocks_log.user == user]]
        seen[user, : len(items)] = items
    index = tar.tfrs.index(model, k=5)
    _, items = index.query_with_exclusions(
        tf.constant(blocks_log.user_ids), tf.constant(seen.astype(str))
    )
    wanted, _ = model.recommend(blocks_log.user_ids, 5, exclude=blocks_log)
    np.testing.assert_array_equal(items.numpy().astype(str), wanted)


def test_strangers_are_an_error_or_the_mean_user(blocks_log):
    model = factors(blocks_log)
    users = tf.constant(["u03", "nobody"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not know"):
        tar.tfrs.index(model, k=4)(users)
    _, items = tar.tfrs.index(model, k=4, unknown="mean")(users)
    wanted, _ = model.recommend(["u03", "nobody"], 4, unknown="mean")
    np.testing.assert_array_equal(items.numpy().astype(str), wanted)


def test_rows_out_of_range_are_no_other_row():
    model = tar.MatrixFactorization(n_users=6, n_items=9, dimension=4, seed=0)
    for row in (-1, 6):
        with pytest.raises(tf.errors.InvalidArgumentError, match="does not know"):
            tar.tfrs.index(model, k=3)(tf.constant([row]))


def test_an_index_keeps_what_it_was_made_of(blocks_log):
    model = factors(blocks_log)
    index, users = tar.tfrs.index(model, k=4), tf.constant(blocks_log.user_ids)
    before = index(users)[0].numpy()
    model.bias.assign_add(np.ones(model.n_items))
    np.testing.assert_array_equal(index(users)[0], before)
    np.testing.assert_allclose(tar.tfrs.index(model, k=4)(users)[0], before + 1, rtol=1e-5)


def test_a_saved_index_answers_the_same(blocks_log, tmp_path):
    index, users = tar.tfrs.index(towers(blocks_log), k=4), tf.constant(blocks_log.user_ids)
    scores, items = index(users)
    tf.saved_model.save(index, str(tmp_path))
    again, found = tf.saved_model.load(str(tmp_path))(users)
    np.testing.assert_array_equal(found, items)
    np.testing.assert_allclose(again, scores, rtol=1e-6)


def test_scann_finds_what_brute_force_finds(blocks_log):
    model = factors(blocks_log)
    trouble = scann_trouble()
    if trouble:
        with pytest.raises(ImportError, match=r'kind="scann"\) needs scann, and scann'):
            tar.tfrs.index(model, "scann", k=5)
        pytest.skip(f"NOT TESTED with ScaNN: {trouble}")
    users = tf.constant(blocks_log.user_ids)
    options = {"num_leaves": 2, "num_leaves_to_search": 2, "num_reordering_candidates": 20}
    _, items = tar.tfrs.index(model, "scann", k=5, **options)(users)
    _, exact = tar.tfrs.index(model, k=5)(users)
    assert np.mean(items.numpy() == exact.numpy()) > 0.9


def test_wrong_arguments_are_refused(blocks_log):
    model = factors(blocks_log)
    with pytest.raises(ValueError, match=r"kind must be one of \['brute_force'"):
        tar.tfrs.index(model, "annoy")
    with pytest.raises(ValueError, match="between 1 and the 20 items"):
        tar.tfrs.index(model, k=21)
    with pytest.raises(ValueError, match="unknown must be one of"):
        tar.tfrs.index(model, unknown="empty")
    with pytest.raises(ValueError, match="EASE has no vectors"):
        tar.tfrs.index(tar.EASE(n_users=20, n_items=20).bind(blocks_log))


@pytest.mark.parametrize("make", [factors, towers])
def test_factorized_top_k_agrees_with_our_evaluator_user_by_user(make):
    log = tar.data.synthetic(n_users=60, n_items=80, n_interactions=1200, seed=1)
    train, _, test = tar.data.leave_last_out(log)
    model, ks = make(train), (1, 5, 20)
    # TFRS ranks the whole catalogue, what a user has in the training log included
    ours = tar.evaluate(model, train.take(np.zeros(len(train), bool)), test, k=ks, metrics=["hr"])
    items = tf.constant(log.item_ids, tf.int64)
    layer = tfrs.layers.factorized_top_k.BruteForce(k=max(ks))
    layer.index_from_dataset(tar.tfrs.candidates(model, batch_size=32))
    metric = tfrs.metrics.FactorizedTopK(layer, ks=ks)
    queries, vectors = tar.tfrs.QueryModel(model), model.embed_items(np.arange(log.n_items))
    held_out = dict(zip(test.user.tolist(), test.item.tolist(), strict=True))
    assert len(held_out) == len(test) == len(ours.users) > 50
    found = {k: [] for k in ks}
    for user in ours.users.tolist():
        item = held_out[user]
        metric.reset_states()
        metric.update_state(
            queries(tf.constant(log.user_ids[[user]])),
            tf.gather(vectors, [item]),
            true_candidate_ids=tf.gather(items, [item]),
        )
        for k, value in zip(ks, metric.result(), strict=True):
            found[k].append(float(value))
    for k in ks:
        np.testing.assert_allclose(ours.per_user[f"hr@{k}"], found[k], atol=1e-6)
    assert 0 < np.mean(found[20]) < 1
