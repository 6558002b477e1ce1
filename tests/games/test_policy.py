"""Draws from a policy, importance weights and the policy gradient, on three items."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.games import policy

SCORES = np.array([[0.3, -0.9, 1.1]], np.float32)
REWARD = np.array([[0.7, 0.2, -0.6]], np.float32)
POSITIVE = np.array([[1.0, 1.0, 0.0]], np.float32)
DRAWS = 100_000


def chances(scores=SCORES):
    return tf.nn.softmax(tf.constant(scores)).numpy()


def exact_gradient(scores=SCORES, reward=REWARD):
    """-sum_i p_i r_i grad ln p_i with grad ln p_i = e_i - p, in NumPy."""
    p = chances(scores).astype(np.float64)[0]
    worth = p * reward[0]
    return -(worth - p * worth.sum())


def gradient_of(loss):
    scores = tf.Variable(SCORES)
    with tf.GradientTape() as tape:
        value = loss(tf.nn.log_softmax(scores))
    return tape.gradient(value, scores).numpy()[0]


def uniforms(draws=DRAWS, seed=0, rows=1):
    return tf.constant(np.random.default_rng(seed).random((rows, draws), dtype=np.float32))


def one_draw_gradients(draw_from, proposed, reward=REWARD):
    """The estimator with a single draw, once for every draw: `(draws, 3)`."""
    items = policy.draw(tf.constant(draw_from), uniforms())[0][:, None]
    log_p = tf.Variable(np.tile(SCORES, (DRAWS, 1)))
    full = tf.tile(tf.constant(proposed), [DRAWS, 1])
    with tf.GradientTape() as tape:
        losses = policy.sampled_loss(
            tf.nn.log_softmax(log_p),
            full,
            tf.tile(tf.constant(reward), [DRAWS, 1]),
            items,
            tf.ones([DRAWS, 1]),
        )
    return tape.gradient(losses, log_p).numpy().astype(np.float64)


def deviations_from_exact(gradients, reward=REWARD):
    error = gradients.std(axis=0) / np.sqrt(len(gradients))
    return np.abs(gradients.mean(axis=0) - exact_gradient(reward=reward)) / error


def test_draws_have_the_given_frequencies():
    wanted = np.array([[0.0, 0.1, 0.0, 0.6, 0.3, 0.0]], np.float32)
    found = np.bincount(policy.draw(tf.constant(wanted), uniforms())[0], minlength=6) / DRAWS
    assert found[wanted[0] == 0].tolist() == [0.0, 0.0, 0.0]
    error = np.sqrt(wanted[0] * (1 - wanted[0]) / DRAWS)
    assert (np.abs(found - wanted[0]) <= 4 * error).all()


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 9, 1000])
def test_a_draw_is_where_the_distribution_function_passes_the_uniform(width):
    random = np.random.default_rng(width)
    weights = random.random((4, width)).astype(np.float32)
    levels = random.random((4, 50)).astype(np.float32)
    found = policy.draw(tf.constant(weights), tf.constant(levels)).numpy()
    reached = tf.cumsum(tf.constant(weights), axis=1).numpy()
    for row in range(4):
        expected = np.searchsorted(reached[row], levels[row] * reached[row, -1], side="right")
        np.testing.assert_array_equal(found[row], expected)


def test_the_proposal_sums_to_one_and_gives_positives_their_share():
    proposed = policy.proposal(tf.constant(chances()), tf.constant(POSITIVE), 0.2).numpy()
    np.testing.assert_allclose(proposed, 0.8 * chances() + [[0.1, 0.1, 0.0]], rtol=1e-6)
    none = policy.proposal(tf.constant(chances()), tf.zeros([1, 3]), 0.2).numpy()
    np.testing.assert_array_equal(none, chances())


def test_importance_weights_have_mean_one_under_the_proposal():
    proposed = policy.proposal(tf.constant(chances()), tf.constant(POSITIVE), 0.2).numpy()
    assert (proposed * (chances() / proposed)).sum() == pytest.approx(1.0, abs=1e-6)
    items = policy.draw(tf.constant(proposed), uniforms()).numpy()[0]
    weights = (chances() / proposed)[0, items].astype(np.float64)
    assert abs(weights.mean() - 1.0) < 4 * weights.std() / np.sqrt(DRAWS)


def test_the_expectation_has_the_policy_gradient_exactly():
    found = gradient_of(lambda log_p: policy.expected_loss(log_p, tf.constant(REWARD)))
    np.testing.assert_allclose(found, exact_gradient(), atol=1e-7)


def test_the_policy_gradient_is_that_of_minus_the_expected_reward():
    direct = gradient_of(lambda log_p: -tf.reduce_sum(tf.exp(log_p) * REWARD))
    np.testing.assert_allclose(direct, exact_gradient(), atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_draws_estimate_the_policy_gradient_without_bias(share):
    proposed = policy.proposal(tf.constant(chances()), tf.constant(POSITIVE), share).numpy()
    assert (deviations_from_exact(one_draw_gradients(proposed, proposed)) < 4).all()


def test_drawing_at_another_temperature_than_is_differentiated_is_biased():
    """What elliot's IRGAN does: the bias is far outside what the draws explain."""
    sharper = chances(SCORES / 0.5)
    assert deviations_from_exact(one_draw_gradients(sharper, chances())).max() > 50


def test_leaving_the_importance_weight_out_is_biased():
    proposed = policy.proposal(tf.constant(chances()), tf.constant(POSITIVE), 0.2).numpy()
    assert deviations_from_exact(one_draw_gradients(proposed, chances())).max() > 10


def test_a_baseline_keeps_the_gradient_and_shrinks_the_spread():
    reward = REWARD + 5.0  # the gradient does not see a constant, its estimate does
    level = policy.baseline(tf.nn.log_softmax(tf.constant(SCORES)), tf.constant(reward))
    assert float(level[0, 0]) == pytest.approx((chances() * reward).sum(), abs=1e-5)
    centred = reward - level.numpy()
    np.testing.assert_allclose(exact_gradient(reward=centred), exact_gradient(), atol=1e-6)
    plain = one_draw_gradients(chances(), chances(), reward)
    less = one_draw_gradients(chances(), chances(), centred)
    assert (deviations_from_exact(less) < 4).all()
    assert (less.std(axis=0) < 0.3 * plain.std(axis=0)).all()


def test_padding_counts_nothing():
    proposed = tf.constant(chances())
    items, padded = tf.constant([[0, 2]]), tf.constant([[0, 2, 1, 1]])
    found = [
        gradient_of(
            lambda log_p, items=items, weight=weight: policy.sampled_loss(
                log_p, proposed, tf.constant(REWARD), items, tf.constant(weight)
            )
        )
        for items, weight in ((items, [[1.0, 1.0]]), (padded, [[1.0, 1.0, 0.0, 0.0]]))
    ]
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0]).max() > 0.01
