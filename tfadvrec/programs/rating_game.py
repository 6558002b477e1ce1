"""The game of ratings: made from noise and what is known, judged beside what is known."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.games import noise
from tfadvrec.games.game import Game


@keras.saving.register_keras_serializable(package="tfadvrec")
class RatingGame(Game):
    """Makes a rating for each row of features.

    Batches are `{"features": (batch, f), "rating": (batch,)}`, both standardised. Real ratings lie
    on a grid, which a discriminator would see at once; uniform noise of one step of the grid is
    added to them, and rounding a generated rating takes it off again.

    Args:
        generator: `(batch, latent + f) -> (batch, 1)`.
        discriminator: `(batch, f + 1) -> (batch, 1)` logits.
        latent: Numbers of noise behind a rating.
        step: The grid's step, standardised.
        packing: As in `Game`.
        seed: As in `Game`.
        name: The Keras model name.
    """

    conditions = ("features",)

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        *,
        latent: int = 16,
        step: float = 0.0,
        packing: int = 1,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, packing=packing, seed=seed, name=name)
        self.latent, self.step = latent, float(step)

    def real(self, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The batch's ratings off their grid, with the features."""
        rating = batch["rating"][:, None]
        spread = tf.random.stateless_uniform(tf.shape(rating), seed) - 0.5
        return {"features": batch["features"], "rating": rating + self.step * spread}

    def fake(self, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ratings from the generator for the same features."""
        features = batch["features"]
        drawn = noise.normal_batch(seed, (tf.shape(features)[0], self.latent))
        rating = self.generator(tf.concat([drawn, features], axis=1), training=True)
        return {"features": features, "rating": rating}

    def judge(self, example: dict[str, tf.Tensor], training: bool = True) -> tf.Tensor:
        """The discriminator's logits of features and rating side by side."""
        both = tf.concat([example["features"], example["rating"]], axis=1)
        logits = self.discriminator(self.packed(both), training=training)
        return tf.cast(tf.reshape(logits, [-1]), tf.float32)

    def generate(self, features: np.ndarray, seed: int = 0, *, chunk: int = 65_536) -> np.ndarray:
        """A standardised rating for each row of features, float32 `(n,)`.

        Args:
            features: `(n, f)`, standardised.
            seed: What the noise is drawn from; a row's depends on its position too.
            chunk: Rows made at once.
        """
        parts = []
        for start in range(0, len(features), chunk):
            some = tf.constant(features[start : start + chunk], tf.float32)
            drawn = noise.normal(noise.row_seeds(seed, len(some), first=start), self.latent)
            made = self.generator(tf.concat([drawn, some], axis=1), training=False)
            parts.append(np.asarray(made, np.float32)[:, 0])
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
