"""Known answers of the perturbations, row by row, without a model."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.adversary import FastGradient, Perturbation, ProjectedGradient, RandomNoise

SEED = tf.constant([3, 4])


def every_perturbation(epsilon):
    return [
        FastGradient(epsilon),
        FastGradient(epsilon, norm="linf"),
        ProjectedGradient(epsilon),
        ProjectedGradient(epsilon, norm="linf"),
        ProjectedGradient(epsilon, norm="l2", projection="linf", step_size=epsilon / 4, steps=25),
        RandomNoise(epsilon),
        RandomNoise(epsilon, norm="linf"),
    ]


def run(perturbation: Perturbation, rows, gradient_at):
    delta = perturbation.start(rows, SEED)
    for _ in range(perturbation.steps):
        delta = perturbation.step(delta, gradient_at(rows + delta))
    return np.asarray(delta)


@pytest.mark.parametrize("perturbation", every_perturbation(0.3), ids=repr)
def test_delta_stays_in_its_ball_and_reaches_it(perturbation):
    rows = tf.random.stateless_normal([7, 5], [0, 1])
    weights = tf.random.stateless_normal([7, 5], [0, 2])
    delta = run(perturbation, rows, lambda at: weights * tf.cos(at) * 1e-3)
    box = getattr(perturbation, "projection", None) or perturbation.norm
    order = {"l2": 2, "linf": np.inf}[box]
    sizes = np.linalg.norm(delta, ord=order, axis=1)
    assert np.all(sizes <= 0.3 * (1 + 1e-5))
    if not isinstance(perturbation, ProjectedGradient):
        np.testing.assert_allclose(sizes, 0.3, rtol=1e-5)


def test_fast_gradient_moves_along_the_unit_gradient():
    gradient = np.array([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]], np.float32)
    delta = FastGradient(2.0).step(tf.zeros([3, 2]), gradient).numpy()
    np.testing.assert_allclose(delta, [[1.2, 1.6], [0.0, -2.0], [0.0, 0.0]], rtol=1e-6)
    signs = FastGradient(2.0, norm="linf").step(tf.zeros([3, 2]), gradient).numpy()
    np.testing.assert_allclose(signs, [[2, 2], [0, -2], [0, 0]])


@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.0, 1e9])
def test_the_size_of_the_gradient_does_not_matter(size):
    gradient = tf.constant([[0.6, -0.8]]) * size
    np.testing.assert_allclose(
        FastGradient(1.0).step(tf.zeros([1, 2]), gradient), [[0.6, -0.8]], rtol=1e-5
    )


def test_one_projected_step_of_full_size_is_the_fast_gradient():
    gradient = tf.random.stateless_normal([5, 4], [1, 2])
    for norm in ("l2", "linf"):
        one = ProjectedGradient(0.7, steps=1, step_size=0.7, norm=norm)
        np.testing.assert_allclose(
            one.step(tf.zeros([5, 4]), gradient),
            FastGradient(0.7, norm=norm).step(tf.zeros([5, 4]), gradient),
            rtol=1e-5,
        )


def test_more_steps_find_a_worse_point_on_a_curved_loss():
    # the maximum of -|x - c|^2 within the ball is c itself: one full step overshoots it
    center = tf.constant([[0.1, 0.2]])

    def loss(at):
        return -float(tf.reduce_sum((at - center) ** 2))

    def gradient(at):
        return -2 * (at - center)

    rows = tf.zeros([1, 2])
    one = run(FastGradient(1.0), rows, gradient)
    many = run(ProjectedGradient(1.0, steps=50, step_size=0.02), rows, gradient)
    assert loss(many) > loss(one)
    np.testing.assert_allclose(many, center, atol=0.02)


def test_noise_is_keyed_by_its_seed():
    rows = tf.zeros([4, 3])
    noise = RandomNoise(1.0)
    np.testing.assert_array_equal(noise.start(rows, SEED), noise.start(rows, SEED))
    assert not np.allclose(noise.start(rows, SEED), noise.start(rows, SEED + 1))


@pytest.mark.parametrize("perturbation", every_perturbation(0.3), ids=repr)
def test_config_round_trip_through_json(perturbation):
    config = json.loads(json.dumps(perturbation.get_config()))
    assert type(perturbation).from_config(config).get_config() == perturbation.get_config()


@pytest.mark.parametrize("epsilon", [-1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        FastGradient(epsilon)


def test_unknown_norm_and_steps_are_refused():
    with pytest.raises(ValueError, match="norm must be one of"):
        FastGradient(1.0, norm="l3")
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        ProjectedGradient(1.0, steps=0)
