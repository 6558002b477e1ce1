"""The Wasserstein program: slopes near one, and distances that are known."""

import numpy as np
import pytest

from tfadvrec.games.losses import NonSaturating, Wasserstein
from tfadvrec.programs import shifted_gaussians as gaussians
from tfadvrec.programs import wasserstein_critic as program


@pytest.fixture(scope="module")
def bounded():
    """A linear critic with the penalty."""
    return gaussians.make_pair(2, Wasserstein(gradient_penalty=10.0))


def weight(game):
    return game.discriminator.get_weights()[0][:, 0]


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_a_bounded_linear_critic_measures_the_shift(bounded, size):
    shift = size * gaussians.DIRECTION
    gaussians.train_critic(bounded, shift, epochs=8)
    length = np.linalg.norm(weight(bounded))
    # the minimum of -size * length + 10 * (length - 1) ** 2
    assert length == pytest.approx(1 + size / 20, abs=0.03)
    np.testing.assert_allclose(weight(bounded) / length, -gaussians.DIRECTION, atol=0.15)
    assert gaussians.estimate(bounded) / length == pytest.approx(size, abs=0.06)


def test_its_slope_is_the_length_of_its_weight(bounded):
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    slope = program.slope(bounded, points, points[::-1])
    assert slope == pytest.approx(np.linalg.norm(weight(bounded)), rel=1e-5)


def test_the_same_distribution_is_at_distance_zero(bounded):
    gaussians.train_critic(bounded, np.zeros(2), epochs=4)
    assert abs(gaussians.estimate(bounded)) < 0.1


def test_without_a_bound_the_number_grows_with_training_and_says_nothing():
    game = gaussians.make_pair(2, Wasserstein(gradient_penalty=0.0))
    found = []
    for epochs in (2, 8):
        gaussians.train_critic(game, gaussians.DIRECTION, epochs=epochs)
        found.append(gaussians.estimate(game))
    assert found[1] > 2 * found[0] > 0
    assert found[1] > 1.5


def test_cross_entropy_stays_below_twice_the_logarithm_of_two():
    game = gaussians.make_pair(2, NonSaturating())
    gaussians.train_critic(game, 4 * gaussians.DIRECTION, epochs=8)
    assert 0.5 < gaussians.estimate(game) < 2 * np.log(2)


def test_a_run_plays_all_games_and_bounds_their_slopes(tmp_path, finite, monkeypatch):
    monkeypatch.setattr(
        program, "shifted", lambda **_: {"linear output, penalty": list(program.SHIFTS)}
    )
    record = program.run(tmp_path, epochs=3, seed=1)
    finite(record)
    assert record["files"][-2:] == ["samples.npz", "wasserstein_critic.png"]
    for label in program.ARMS:
        assert record["figures"][label]["classes"] >= 0
    assert record["figures"]["critic 128-128, penalty"]["slope"] == pytest.approx(1.0, abs=0.6)
    assert record["figures"]["one linear layer, penalty"]["slope"] == pytest.approx(1.0, abs=0.4)
