"""Known answers of training against an adversary (METHODS: the perturbation contract)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tfadvrec import AdversarialTraining, MatrixFactorization
from tfadvrec.adversary import (
    FastGradient,
    ProjectedGradient,
    RandomNoise,
    applied,
    attack,
    embedding_tables,
    input_features,
    variables,
)
from tfadvrec.data import pairs
from tfadvrec.losses import BayesianPersonalizedRanking


def factors(log, **options):
    options = {"dimension": 8, "initial_scale": 0.5, "seed": 1, **options}
    return MatrixFactorization(n_users=log.n_users, n_items=log.n_items, **options)


def dense_model():
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
    )


def dense_data():
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    return x, (x[:, :1] * x[:, 1:2]).astype(np.float32)


def functional_model():
    """Dict inputs, an embedding, dropout and batch normalisation: not written for us."""
    keras.utils.set_random_seed(6)
    item = keras.Input((), dtype="int32", name="item")
    price = keras.Input((2,), name="price")
    x = layers.Concatenate()([layers.Embedding(10, 4, name="items")(item), price])
    x = layers.Dropout(0.5, seed=3)(layers.Dense(8, activation="relu")(x))
    out = layers.Dense(1)(layers.BatchNormalization()(x))
    return keras.Model({"item": item, "price": price}, out)


def functional_data(n=48):
    random = np.random.default_rng(1)
    x = {
        "item": random.integers(0, 10, n).astype(np.int32),
        "price": random.normal(size=(n, 2)).astype(np.float32),
    }
    return x, (x["price"].sum(1, keepdims=True) > 0).astype(np.float32)


class OwnLoss(keras.Model):
    """A subclassed model with a loss of its own over tuple inputs."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = layers.Embedding(12, 3, name="table")
        self.out = layers.Dense(1)

    def call(self, inputs):
        ids, x = inputs
        return self.out(ops.concatenate([self.table(ids), x], axis=-1))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.abs(y - y_pred)) + 0.01 * ops.mean(ops.square(self.table.embeddings))


def weights(model):
    return [np.array(w) for w in model.get_weights()]


# -- weight 0, epsilon 0 ----------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "block"), [("sgd", None), ("adagrad", 4), ("adam", 4)])
def test_weight_zero_is_plain_training_bit_for_bit(blocks_log, optimizer, block):
    plain = factors(blocks_log)
    plain.compile(optimizer, loss=BayesianPersonalizedRanking())
    plain.fit(pairs(blocks_log, batch_size=16, seed=2, block=block), epochs=3, verbose=0)
    inner = factors(blocks_log)
    robust = AdversarialTraining(inner, FastGradient(0.5), weight=0.0)
    robust.compile(optimizer, loss=BayesianPersonalizedRanking())
    robust.fit(pairs(blocks_log, batch_size=16, seed=2, block=block), epochs=3, verbose=0)
    for a, b in zip(weights(plain), weights(inner), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weight_zero_is_plain_keras_training_of_a_foreign_model():
    x, y = dense_data()
    plain, inner = dense_model(), dense_model()
    plain.compile("adam", loss="mse")
    robust = AdversarialTraining(inner, FastGradient(0.5), weight=0.0, target=input_features())
    robust.compile("adam", loss="mse")
    for model in (plain, robust):
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(weights(plain), weights(inner), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epsilon_zero_is_training_on_one_plus_weight_times_the_loss(blocks_log):
    data = pairs(blocks_log, batch_size=16, seed=2).take(1)
    x, y = next(iter(data))
    plain, inner = factors(blocks_log), factors(blocks_log)
    plain.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
    plain.fit(x, y, sample_weight=np.full(16, 3.5), batch_size=16, verbose=0)
    robust = AdversarialTraining(inner, FastGradient(0.0), weight=2.5)
    robust.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
    robust.fit(x, y, batch_size=16, verbose=0)
    for a, b in zip(weights(plain), weights(inner), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_regulariser_is_counted_once_for_each_pass(blocks_log):
    x, y = next(iter(pairs(blocks_log, batch_size=16, seed=2)))
    plain, inner = (factors(blocks_log, regularization=0.3) for _ in range(2))
    plain.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
    inner_before = weights(inner)
    plain.train_on_batch(x, y)
    once = [b - a for a, b in zip(inner_before, weights(plain), strict=True)]
    robust = AdversarialTraining(inner, FastGradient(0.0), weight=1.0)
    robust.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
    robust.train_on_batch(x, y)
    for start, step, end in zip(inner_before, once, weights(inner), strict=True):
        np.testing.assert_allclose(start + 2 * step, end, atol=1e-6)


# -- the perturbation -------------------------------------------------------------------------


def step_by_hand(model, x, y, epsilon, weight, rate, steps=None):
    """APR's SGD step in NumPy: table mode, repeated rows summed before they are normalised.

    With `steps`, the attack takes that many of size 2.5 epsilon / steps, each projected.
    """
    p, q = weights(model)
    users, items = np.asarray(x["user_id"]), np.asarray(x["item_id"])

    def gradient(p, q):
        gp, gq, loss = np.zeros_like(p), np.zeros_like(q), 0.0
        for u, (i, j) in zip(users, items, strict=True):
            gap = p[u] @ (q[i] - q[j])
            slope = -1 / (1 + np.exp(gap))
            loss += np.log1p(np.exp(-gap))
            gp[u] += slope * (q[i] - q[j])
            gq[i] += slope * p[u]
            gq[j] -= slope * p[u]
        return gp, gq, loss

    def unit(g):
        return g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-12)

    def further(delta, g):
        delta = delta + 2.5 * epsilon / steps * unit(g)
        length = np.linalg.norm(delta, axis=1, keepdims=True)
        return delta * np.minimum(1, epsilon / np.maximum(length, 1e-12))

    gp, gq, clean = gradient(p, q)
    dp, dq = epsilon * unit(gp), epsilon * unit(gq)
    if steps:
        dp, dq = np.zeros_like(p), np.zeros_like(q)
        for _ in range(steps):
            ap, aq, _ = gradient(p + dp, q + dq)
            dp, dq = further(dp, ap), further(dq, aq)
    ap, aq, adversarial = gradient(p + dp, q + dq)
    return p - rate * (gp + weight * ap), q - rate * (gq + weight * aq), clean, adversarial


@pytest.mark.parametrize(("jit", "steps"), [(True, 3), (False, None)], ids=["xla", "graph"])
def test_a_step_is_the_papers_step_with_repeated_rows(blocks_log, jit, steps):
    x = {
        "user_id": np.array([0, 0, 0, 3]),
        "item_id": np.array([[2, 5], [2, 7], [4, 5], [1, 2]]),
    }
    y = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    model = factors(blocks_log)
    expected = step_by_hand(model, x, y, 0.5, 2.0, 0.1, steps)
    perturbation = ProjectedGradient(0.5, steps=steps) if steps else FastGradient(0.5)
    robust = AdversarialTraining(model, perturbation, weight=2.0)
    robust.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking(), jit_compile=jit)
    logs = robust.train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(weights(model)[0], expected[0], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(weights(model)[1], expected[1], rtol=2e-5, atol=1e-6)
    assert logs["loss"] == pytest.approx(expected[2], rel=1e-5)
    assert logs["adversarial_loss"] == pytest.approx(expected[3], rel=1e-5)


@pytest.mark.parametrize("jit", [True, False], ids=["xla", "graph"])
def test_adagrad_sees_the_square_of_the_sum(blocks_log, jit):
    """A row that occurs twice with gradient g accumulates (2g)^2, not 2 g^2."""
    x = {"user_id": np.array([0, 0]), "item_id": np.array([[2, 5], [2, 5]])}
    y = np.tile(np.array([[1.0, 0.0]], np.float32), (2, 1))
    model = factors(blocks_log)
    p, q = weights(model)
    gap = p[0] @ (q[2] - q[5])
    twice = 2 * -1 / (1 + np.exp(gap)) * p[0]
    optimizer = keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.1, epsilon=0.0)
    model.compile(optimizer, loss=BayesianPersonalizedRanking(), jit_compile=jit)
    model.train_on_batch(x, y)
    moved = q[2] - weights(model)[1][2]
    np.testing.assert_allclose(moved, 0.1 * twice / np.sqrt(0.1 + twice**2), rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 20])
def test_the_attack_raises_the_loss_more_than_noise_and_more_steps_raise_it_more(blocks_log, steps):
    model = factors(blocks_log)
    batches = list(pairs(blocks_log, batch_size=90, seed=0))
    loss = BayesianPersonalizedRanking()

    def under(perturbation):
        with applied(model, attack(model, batches, perturbation, seed=1)):
            return sum(float(loss(y, model(x))) for x, y in batches)

    clean, noise = under(FastGradient(0.0)), under(RandomNoise(0.5))
    one, many = under(FastGradient(0.5)), under(ProjectedGradient(0.5, steps=20))
    assert clean < noise < one < many


def test_small_perturbations_raise_the_loss_by_epsilon_times_the_gradients_length(blocks_log):
    model = factors(blocks_log)
    batches = list(pairs(blocks_log, batch_size=180, seed=0))
    loss = BayesianPersonalizedRanking()
    (x, y) = batches[0]
    with tf.GradientTape() as tape:
        value = loss(y, model(x))
    gradients = [
        tf.convert_to_tensor(g)
        for g in tape.gradient(value, [v.value for v in model.trainable_variables])
    ]
    expected = 1e-3 * sum(float(tf.reduce_sum(tf.norm(g, axis=1))) for g in gradients)
    with applied(model, attack(model, batches, FastGradient(1e-3))):
        rise = float(loss(y, model(x))) - float(value)
    assert rise == pytest.approx(expected, rel=0.02)


def test_touched_rows_move_by_epsilon_and_the_others_stay(blocks_log):
    model = factors(blocks_log)
    x = {"user_id": np.array([4, 4]), "item_id": np.array([[2, 5], [6, 5]])}
    y = np.tile(np.array([[1.0, 0.0]], np.float32), (2, 1))
    deltas = attack(model, [(x, y)], FastGradient(0.7))
    users, items = (np.linalg.norm(d, axis=1) for d in deltas.values())
    np.testing.assert_allclose(users, np.where(np.arange(20) == 4, 0.7, 0), atol=1e-6)
    np.testing.assert_allclose(
        items, np.where(np.isin(np.arange(20), [2, 5, 6]), 0.7, 0), atol=1e-6
    )


def test_tables_come_back_bit_for_bit(blocks_log):
    model = factors(blocks_log)
    before = weights(model)
    deltas = attack(model, list(pairs(blocks_log, batch_size=90)), ProjectedGradient(0.5, steps=3))
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)
    inside = []

    def fail_inside():
        with applied(model, deltas):
            inside.append(weights(model)[0])
            raise KeyError("interrupted")

    with pytest.raises(KeyError, match="interrupted"):
        fail_inside()
    assert not np.array_equal(before[0], inside[0])
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("jit", [True, False], ids=["xla", "graph"])
def test_tables_come_back_bit_for_bit_inside_the_step(blocks_log, jit):
    model = factors(blocks_log)
    before = weights(model)
    robust = AdversarialTraining(model, ProjectedGradient(3.0, steps=3), weight=1.0)
    robust.compile(keras.optimizers.SGD(0.0), loss=BayesianPersonalizedRanking(), jit_compile=jit)
    logs = robust.fit(pairs(blocks_log, batch_size=16), verbose=0).history
    assert logs["adversarial_loss"][0] > logs["loss"][0]
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sparse_and_dense_gradients_agree(blocks_log):
    results = []
    for jit in (True, False):
        model = factors(blocks_log)
        robust = AdversarialTraining(model, ProjectedGradient(0.5, steps=2), weight=1.0)
        robust.compile("adagrad", loss=BayesianPersonalizedRanking(), jit_compile=jit)
        robust.fit(pairs(blocks_log, batch_size=16), epochs=2, verbose=0)
        results.append(weights(model))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_blocks_equal_batches(blocks_log):
    results = []
    for block in (None, 3):
        model = factors(blocks_log)
        robust = AdversarialTraining(model, FastGradient(0.5), weight=1.0)
        robust.compile("adagrad", loss=BayesianPersonalizedRanking(), run_eagerly=block is None)
        data = pairs(blocks_log, batch_size=16, seed=4, block=block)
        history = robust.fit(data, epochs=3, verbose=0).history
        results.append([*weights(model), history["adversarial_loss"]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# -- models that were not written for it ------------------------------------------------------


@pytest.mark.parametrize("target", [embedding_tables(), input_features(["price"])], ids=str)
def test_functional_model_with_dict_inputs(target):
    x, y = functional_data()
    model = functional_model()
    robust = AdversarialTraining(model, FastGradient(0.2), weight=0.5, target=target)
    robust.compile("adam", loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=["mae"])
    history = robust.fit(
        x,
        y,
        sample_weight=np.ones(len(y)),
        epochs=3,
        batch_size=16,
        verbose=0,
        validation_data=(x, y),
    ).history
    assert set(history) == {"loss", "adversarial_loss", "mae", "val_loss", "val_mae"}
    assert history["adversarial_loss"][0] > history["loss"][0]
    np.testing.assert_array_equal(robust.predict(x, verbose=0), model.predict(x, verbose=0))


def test_sequential_model_over_dense_features_learns_under_attack():
    x, y = dense_data()
    model = dense_model()
    target = input_features()
    robust = AdversarialTraining(model, FastGradient(0.1, norm="linf"), target=target)
    robust.compile(keras.optimizers.Adam(0.02), loss="mse")
    history = robust.fit(x, y, epochs=30, batch_size=16, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert all(a > c for a, c in zip(history["adversarial_loss"], history["loss"], strict=True))


def test_weight_matrices_move_as_a_whole():
    x, y = dense_data()
    model = dense_model()
    deltas = attack(
        model,
        [(x, y)],
        FastGradient(0.3),
        target=variables("kernel"),
        loss=keras.losses.MeanSquaredError(),
    )
    assert len(deltas) == 2
    assert [np.linalg.norm(d) for d in deltas.values()] == pytest.approx([0.3, 0.3], rel=1e-5)
    robust = AdversarialTraining(model, FastGradient(0.3), target=variables("kernel"))
    robust.compile("sgd", loss="mse")
    history = robust.fit(x, y, verbose=0).history
    assert history["adversarial_loss"][0] > history["loss"][0]


def test_subclassed_model_with_its_own_loss():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = (random.integers(0, 12, 32), random.normal(size=(32, 2)).astype(np.float32))
    y = random.normal(size=(32, 1)).astype(np.float32)
    model = OwnLoss()
    robust = AdversarialTraining(model, FastGradient(0.5))
    robust.compile("adam")
    history = robust.fit(x, y, epochs=2, verbose=0).history
    model_loss = float(model.compute_loss(y=y, y_pred=model(x)))
    assert robust.evaluate(x, y, verbose=0) == pytest.approx(model_loss, rel=1e-5)
    assert history["adversarial_loss"][0] > history["loss"][0]


def test_batch_statistics_are_what_the_clean_pass_left():
    x, y = functional_data(16)
    plain, model = functional_model(), functional_model()
    plain.compile(keras.optimizers.SGD(0.0), loss="mse")
    plain.train_on_batch(x, y)
    robust = AdversarialTraining(model, ProjectedGradient(5.0, steps=4))
    robust.compile(keras.optimizers.SGD(0.0), loss="mse")
    robust.train_on_batch(x, y)
    for a, b in zip(plain.non_trainable_variables, model.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=a.path)


def test_both_passes_use_one_dropout_mask():
    x, y = functional_data(16)
    robust = AdversarialTraining(functional_model(), FastGradient(0.0))
    robust.compile(keras.optimizers.SGD(0.0), loss="mse")
    logs = robust.train_on_batch(x, y, return_dict=True)
    assert logs["adversarial_loss"] == pytest.approx(logs["loss"], rel=1e-6)


@pytest.mark.parametrize("seed", [0, 2**40 + 1])
def test_any_seed_draws_a_noise_of_its_own(seed):
    moved = []
    for given in (seed, seed, seed + 1):
        model = functional_model()
        robust = AdversarialTraining(model, RandomNoise(0.5), seed=given)
        robust.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
        robust.fit(*functional_data(), epochs=1, shuffle=False, verbose=0)
        moved.append(np.concatenate([w.ravel() for w in weights(model)]))
    assert np.isfinite(moved[0]).all()
    assert (moved[0] == moved[1]).all()
    assert (moved[0] != moved[2]).any()


def test_mixed_precision_trains():
    x, y = dense_data()
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", dtype=policy),
            layers.Dense(1, dtype="float32"),
        ]
    )
    robust = AdversarialTraining(model, FastGradient(0.1), target=input_features())
    robust.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)), loss="mse")
    history = robust.fit(x, y, epochs=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]


# -- files and errors -------------------------------------------------------------------------


def test_saving_saves_the_model_inside(blocks_log, tmp_path):
    model = factors(blocks_log)
    robust = AdversarialTraining(model, FastGradient(0.5))
    robust.save_weights(tmp_path / "w.weights.h5")
    other = factors(blocks_log, seed=9)
    other.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(weights(model), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(robust.weights) == len(model.weights)


def test_config_round_trip():
    robust = AdversarialTraining(
        dense_model(), ProjectedGradient(0.1, steps=2), weight=0.3, target=variables("kernel")
    )
    again = AdversarialTraining.from_config(robust.get_config())
    assert again.get_config()["perturbation"] == robust.get_config()["perturbation"]
    assert again.target == robust.target
    assert again.weight == 0.3


def test_a_model_without_tables_is_told_what_to_do():
    x, y = dense_data()
    robust = AdversarialTraining(dense_model(), FastGradient(0.1))
    robust.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"target=input_features\(\)"):
        robust.fit(x, y, verbose=0)


def test_ids_are_never_perturbed():
    x, y = functional_data()
    robust = AdversarialTraining(
        functional_model(), FastGradient(0.1), target=input_features(["item"])
    )
    robust.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"use embedding_tables\(\)"):
        robust.fit(x, y, verbose=0)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight must be a finite number"):
        AdversarialTraining(dense_model(), FastGradient(0.1), weight=-1.0)


def test_an_unknown_variable_is_refused(blocks_log):
    model = factors(blocks_log)
    with pytest.raises(ValueError, match="has no variables"), applied(model, {"nothing": 0}):
        pass


def test_compiled_metrics_work_inside_blocks(blocks_log):
    robust = AdversarialTraining(factors(blocks_log), FastGradient(0.5))
    robust.compile("adagrad", loss=BayesianPersonalizedRanking(), metrics=["mae"])
    block = robust.fit(pairs(blocks_log, batch_size=16, block=100), verbose=0).history
    robust = AdversarialTraining(factors(blocks_log), FastGradient(0.5))
    robust.compile("adagrad", loss=BayesianPersonalizedRanking(), metrics=["mae"])
    batches = robust.fit(pairs(blocks_log, batch_size=16), verbose=0).history
    assert block["mae"] == pytest.approx(batches["mae"], rel=1e-4)
