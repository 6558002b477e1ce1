"""Virtual adversarial training: known divergences, the worst direction, and no labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfadvrec import AdversarialTraining, MatrixFactorization
from tfadvrec.adversary import (
    FastGradient,
    VirtualAdversarial,
    attack,
    input_features,
    variables,
)
from tfadvrec.adversary.ascent import iterate
from tfadvrec.data import pairs
from tfadvrec.losses import BayesianPersonalizedRanking

RANDOM = np.random.default_rng(0)
CLEAN, MOVED = RANDOM.normal(size=(2, 5, 4)).astype(np.float32)


def softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum(-1, keepdims=True)


def test_divergences_are_their_formulas():
    p, q = softmax(CLEAN), softmax(MOVED)
    found = VirtualAdversarial(1.0).disagreement(None, CLEAN, MOVED)
    np.testing.assert_allclose(found, np.sum(p * np.log(p / q)), rtol=1e-5)
    p, q = (1 / (1 + np.exp(-part[:, :1])) for part in (CLEAN, MOVED))
    expected = np.sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    for options in ({}, {"divergence": "bernoulli"}):
        found = VirtualAdversarial(1.0, **options).disagreement(None, CLEAN[:, :1], MOVED[:, :1])
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    squared = VirtualAdversarial(1.0, divergence="squared", reduction="mean")
    expected = 0.5 * np.sum((CLEAN - MOVED) ** 2) / 5
    np.testing.assert_allclose(squared.disagreement(None, CLEAN, MOVED), expected, rtol=1e-5)


def test_ignored_candidates_take_no_part():
    labels = np.zeros((5, 4), np.float32)
    labels[:, 2] = -1
    for kind in ("softmax", "bernoulli", "squared"):
        virtual = VirtualAdversarial(1.0, divergence=kind)
        without = virtual.disagreement(None, *(np.delete(s, 2, axis=1) for s in (CLEAN, MOVED)))
        np.testing.assert_allclose(virtual.disagreement(labels, CLEAN, MOVED), without, rtol=1e-4)


class Vectors:
    """Rows that are the inputs of a linear softmax."""

    per_example = False

    def __init__(self, values):
        self.before = self.now = tf.constant(values)

    def shift(self, delta):
        self.now = self.before + delta


def test_power_iteration_finds_the_direction_of_the_largest_curvature():
    matrix = RANDOM.normal(size=(3, 6)).astype(np.float32)
    rows = Vectors(RANDOM.normal(size=(2, 3)).astype(np.float32))
    clean = rows.before @ matrix
    virtual = VirtualAdversarial(0.1, steps=12)

    def divergence(at):
        return virtual.disagreement(None, clean, at @ matrix)

    def again():
        with tf.GradientTape() as tape:
            tape.watch(rows.now)
            value = divergence(rows.now)
        return [tape.gradient(value, rows.now)]

    (delta,) = iterate(virtual, [rows], [tf.ones([2, 3])], again, tf.constant(3))
    for row, p in zip(delta.numpy(), softmax(clean.numpy()), strict=True):
        curvature = matrix @ (np.diag(p) - np.outer(p, p)) @ matrix.T
        worst = np.linalg.eigh(curvature)[1][:, -1]
        assert abs(row @ worst) == pytest.approx(0.1, rel=0.01)


def factors():
    return MatrixFactorization(n_users=20, n_items=20, dimension=6, initial_scale=0.7, seed=2)


def trained(model, perturbation, y, weight=1.0, rate=0.0):
    x = {"user_id": np.arange(6), "item_id": np.arange(18).reshape(6, 3)}
    robust = AdversarialTraining(model, perturbation, weight)
    robust.compile(keras.optimizers.SGD(rate), loss=BayesianPersonalizedRanking())
    return robust.train_on_batch(x, y, return_dict=True)


def test_labels_are_not_looked_at_and_the_move_contradicts_more_than_a_random_one():
    labels = np.zeros((6, 3), np.float32)
    found = []
    for column in range(3):
        y = labels.copy()
        y[:, column] = 1
        found.append(trained(factors(), VirtualAdversarial(0.5), y)["adversarial_loss"])
    np.testing.assert_allclose(found, found[0], rtol=1e-5)
    model, random = factors(), 0.0
    users, items = (v.numpy() for v in model.trainable_variables)
    clean = np.einsum("ud,ucd->uc", users[:6], items[:18].reshape(6, 3, 6))
    for seed in range(5):
        drawn = [
            np.random.default_rng([seed, n]).normal(size=v.shape)
            for n, v in enumerate((users, items))
        ]
        drawn = [0.5 * d / np.linalg.norm(d, axis=1, keepdims=True) for d in drawn]
        u, i = users + drawn[0], items + drawn[1]
        moved = np.einsum("ud,ucd->uc", u[:6], i[:18].reshape(6, 3, 6))
        random += float(VirtualAdversarial(1.0).disagreement(None, clean, moved)) / 5
    assert found[0] > 1.5 * random


def test_without_size_or_weight_only_the_clean_loss_trains():
    y = np.eye(6, 3, dtype=np.float32)
    y[3:, 0] = 1
    results = []
    for perturbation, weight in ((VirtualAdversarial(0.0), 1.0), (FastGradient(0.5), 0.0)):
        model = factors()
        logs = trained(model, perturbation, y, weight, rate=0.1)
        results.append(model.get_weights())
        if weight:
            assert logs["adversarial_loss"] == pytest.approx(0.0, abs=1e-5)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_clean_side_is_a_constant():
    """f(x) = w x at w = x = 1: the half square of f(1 + d) - 1 has the slope d (1 + d) in w."""
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    virtual = VirtualAdversarial(0.5, divergence="squared", reduction="mean")
    robust = AdversarialTraining(model, virtual, 1.0, target=input_features())
    robust.compile(keras.optimizers.SGD(0.1), loss="mse")
    logs = robust.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)), return_dict=True)
    assert logs["adversarial_loss"] == pytest.approx(0.125, rel=1e-5)
    slopes = [2 + d * (1 + d) for d in (0.5, -0.5)]  # the sign is drawn
    after = float(dense.kernel.numpy()[0, 0])
    assert min(abs(after - (1 - 0.1 * slope)) for slope in slopes) < 1e-6


def test_a_regulariser_counts_once():
    results = []
    for perturbation, weight in ((VirtualAdversarial(0.0, reduction="mean"), 1.0), (None, 0.0)):
        keras.utils.set_random_seed(0)
        out = layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5))
        model = keras.Sequential([keras.Input((4,)), out])
        robust = AdversarialTraining(
            model, perturbation or FastGradient(0.1), weight, target=variables("kernel")
        )
        robust.compile(keras.optimizers.SGD(0.1), loss="mse")
        robust.train_on_batch(CLEAN, MOVED[:, :2])
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_it_trains_in_blocks_as_in_plain_batches_and_compiled(blocks_log):
    histories = []
    for block, jit in ((None, False), (4, False), (4, "auto")):
        robust = AdversarialTraining(factors(), VirtualAdversarial(0.5, steps=2))
        robust.compile("adagrad", loss=BayesianPersonalizedRanking(), jit_compile=jit)
        robust.run_eagerly = block is None
        data = pairs(blocks_log, batch_size=30, negatives=3, block=block)
        histories.append(robust.fit(data, epochs=3, verbose=0).history)
    for name, values in histories[0].items():
        assert histories[1][name] == pytest.approx(values, rel=1e-4), name
        assert histories[2][name] == pytest.approx(values, rel=0.1), name  # XLA draws others


def test_errors_say_what_is_expected():
    with pytest.raises(ValueError, match="looks at no labels"):
        attack(factors(), [], VirtualAdversarial(0.1))
    with pytest.raises(ValueError, match="probe above 0"):
        VirtualAdversarial(0.1, probe=0)
    with pytest.raises(ValueError, match="divergence must be one of"):
        VirtualAdversarial(0.1, divergence="kl")
