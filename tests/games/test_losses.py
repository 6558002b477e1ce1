"""Losses of games against values that are known without them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.games import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from tfadvrec.games.penalties import slopes

EVERY = [Minimax, NonSaturating, LeastSquares, Hinge, Wasserstein]
LOGITS = np.array([-2.0, 0.3, 1.7], np.float32), np.array([0.4, -1.1, 2.2], np.float32)


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("loss", "value"),
    [(Minimax(), 2 * np.log(2)), (NonSaturating(), 2 * np.log(2)), (LeastSquares(), 0.5),
     (Hinge(), 2.0), (Wasserstein(), 0.0)],
)  # fmt: skip
def test_a_discriminator_that_knows_nothing_pays_the_known_price(loss, value):
    assert float(loss.discriminator(tf.zeros([4]), tf.zeros([4]))) == pytest.approx(value)


@pytest.mark.parametrize(
    ("loss", "of_discriminator", "of_generator"),
    [
        (Minimax(), lambda r, f: softplus(-r) + softplus(f), lambda f: -softplus(f)),
        (NonSaturating(), lambda r, f: softplus(-r) + softplus(f), lambda f: softplus(-f)),
        (LeastSquares(), lambda r, f: (r - 1) ** 2 / 2 + f**2 / 2, lambda f: (f - 1) ** 2 / 2),
        (Hinge(), lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f: -f),
        (Wasserstein(), lambda r, f: f - r, lambda f: -f),
    ],
)
def test_losses_are_their_formulas(loss, of_discriminator, of_generator):
    real, fake = LOGITS
    expected = of_discriminator(real, fake).mean()
    np.testing.assert_allclose(loss.discriminator(real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(loss.generator(fake), of_generator(fake).mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_both_sides_gain_from_what_they_want(kind):
    loss, low, high = kind(), tf.fill([3], -1.0), tf.fill([3], 1.0)
    assert loss.discriminator(high, low) < loss.discriminator(low, high)
    assert loss.generator(high) < loss.generator(low)


def test_smoothing_moves_the_real_target_only():
    real, fake = LOGITS
    smoothed = NonSaturating(label_smoothing=0.25).discriminator(real, fake)
    expected = (0.75 * softplus(-real) + 0.25 * softplus(real) + softplus(fake)).mean()
    np.testing.assert_allclose(smoothed, expected, rtol=1e-5)
    best = LeastSquares(label_smoothing=0.25)
    assert float(best.discriminator(tf.fill([2], 0.75), tf.zeros([2]))) == 0.0


@pytest.mark.parametrize("kind", EVERY)
def test_config_goes_round(kind):
    loss = kind(gradient_penalty=3.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is kind
    assert again.get_config() == loss.get_config()
    assert again.get_config()["gradient_penalty"] == 3.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NonSaturating(r1=-1.0), "r1 must be 0 or more"),
        (lambda: Hinge(label_smoothing=1.0), r"label_smoothing must be in \[0, 1\)"),
        (lambda: Wasserstein(clip=0.0), "clip must be above 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def linear_game(make_game, loss, plane, packing=1):
    """A game with a linear critic of known weights."""
    game = make_game(loss, packing=packing, hidden=())
    game.build_on({"x": plane[:4]})
    weights = np.arange(1.0, 2 * packing + 1)[:, None] / 2.0
    game.discriminator.set_weights([weights, np.zeros(1)])
    return game, weights


@pytest.mark.parametrize("packing", [1, 2])
def test_the_penalties_of_a_linear_critic_are_known_by_hand(make_game, plane, packing):
    game, weights = linear_game(make_game, Wasserstein(r1=4.0), plane, packing)
    seed, real = tf.constant([0, 0]), tf.constant(plane[:6])
    parts = game.discriminator_loss({"x": real}, real, tf.constant(plane[6:12]), seed)
    length = np.linalg.norm(weights)
    np.testing.assert_allclose(parts["gradient_penalty"], 10 * (length - 1) ** 2, rtol=1e-4)
    np.testing.assert_allclose(parts["r1"], 4.0 / 2 * length**2, rtol=1e-5)


def test_the_gradient_penalty_has_the_gradient_of_finite_differences(make_game, plane):
    game = make_game(Wasserstein(), hidden=(4,))
    game.build_on({"x": plane[:4]})
    kernel = game.discriminator.trainable_variables[0]

    def penalty():
        length = tf.sqrt(slopes(game, tf.constant(plane[:8])) + 1e-10)
        return tf.reduce_mean(tf.square(length - 1.0))

    with tf.GradientTape() as tape:
        value = penalty()
    gradient = tape.gradient(value, kernel.value).numpy()
    start, step = kernel.numpy(), 1e-3
    for place in np.ndindex(start.shape):
        found = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            kernel.assign(moved)
            found.append(float(penalty()))
        slope = (found[0] - found[1]) / (2 * step)
        assert gradient[place] == pytest.approx(slope, abs=2e-3)
        kernel.assign(start)


def test_the_penalty_is_computed_in_float32_under_any_precision(plane):
    from tfadvrec.games.networks import dense

    keras.config.set_dtype_policy("mixed_float16")
    try:
        critic = dense([4], out=1, input_width=2, seed=2)
    finally:
        keras.config.set_dtype_policy("float32")

    class Judge:
        packing, conditions, discriminator = 1, (), critic

        def judge(self, example):
            return tf.cast(critic(example)[:, 0], tf.float32)

        def _changed(self, example, values):
            return values[0]

    x = tf.constant(plane[:16])
    found = slopes(Judge(), x).numpy()
    weights = [w.astype(np.float64) for w in critic.get_weights()]
    hidden = plane[:16] @ weights[0] + weights[1]
    gradient = (np.where(hidden > 0, 1.0, 0.2) * weights[2][:, 0]) @ weights[0].T
    np.testing.assert_allclose(found, (gradient**2).sum(1), rtol=1e-5)
    assert critic.layers[0].compute_dtype == "float16"  # and the precision is back
