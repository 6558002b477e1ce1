"""FreeLB: the mean over the points of the way, at one dropout mask."""

import keras
import numpy as np
import pytest
from keras import layers

from tfadvrec import AdversarialTraining, MatrixFactorization
from tfadvrec.adversary import FastGradient, FreeLB, ProjectedGradient, input_features, variables
from tfadvrec.losses import BayesianPersonalizedRanking

X = {"user_id": np.array([0, 0, 3]), "item_id": np.array([[2, 5], [4, 2], [1, 2]])}
Y = np.tile(np.array([[1.0, 0.0]], np.float32), (3, 1))


def one_weight(perturbation, weight):
    """The loss w * w of a model with one weight w = 1, attacked there."""
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    robust = AdversarialTraining(model, perturbation, weight, target=variables("kernel"))
    robust.compile(keras.optimizers.SGD(0.1), loss="mse")
    logs = robust.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)), return_dict=True)
    return float(dense.kernel.numpy()[0, 0]), logs["adversarial_loss"]


def test_the_update_is_the_mean_over_the_points():
    after, loss = one_weight(FreeLB(0.5, steps=3, step_size=0.3), weight=2.0)
    points = np.array([1.3, 1.5, 1.5])  # drawn back into the ball
    assert loss == pytest.approx(np.mean(points**2), rel=1e-6)
    assert after == pytest.approx(1 - 0.1 * (2 + 2 * np.mean(2 * points)), rel=1e-6)
    last, _ = one_weight(ProjectedGradient(0.5, steps=3, step_size=0.3), weight=2.0)
    assert last == pytest.approx(1 - 0.1 * (2 + 2 * 2 * 1.5), rel=1e-6)


def test_one_step_of_full_size_is_the_fast_gradient_in_tables_too():
    results = []
    for perturbation in (FreeLB(0.4, steps=1, step_size=0.4), FastGradient(0.4)):
        model = MatrixFactorization(n_users=6, n_items=6, dimension=4, initial_scale=0.5, seed=1)
        robust = AdversarialTraining(model, perturbation)
        robust.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
        robust.train_on_batch(X, Y)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_tables_are_trained_on_the_mean_of_the_points_of_a_projected_way():
    """The mean of what ProjectedGradient's updates of 1, 2 and 3 of the same steps would be."""

    def update(perturbation):
        model = MatrixFactorization(n_users=6, n_items=6, dimension=4, initial_scale=0.5, seed=1)
        before = model.get_weights()
        robust = AdversarialTraining(model, perturbation)
        robust.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking())
        logs = robust.train_on_batch(X, Y, return_dict=True)
        moves = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
        return [*moves, logs["adversarial_loss"]]

    ways = [update(ProjectedGradient(0.6, steps=n, step_size=0.2)) for n in (1, 2, 3)]
    for found, *parts in zip(update(FreeLB(0.6, steps=3, step_size=0.2)), *ways, strict=True):
        np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-4, atol=1e-7)


def test_all_passes_draw_one_dropout_mask():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    model = keras.Sequential([keras.Input((8,)), layers.Dropout(0.5, seed=1), layers.Dense(1)])
    robust = AdversarialTraining(model, FreeLB(0.0, steps=3), target=input_features())
    robust.compile(keras.optimizers.SGD(0.0), loss="mse")
    history = robust.fit(x, x[:, :1], batch_size=4, epochs=2, verbose=0).history
    assert history["adversarial_loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert history["loss"][0] != history["loss"][1]
