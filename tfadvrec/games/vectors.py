"""The game of plain vectors: a generator of noise against a discriminator of rows."""

from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from tfadvrec.data import Interactions, rows
from tfadvrec.games import noise
from tfadvrec.games.game import Game
from tfadvrec.games.health.observation import Observation
from tfadvrec.games.networks import dense
from tfadvrec.games.profiles import Profiles


@keras.saving.register_keras_serializable(package="tfadvrec")
class VectorGame(Game):
    """Makes vectors like the rows of a matrix: images, profiles, points.

    Real examples are the rows `"x"` of a batch, `(batch, width)`; fake ones are what the generator
    makes of standard normal noise.

    Args:
        generator: `(batch, latent) -> (batch, width)`.
        discriminator: `(batch, width) -> (batch, 1)` logits.
        latent: Numbers of noise behind a row.
        packing: As in `Game`.
        seed: As in `Game`.
        name: The Keras model name.

    Example:

    >>> from tfadvrec.games.networks import dense
    >>> generator, judge = dense([8], out=2, input_width=3), dense([8], out=1, input_width=2)
    >>> game = VectorGame(generator, judge, latent=3)
    >>> game.compile()
    >>> points = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    >>> history = game.fit(game.batches(points, batch_size=32), verbose=0)
    >>> game.generate(5, seed=1).shape
    (5, 2)

    Reference: Goodfellow et al., Generative Adversarial Nets, NIPS 2014.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        latent: int = 100,
        packing: int = 1,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, packing=packing, seed=seed, name=name)
        if latent < 1:
            raise ValueError(f"latent must be 1 or more. Received: {latent!r}")
        self.latent = latent
        self.profiles: Profiles | None = None

    def real(self, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """The batch's rows."""
        return batch["x"]

    def fake(self, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """As many rows from the generator."""
        drawn = noise.normal_batch(seed, (tf.shape(batch["x"])[0], self.latent))
        return self.generator(drawn, training=True)

    def generate(self, count: int, seed: int = 0, *, chunk: int = 4096) -> np.ndarray:
        """Rows from the trained generator; row `r` depends on `seed` and `r` alone.

        Args:
            count: How many.
            seed: What their noise is drawn from.
            chunk: Rows made at once.

        Returns:
            float32 `(count, width)`.
        """
        parts = []
        for start in range(0, count, chunk):
            seeds = noise.row_seeds(seed, min(chunk, count - start), first=start)
            made = self.generator(noise.normal(seeds, self.latent), training=False)
            parts.append(np.asarray(made, np.float32))
        return np.concatenate(parts) if parts else np.zeros((0, self.generator.output_shape[-1]))

    def observe(self, count: int, seed: int = 0) -> Observation:
        """A sample for the health monitor: ratings where the game was made for a log.

        Args:
            count: How many rows.
            seed: What their noise is drawn from.
        """
        made = self.generate(count, seed)
        if self.profiles is None:
            return Observation(profiles=made)
        side = self.profiles.side
        ratings = sparse.csr_matrix(self.profiles.ratings(made))
        n_items = made.shape[1] if side == "user" else None
        return Observation(profiles=ratings, n_items=n_items, side=side)

    def batches(
        self,
        data: Interactions | np.ndarray,
        *,
        batch_size: int = 64,
        seed: int = 0,
        block: int | None = None,
    ) -> tf.data.Dataset:
        """Batches for `fit`.

        Args:
            data: Rows `(n, width)`, or a log, whose profiles are taken as in `for_log`.
            batch_size: Rows in a batch; an epoch's last incomplete batch is dropped.
            seed: What the order is drawn from.
            block: Batches in a compiled block; None gives plain batches.

        Returns:
            A dataset of `{"x": float32 (batch, width)}`, or of blocks.
        """
        if isinstance(data, Interactions):
            data = (self.profiles or Profiles.of(data)).x
        table = {"x": np.asarray(data, np.float32)}
        return rows(table, batch_size=batch_size, seed=seed, block=block)

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: keras.Model | None = None,
        *,
        seed: int = 0,
        side: str = "user",
        minimum: int = 1,
        latent: int = 100,
        generator: Sequence[int] = (128, 128),
        discriminator: Sequence[int] = (128, 128),
        dropout: float = 0.0,
        packing: int = 1,
    ) -> Self:
        """A game that makes users (or items) of a log, as `Profiles` has them.

        Args:
            log: The log.
            model: The generator; where None a dense one with tanh is made, whose last bias starts
                at the mean profile.
            seed: Seed of initial values, noise and dropout.
            side: `"user"`: a row a user, a column an item; or `"item"`.
            minimum: Rows with fewer interactions are not learnt from.
            latent: Numbers of noise behind a row.
            generator: Widths of its hidden layers.
            discriminator: Widths of its hidden layers.
            dropout: Share of the discriminator's hidden values that training drops.
            packing: As in `Game`.

        Returns:
            The game; `profiles` holds the vectors and reads generated ones back.
        """
        profiles = Profiles.of(log, side=side, minimum=minimum)
        width = profiles.x.shape[1]
        if model is None:
            model = dense(
                generator, out=width, input_width=latent, output_activation="tanh", seed=2 * seed
            )
            # nearly everything in a profile is -1: starting there saves the way from 0
            mean = np.clip(profiles.x.mean(axis=0), -0.98, 0.98)
            model.get_layer("out").bias.assign(np.arctanh(mean))
        judge = dense(
            discriminator, out=1, input_width=packing * width, dropout=dropout, seed=2 * seed + 1
        )
        game = cls(model, judge, latent=latent, packing=packing, seed=seed)
        game.profiles = profiles
        return game
