"""Known answers of a game: a mixture recovered whole, chance on identical data, and each option."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.games.ring_game import DEVIATION, MODES, RingGame, nearest, observed, ring
from tfadvrec import data
from tfadvrec.games import losses
from tfadvrec.games.health import HealthMonitor
from tfadvrec.games.health.snapshot import Snapshot

SEED = tf.constant([3, 4])


def shares(points):
    """Share of all points that lie near each mode."""
    mode, distance = nearest(points)
    return np.bincount(mode[distance < 5 * DEVIATION], minlength=MODES) / len(points)


@pytest.fixture(scope="module")
def player():
    """A game compiled once, with its state before the first step."""
    game = RingGame()
    game.compile(
        keras.optimizers.Adam(2e-3, beta_1=0.5),
        keras.optimizers.Adam(2e-3, beta_1=0.5),
        losses.NonSaturating(r1=0.1),
    )
    game.build_on({"x": ring(128)})
    return game, Snapshot(game)


@pytest.mark.parametrize("seed", [0, 1])
def test_all_modes_of_a_mixture_are_recovered_and_nothing_is_told(player, seed):
    game, start = player
    start.restore(game)
    game.set_weights(RingGame(seed=seed).get_weights())
    game.discriminator_steps.assign(1)
    before = shares(game.points(2000, seed=5))
    points = data.rows({"x": ring(6400, seed=seed)}, batch_size=128, seed=seed, block=50)
    monitor = HealthMonitor(observed(ring(1000, seed=7)), count=1000, every=2)
    game.fit(points, epochs=20, verbose=0, callbacks=[monitor])  # a warning would be an error
    after = shares(game.points(2000, seed=5))
    assert before.min() < 0.02
    assert after.min() > 0.5 / MODES
    assert after.max() < 2.0 / MODES
    assert after.sum() > 0.65
    assert monitor.report.status == "healthy"
    assert monitor.report.curve("coverage")[1][-1] == 1.0
    assert abs(monitor.report.curve("gini")[1][-1]) < 0.1


class Given(RingGame):
    """Real points against other real points, of which each is given twice."""

    def fake(self, batch, seed):
        return tf.repeat(batch["y"][::2], 2, axis=0) + 0.0 * super().fake(batch, seed)


def judged(game):
    """The last epoch's accuracies on real and fake, and the discriminator's loss."""
    game.compile("sgd", keras.optimizers.Adam(5e-3), jit_compile=False)
    points = {"x": ring(2560, seed=1), "y": ring(2560, seed=2)}
    history = game.fit(data.rows(points, batch_size=128), epochs=12, verbose=0).history
    names = ("accuracy_real", "accuracy_fake", "discriminator_loss")
    return [history[name][-1] for name in names]


def test_a_discriminator_of_identical_distributions_is_at_chance():
    real, fake, loss = judged(Given(width=16))
    assert (real + fake) / 2 == pytest.approx(0.5, abs=0.04)
    assert loss == pytest.approx(2 * np.log(2), abs=0.03)


def test_a_pack_shows_what_single_examples_cannot():
    # the distribution of one point is the real one (above); that of two together is not
    real, fake, loss = judged(Given(width=16, packing=2))
    assert (real + fake) / 2 > 0.75
    assert loss < 1.0


def test_a_pack_is_one_row_of_its_examples():
    game, points = RingGame(packing=3), ring(6)
    by_hand = game.discriminator(points.reshape(2, 6)).numpy()[:, 0]
    assert np.allclose(game.judge(tf.constant(points)), by_hand)
    with pytest.raises(ValueError, match="packing 3 examples needs a batch"):
        game.judge(tf.constant(ring(7)))


def test_feature_matching_is_the_distance_of_mean_features():
    game = RingGame(width=8)
    game.compile(feature_matching=2.5)
    real, fake = tf.constant(ring(40, seed=1)), tf.constant(ring(30, seed=2) + 0.3)
    mean = []
    for values in (real, fake):
        for layer in game.discriminator.layers[:-1]:
            values = layer(values)
        mean.append(values.numpy().mean(axis=0))
    by_hand = 2.5 * np.sum((mean[0] - mean[1]) ** 2)
    found = game.generator_loss({"x": real}, fake, SEED)["feature_matching"]
    assert float(found) == pytest.approx(by_hand, rel=1e-4)
    assert by_hand > 1e-3
    same = game.generator_loss({"x": real}, real, SEED)["feature_matching"]
    assert float(same) == pytest.approx(0.0, abs=1e-9)


class Witness(RingGame):
    """Remembers what its discriminator was shown."""

    def judge(self, example, training=True):
        self.shown = [*getattr(self, "shown", []), example.numpy()]
        return super().judge(example, training)


@pytest.mark.parametrize("deviation", [0.0, 0.7])
def test_instance_noise_has_its_deviation_on_all_that_is_shown(deviation):
    game = Witness(width=8)
    game.compile(instance_noise=0.1)
    game.instance_noise.assign(deviation)
    real, fake = tf.constant(ring(4000, seed=1)), tf.constant(ring(4000, seed=2))
    game.discriminator_loss({"x": real}, real, fake, SEED)
    game.generator_loss({"x": real}, fake, SEED)
    added = [
        shown - clean.numpy() for shown, clean in zip(game.shown, (real, fake, fake), strict=True)
    ]
    assert [np.std(part) for part in added] == pytest.approx([deviation] * 3, abs=0.02)
    if deviation:
        correlation = np.corrcoef([part.ravel() for part in added])
        assert np.abs(correlation - np.eye(3)).max() < 0.05


def test_spectral_normalisation_makes_the_discriminator_1_lipschitz():
    plain, normal = RingGame(width=16), RingGame(width=16, spectral=True)
    a, b = ring(300, seed=1), ring(300, seed=2)
    steepest = []
    for game in (plain, normal):
        for variable in game.discriminator.trainable_variables:
            if len(variable.shape) == 2:
                variable.assign(10.0 * variable)
        for _ in range(30):  # each training call turns the power iteration once
            game.judge(tf.constant(a))
        rise = np.abs(game.judge(tf.constant(a), False) - game.judge(tf.constant(b), False))
        steepest.append((rise / np.linalg.norm(a - b, axis=1)).max())
    assert steepest[0] > 10.0
    assert 0.01 < steepest[1] <= 1.01


def test_the_product_ends_as_the_average_of_the_generators_weights():
    game, held = RingGame(width=8), []
    game.compile(keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.8), jit_compile=False)

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            held.append([v.numpy() for v in game.generator.trainable_variables])

    game.fit(data.rows({"x": ring(160)}, batch_size=32), epochs=1, verbose=0, callbacks=[Keep()])
    average = held[0]
    for weights in held[1:]:
        average = [0.8 * a + 0.2 * w for a, w in zip(average, weights, strict=True)]
    assert len(held) == 5
    for found, by_hand, last in zip(
        game.product.trainable_variables, average, held[-1], strict=True
    ):
        assert np.allclose(found, by_hand, atol=1e-6)
        assert not np.allclose(by_hand, last, atol=1e-4)
