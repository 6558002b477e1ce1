"""The variational autoencoder: its loss against NumPy, what it learns, what it shares."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, FastGradient, presets
from tfadvrec.adversary import variables
from tfadvrec.data import histories
from tfadvrec.losses import Multinomial
from tfadvrec.models import VariationalAutoencoder
from tfadvrec.serving import ExportSpec, export
from tfadvrec.serving.planning import make_plan
from tfadvrec.serving.releasing import save


def make(log, **options):
    options = {"latent": 8, "seed": 0, **options}
    return VariationalAutoencoder(n_users=log.n_users, n_items=log.n_items, **options).bind(log)


def trained(log, *, steps=120, **options):
    model = make(log, **options)
    model.compile(keras.optimizers.Adam(0.01), loss=Multinomial())
    data = histories(log, batch_size=10, seed=0)
    model.fit(data.repeat(), steps_per_epoch=steps, verbose=0)
    return model


@pytest.fixture(scope="module")
def model(blocks_log):
    return trained(blocks_log)


def taken_of(log):
    return log.csr().toarray().astype(np.float32)


def rows_of(log):
    """Each user's items, ended by -1."""
    history = np.full((log.n_users, 12), -1)
    for user in range(log.n_users):
        mine = log.item[log.user == user]
        history[user, : len(mine)] = mine
    return history


@pytest.mark.parametrize("options", [{}, {"hidden": [16]}, {"stochastic": False}])
def test_it_recommends_the_one_item_left_of_the_users_parity(blocks_log, options):
    model = trained(blocks_log, **options)
    items, scores = model.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("options", [{}, {"hidden": [6, 5]}])
def test_every_way_to_a_score_agrees_with_numpy(blocks_log, options):
    model = make(blocks_log, **options)
    users, taken = np.arange(20), taken_of(blocks_log)
    values = taken / np.linalg.norm(taken, axis=1, keepdims=True)
    for layer in [*model.encoder, model.mean, *model.decoder, model.out]:
        values = values @ layer.kernel.numpy() + layer.bias.numpy()
        if layer not in (model.mean, model.out):
            values = np.tanh(values)
    everything = np.tile(np.arange(20), (20, 1))
    vectors = np.asarray(model.embed_users(users)) @ np.asarray(model.embed_items(users)).T
    for other in (
        model.score_catalogue(users),
        model.score_history(rows_of(blocks_log)),
        model({"user_id": users}),
        model({"history": rows_of(blocks_log)}),
        model({"user_id": users, "item_id": np.arange(20)}),
        model.predict({"user_id": users, "item_id": everything}, verbose=0),
        vectors,
    ):
        np.testing.assert_allclose(other, values, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_negative_evidence_bound(blocks_log):
    """The multinomial part against NumPy, the divergence against a sum over sampled codes."""
    model = make(blocks_log, dropout=0.0, beta=0.5, beta_per_item=0.1)
    model.compile("sgd", loss=Multinomial())
    taken = taken_of(blocks_log)
    logits = model({"user_id": np.arange(20)}, training=True)
    got = float(model.compute_loss(y=taken, y_pred=logits))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    likelihood = -(taken * np.log(p)).sum(axis=1)
    mean, log_variance = (np.asarray(part) for part in model.encode(taken))
    drawn = np.random.default_rng(0).normal(size=(20_000, 1, 8))
    code = mean + np.exp(log_variance / 2) * drawn
    normal = -0.5 * drawn**2 - log_variance / 2 + 0.5 * code**2
    weight = 0.5 + 0.1 * taken.sum(axis=1)
    expected = np.mean(likelihood + weight * normal.sum(axis=2).mean(axis=0))
    assert got == pytest.approx(expected, rel=2e-3)


def test_the_divergence_is_that_of_two_normals(blocks_log):
    model = make(blocks_log)
    zero = tf.zeros([1, 8])
    assert float(model.divergence(zero, zero)[0]) == 0.0
    # a unit mean costs 1/2 a coordinate; variance 4: (4 - 1 - ln 4) / 2
    assert float(model.divergence(zero + 1, zero)[0]) == pytest.approx(4.0)
    wide = float(model.divergence(zero, zero + float(np.log(4.0)))[0])
    assert wide == pytest.approx(8 * (3 - np.log(4)) / 2, rel=1e-5)


def test_without_beta_it_is_a_plain_autoencoder(model, blocks_log):
    """No divergence is added, and training shrinks the codes' variance instead of holding it."""
    plain = trained(blocks_log, beta=0.0)
    assert plain({"user_id": np.arange(4)}, training=True).shape == (4, 20)
    assert plain.losses == []
    taken = taken_of(blocks_log)
    narrow, held = (float(np.mean(m.encode(taken)[1])) for m in (plain, model))
    assert narrow < -2.0
    assert narrow < held - 0.3
    fixed = make(blocks_log, stochastic=False, dropout=0.0)
    one, two = (fixed({"user_id": np.arange(4)}, training=True) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, fixed({"user_id": np.arange(4)}))


def test_codes_are_drawn_in_training_only(blocks_log):
    model = make(blocks_log, dropout=0.0)
    users = {"user_id": np.arange(4)}
    assert not np.allclose(model(users, training=True), model(users, training=True))
    np.testing.assert_array_equal(model(users), model(users, training=False))


def test_the_weight_of_the_divergence_rises_linearly(blocks_log):
    model = make(blocks_log, beta=1.0, annealing=4)
    ones = tf.ones([2, 8])
    got = [float(model.penalty(tf.ones([2, 20]), ones, 0 * ones)) for _ in range(6)]
    np.testing.assert_allclose(got, [1, 2, 3, 4, 4, 4], rtol=1e-6)


@pytest.mark.parametrize("pattern", ["decoder", "encoder_mean/kernel"])
def test_a_perturbation_of_weight_matrices_raises_the_loss(blocks_log, pattern):
    model = make(blocks_log)
    robust = AdversarialTraining(model, FastGradient(1.0), target=variables(pattern))
    robust.compile(keras.optimizers.SGD(0.0), loss=Multinomial())
    before = [w.numpy() for w in model.trainable_weights]
    logs = robust.fit(histories(blocks_log, batch_size=10, seed=0), verbose=0).history
    assert logs["adversarial_loss"][0] > logs["loss"][0] + 0.5
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_trained_against_the_adversary_in_blocks_it_still_recommends(blocks_log):
    model = make(blocks_log)
    attack = FastGradient(0.5)
    robust = AdversarialTraining(model, attack, target=variables("coder.*/kernel"))
    robust.compile(keras.optimizers.Adam(0.01), loss=Multinomial(), jit_compile=True)
    robust.fit(histories(blocks_log, batch_size=10, seed=0, block=50), epochs=60, verbose=0)
    items, _ = model.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]


@pytest.mark.parametrize("options", [{}, {"hidden": [6]}, {"stochastic": False, "annealing": 3}])
def test_a_preset_ranks_as_the_model_and_takes_other_items(blocks_log, tmp_path, options):
    model = make(blocks_log, **options)
    folder = presets.save(model, tmp_path / "vae")
    same = VariationalAutoencoder.from_preset(str(folder)).bind(blocks_log)
    history = rows_of(blocks_log)
    np.testing.assert_allclose(same.score_history(history), model.score_history(history), rtol=1e-5)
    ids = np.array(["new", *blocks_log.item_ids])
    grown = VariationalAutoencoder.from_preset(
        str(folder), item_ids=ids, id_map="identity", user_ids=["someone"], verbose=False
    )
    assert grown.n_users == 1
    moved = np.where(history >= 0, history + 1, -1)
    np.testing.assert_allclose(
        np.asarray(grown.score_history(moved))[:, 1:], model.score_history(history), rtol=1e-4
    )


def test_config_survives_json(blocks_log):
    model = make(blocks_log, hidden=(5,), annealing=3, beta_per_item=0.01)
    config = json.loads(json.dumps(model.get_config()))
    assert VariationalAutoencoder(**config).get_config() == model.get_config()


def test_a_servable_answers_users_and_histories(model, blocks_log, tmp_path):
    report = export(model, tmp_path / "users", k=5, max_exclude=10)
    served = tf.saved_model.load(report.path).signatures
    taken = [blocks_log.item_ids[blocks_log.item[blocks_log.user == u]] for u in range(20)]
    excluded = [[*ids, *[""] * (10 - len(ids))] for ids in taken]
    answer = served["recommend_excluding"](
        user_id=tf.constant(blocks_log.user_ids), exclude=tf.constant(excluded)
    )
    assert [best.decode() for best in answer["item_id"].numpy()[:, 0]] == [
        f"i{u:02d}" for u in range(20)
    ]
    plan = make_plan(model, ExportSpec(k=20, history=10))
    save(plan, tmp_path / "histories", number=1, name="vae")
    served = tf.saved_model.load(tmp_path / "histories").signatures["recommend"]
    _, expected = model.recommend(blocks_log.user_ids, 20)
    scores = served(history=tf.constant(excluded))["score"]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"latent": 0}, {"hidden": [0]}, {"dropout": 1.0}, {"beta": -1.0}, {"annealing": -1}],
)
def test_an_argument_out_of_range_is_an_error(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*Received"):
        VariationalAutoencoder(n_users=2, n_items=2, **wrong)


def test_a_model_without_a_log_says_what_to_do():
    model = VariationalAutoencoder(n_users=2, n_items=2, latent=2)
    with pytest.raises(ValueError, match=r"model.bind\(log\)"):
        model.score_catalogue([0])
