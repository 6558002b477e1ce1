"""Means and factorisation of ratings against NumPy, and the attack on vectors against a search."""

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.programs.rating_model import Factorised, Means, factorise


@pytest.fixture(scope="module")
def planted():
    """Ratings that are means plus one planted factor; the last fifth is held out."""
    rng = np.random.default_rng(0)
    user, item = (part.ravel() for part in np.meshgrid(np.arange(40), np.arange(30)))
    likes = np.outer(rng.choice([-1.0, 1.0], 40), rng.choice([-1.0, 1.0], 30))
    rating = 3.0 + likes[user, item] + 0.1 * rng.normal(size=len(user))
    log = Interactions.from_arrays(
        user, item, rating=rating, user_ids=np.arange(40), item_ids=np.arange(30)
    )
    held = rng.uniform(size=len(log)) < 0.2
    return log.take(~held), log.take(held)


def small_model():
    rng = np.random.default_rng(1)
    means = Means(3.0, rng.normal(size=6), rng.normal(size=5))
    return Factorised(means, rng.normal(size=(5, 3)), rng.normal(size=(6, 3)))


def test_means_are_damped_residual_means():
    log = Interactions.from_arrays([0, 0, 1, 1], [0, 1, 0, 2], rating=[5.0, 3.0, 4.0, 1.0])
    means = Means.of(log, damping=2.0)
    assert means.mean == pytest.approx(3.25)
    np.testing.assert_allclose(means.item, [(1.75 + 0.75) / 4, -0.25 / 3, -2.25 / 3])
    first = (1.75 - means.item[0]) + (-0.25 - means.item[1])
    assert means.user[0] == pytest.approx(first / 4)
    assert means.predict([0], [2])[0] == pytest.approx(3.25 + means.user[0] + means.item[2])


def test_the_attack_raises_every_squared_error_as_numpy_says():
    model, epsilon = small_model(), 0.2
    user, item = np.array([0, 1, 4]), np.array([5, 2, 0])
    rating = np.array([1.0, 5.0, 3.0])
    moved = model.attacked(user, item, rating, epsilon=epsilon)
    for row in range(3):
        p, q = model.users[user[row]], model.items[item[row]]
        base = model.means.predict(user[row : row + 1], item[row : row + 1])[0]
        sign = np.sign(base + p @ q - rating[row])
        expected = base + (p + epsilon * sign * q / np.linalg.norm(q)) @ (
            q + epsilon * sign * p / np.linalg.norm(p)
        )
        assert moved[row] == pytest.approx(expected)
    clean = np.abs(model.predict(user, item) - rating)
    assert (np.abs(moved - rating) > clean).all()
    np.testing.assert_allclose(
        model.attacked(user, item, rating, epsilon=0.0), model.predict(user, item)
    )


def test_no_other_move_of_one_vector_of_that_length_is_worse():
    model, epsilon = small_model(), 0.01
    user, item, rating = np.array([2]), np.array([3]), np.array([1.0])
    worst = abs(model.attacked(user, item, rating, epsilon=epsilon)[0] - 1.0)
    rng = np.random.default_rng(2)
    base = model.means.predict(user, item)[0]
    for _ in range(300):
        moves = rng.normal(size=(2, 3))
        moves *= epsilon / np.linalg.norm(moves, axis=1, keepdims=True)
        tried = base + (model.users[2] + moves[0]) @ (model.items[3] + moves[1])
        assert abs(tried - 1.0) <= worst + 2 * epsilon**2


def test_a_factorisation_finds_what_means_cannot(planted):
    train, test = planted
    model = factorise(train, dimension=4, epochs=60, ridge=0.01, batch_size=64)
    pairs = test.user, test.item
    means = np.sqrt(np.mean((Means.of(train).predict(*pairs) - test.rating) ** 2))
    error = np.sqrt(np.mean((model.predict(*pairs) - test.rating) ** 2))
    assert means > 0.9
    assert error < 0.35


def test_folding_in_solves_the_ridge_of_each_user(planted):
    train, _ = planted
    rng = np.random.default_rng(3)
    model = Factorised(
        Means(3.0, np.zeros(30), np.zeros(40)), np.zeros((40, 2)), rng.normal(size=(30, 2))
    )
    folded = model.fold_in(train, ridge=0.5)
    rows = np.flatnonzero(train.user == 7)
    q = model.items[train.item[rows]]
    left = train.rating[rows] - 3.0
    own = left.sum() / (len(rows) + 5.0)
    ridge = 0.5 * len(rows) * np.eye(2)
    np.testing.assert_allclose(
        folded.users[7], np.linalg.solve(q.T @ q + ridge, q.T @ (left - own)), rtol=1e-6
    )
    assert folded.means.user[7] == pytest.approx(own)
