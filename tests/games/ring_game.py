"""A toy game whose right answer is known: eight Gaussians on a ring, two small networks."""

import numpy as np
import tensorflow as tf

from tfadvrec.games.game import Game
from tfadvrec.games.health import Observation
from tfadvrec.games.networks import dense
from tfadvrec.games.noise import normal_batch

MODES = 8
_ANGLE = np.arange(MODES) * np.pi / 4
CENTRES = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], axis=1).astype(np.float32)
DEVIATION = 0.05
NOISE = 8


def ring(count, seed=0):
    """Points of the mixture, float32 `(count, 2)`."""
    rng = np.random.default_rng(seed)
    mode = rng.integers(MODES, size=count)
    return (CENTRES[mode] + rng.normal(0, DEVIATION, (count, 2))).astype(np.float32)


def nearest(points):
    """The nearest centre of each point, and its distance."""
    distance = np.linalg.norm(points[:, None] - CENTRES, axis=2)
    return distance.argmin(axis=1), distance.min(axis=1)


def observed(points):
    """Points as the monitor sees them: modes are the catalogue, coordinates are profiles."""
    columns = {"x": points[:, 0], "y": points[:, 1]}
    return Observation(
        items=nearest(points)[0], profiles=points, columns=columns, n_items=len(CENTRES)
    )


class RingGame(Game):
    """Noise to points against points to logits; with `sight` 0 the generator sees no noise."""

    def __init__(self, *, seed=0, width=32, packing=1, spectral=False):
        generator = dense([width, width], out=2, input_width=NOISE, seed=seed)
        wide = 2 * packing
        judge = dense([width, width], out=1, input_width=wide, seed=seed + 1, spectral=spectral)
        super().__init__(generator, judge, packing=packing, seed=seed)
        self.sight = self._state("sight", "float32")
        self.sight.assign(1.0)

    def real(self, batch, seed):
        return batch["x"]

    def fake(self, batch, seed):
        drawn = normal_batch(seed, [tf.shape(batch["x"])[0], NOISE])
        return self.generator(self.sight.value * drawn, training=True)

    def points(self, count, seed=0):
        drawn = np.random.default_rng(seed).normal(size=(count, NOISE)).astype(np.float32)
        return self.generator(self.sight.value * drawn, training=False).numpy()

    def observe(self, count, seed):
        return observed(self.points(count, seed))
