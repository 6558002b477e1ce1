"""The conditional augmentation game: items that a user could have taken, told from those taken."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions, rows
from tfadvrec.games import noise
from tfadvrec.games.game import Game
from tfadvrec.games.health.observation import Observation
from tfadvrec.games.triple_judge import TripleJudge
from tfadvrec.models.conditional_item_generator import ConditionalItemGenerator

LIKED = 4.0


@keras.saving.register_keras_serializable(package="tfadvrec")
class AugmentationGame(Game):
    """Teaches a generator to make (user, class, item) triples that look like interactions.

    For the users and classes of a batch of real interactions the generator draws an item each, by
    straight-through Gumbel-softmax: one-hot in the forward pass, so that the discriminator cannot
    tell it by softness, and with the gradient of the softmax. Beside the game the generator can
    minimise `likelihood`, the cross-entropy of the item that was really taken; with
    `adversarial_weight=0` it minimises that alone, which is a softmax factorisation.

    The classes are bands of the rating where the log has ratings (disliked below 4, liked from 4
    on), else there is one. `synthesis.game_rows` draws new interactions from the product.

    Args:
        generator: The `ConditionalItemGenerator`.
        discriminator: What judges triples; see `TripleJudge`.
        likelihood: Weight of the cross-entropy.
        temperature: Of the Gumbel-softmax.
        seed: What noise is drawn from.
        name: The Keras model name.

    Raises:
        ValueError: If `likelihood` is negative or `temperature` is not above 0.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> log = synthetic(30, 20, n_interactions=200)
    >>> game = AugmentationGame.for_log(log)
    >>> game.compile()
    >>> history = game.fit(game.batches(log, batch_size=64), epochs=1, verbose=0)
    >>> game.product.log_weights([0, 1]).shape
    (2, 20)

    Reference: Wang et al., Enhancing collaborative filtering with generative augmentation (KDD
    2019); Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax (ICLR 2017).
    """

    conditions = ("user_id", "class")

    def __init__(
        self,
        generator: ConditionalItemGenerator,
        discriminator: keras.Model,
        *,
        likelihood: float = 0.0,
        temperature: float = 0.5,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, seed=seed, name=name)
        if likelihood < 0 or not temperature > 0:
            raise ValueError(
                "likelihood is 0 or more and temperature above 0, got "
                f"{likelihood!r} and {temperature!r}."
            )
        self.likelihood, self.temperature = float(likelihood), float(temperature)

    def real(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The interactions of the batch, their items as one-hot rows."""
        taken = tf.one_hot(batch["item_id"], self.generator.n_items)
        return {"user_id": batch["user_id"], "class": batch["class"], "item": taken}

    def fake(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The same users and classes with generated items; one-hot, with a gradient."""
        logits = self._logits(batch, seed, training=True)
        uniform = noise.uniform_batch(noise.fold(seed, 31), tf.shape(logits))
        drawn = (logits - tf.math.log(-tf.math.log(uniform))) / self.temperature
        soft = tf.nn.softmax(drawn, axis=-1)
        hard = tf.one_hot(tf.argmax(drawn, axis=-1), self.generator.n_items)
        item = hard + soft - tf.stop_gradient(soft)
        return {"user_id": batch["user_id"], "class": batch["class"], "item": item}

    def generator_penalty(
        self, batch: Mapping[str, tf.Tensor], fake: Any, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The cross-entropy of the items that were taken, where it has a weight."""
        if not self.likelihood:
            return {}
        logits = self._logits(batch, noise.fold(seed, 32), training=True)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["item_id"], logits)
        return {"likelihood": self.likelihood * tf.reduce_mean(loss)}

    def _logits(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor, training: bool) -> tf.Tensor:
        shape = (tf.shape(batch["user_id"])[0], self.generator.noise_dimension)
        drawn = noise.normal_batch(seed, shape)
        found = self.generator.logits(batch["user_id"], batch["class"], drawn, training=training)
        return tf.cast(found, tf.float32)

    def observe(self, count: int, seed: int = 0) -> Observation:
        """Items that the generator draws for random users, for the health monitor.

        Args:
            count: How many items.
            seed: Of users and draws.
        """
        rng, made = np.random.default_rng(seed), []
        users = rng.integers(self.generator.n_users, size=count).astype(np.int32)
        for start in range(0, count, 256):
            weights = self.generator.log_weights(users[start : start + 256], seed)
            made.append((weights + rng.gumbel(size=weights.shape)).argmax(axis=1))
        return Observation(items=np.concatenate(made), n_items=self.generator.n_items)

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: ConditionalItemGenerator | None = None,
        *,
        dimension: int = 32,
        discriminator: Sequence[int] = (64,),
        dropout: float = 0.0,
        seed: int = 0,
        generator: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """A game about the interactions of a log.

        Args:
            log: The training interactions; test and validation pairs must not be in it.
            model: The generator; made where it is None, its item biases at the logarithms of the
                items' popularity.
            dimension: Length of the vectors of both networks.
            discriminator: Widths of the discriminator's hidden layers.
            dropout: Share of its hidden values that training drops.
            seed: Of initial values and noise.
            generator: More arguments of a generator that is made.
            **settings: Further arguments of the constructor.

        Returns:
            The game.
        """
        sizes = {
            "n_users": log.n_users,
            "n_items": log.n_items,
            "classes": 1 if log.rating is None else 2,
        }
        if model is None:
            model = ConditionalItemGenerator(
                **sizes, dimension=dimension, seed=seed, **(generator or {})
            ).bind(log)
            start = np.log1p(log.popularity())
            model.bias.assign(start - start.mean())
        judge = TripleJudge(
            **(sizes | {"classes": model.classes}),
            dimension=dimension,
            hidden=discriminator,
            dropout=dropout,
            seed=seed + 1,
        )
        return cls(model, judge, seed=seed, **settings)

    def batches(
        self, log: Interactions, *, batch_size: int = 256, seed: int = 0, block: int | None = None
    ) -> tf.data.Dataset:
        """The interactions of a log with their classes, for `fit`.

        Args:
            log: The training interactions.
            batch_size: Interactions in a batch; an epoch's last incomplete batch is dropped.
            seed: What the order is drawn from.
            block: Batches in a compiled block; None gives plain batches.

        Returns:
            A dataset of `{"user_id", "item_id", "class"}`, int32 `(batch,)` each, or of blocks.
        """
        table = {"user_id": log.user, "item_id": log.item, "class": classes_of(log)}
        if self.generator.classes == 1:
            table["class"] = np.zeros(len(log), np.int32)
        return rows(table, batch_size=min(batch_size, len(log)), seed=seed, block=block)


def classes_of(log: Interactions) -> np.ndarray:
    """The class of each interaction: 1 where the rating is 4 or more, else 0; 0 without ratings.

    Args:
        log: The interactions.

    Returns:
        int32 `(n,)`.

    Example:

    >>> classes_of(Interactions.from_arrays([1, 1], [7, 8], rating=[3, 5])).tolist()
    [0, 1]
    """
    if log.rating is None:
        return np.zeros(len(log), np.int32)
    return (log.rating >= LIKED).astype(np.int32)
