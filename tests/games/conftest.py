"""A toy game, as small as a game can be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.games import Game, noise
from tfadvrec.games.networks import dense


class PlaneGame(Game):
    """Points of a plane against points that a generator makes of two numbers."""

    def real(self, batch, seed):
        return batch["x"]

    def fake(self, batch, seed):
        drawn = noise.normal_batch(seed, [tf.shape(batch["x"])[0], 2])
        return self.generator(drawn, training=True)


class PullingGame(PlaneGame):
    """The same with something else to learn: points near the origin."""

    def generator_penalty(self, batch, fake, seed):
        return {"pull": tf.reduce_mean(tf.square(fake))}


@pytest.fixture
def plane():
    """512 points of a plane around (3, -2)."""
    points = np.random.default_rng(0).normal([3.0, -2.0], 1.0, (512, 2))
    return points.astype("float32")


@pytest.fixture
def make_game():
    """Makes a toy game: `make_game(loss, kind=PlaneGame, **compile_options)`."""

    def make(
        loss=None, *, kind=PlaneGame, packing=1, hidden=(8,), rate=1e-2, network=None, **options
    ):
        generator = dense([8], out=2, input_width=2, seed=1, **(network or {}))
        discriminator = dense(hidden, out=1, input_width=2 * packing, seed=2)
        game = kind(generator, discriminator, packing=packing, seed=0)
        game.compile(keras.optimizers.Adam(rate), keras.optimizers.Adam(rate), loss, **options)
        return game

    return make


@pytest.fixture
def kinds():
    """The toy games by name."""
    return {"plane": PlaneGame, "pulling": PullingGame}
