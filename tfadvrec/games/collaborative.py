"""The game of whole interaction rows: CFGAN."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions, histories
from tfadvrec.games import noise
from tfadvrec.games.game import Game
from tfadvrec.games.health.observation import Observation
from tfadvrec.games.networks import dense
from tfadvrec.models.collaborative_generator import CollaborativeGenerator

METHODS = ("zr", "pm", "zp")


@keras.saving.register_keras_serializable(package="tfadvrec")
class CollaborativeGame(Game):
    """Rebuilds rows of interactions so that a discriminator takes them for the real ones.

    The generator sees a row c and makes scores y for all of it. The discriminator sees c beside
    either c itself or y times a mask, so that only what the mask lets through is judged:

    - `"zr"`, zero reconstruction: the mask is what was observed. A share of the unobserved entries
      is pulled to zero by `alpha` times the sum of their squares.
    - `"pm"`, partial masking: the mask opens a share of the unobserved entries too, where the real
      row has zeros.
    - `"zp"`: both.

    Either share is drawn anew at every step, the two from different seeds, and entry by entry:
    each unobserved entry is drawn with that probability, so a share holds on average and not in
    every row (an exact share would need a sort).

    Without noise the condition *is* the target, and what is trained is an autoencoder whose loss a
    discriminator supplies. `reconstruction` adds the squared distance from one on the observed
    entries; with it and `adversarial_weight=0` the game is the plain autoencoder of the same
    network, to tell what the discriminator contributes.

    Args:
        generator: The recommender that rebuilds rows.
        discriminator: `(batch, packing * (condition + width)) -> (batch, 1)` logits, its input the
            condition beside the row.
        method: `"zr"`, `"pm"` or `"zp"`.
        zero_share: Share of the unobserved entries that are pulled to zero, 0 to 1.
        open_share: Share of the unobserved entries that the mask opens, 0 to 1.
        alpha: Weight of zero reconstruction; the paper's alpha.
        reconstruction: Weight of the squared distance on observed entries; none in the paper.
        corruption: Share of the observed entries that the generator's input hides (the others are
            scaled up); the discriminator sees them. None in the paper.
        generator_l2: Weight of half the squared kernels of the generator.
        discriminator_l2: The same for the discriminator.
        packing: As in `Game`.
        seed: As in `Game`.
        name: The Keras model name.

    Raises:
        ValueError: A share or weight is out of its range.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "tea"])
    >>> game = CollaborativeGame.for_log(log, hidden=[8], discriminator=[4])
    >>> game.compile()
    >>> history = game.fit(game.batches(log, batch_size=2), verbose=0)
    >>> game.product.score_catalogue([2]).shape
    TensorShape([1, 2])

    Reference: Chae et al., CFGAN: A Generic Collaborative Filtering Framework based on Generative
    Adversarial Networks (CIKM 2018), sections 3 and 4.
    """

    conditions = ("condition", "whole")

    def __init__(
        self,
        generator: CollaborativeGenerator,
        discriminator: keras.Model,
        *,
        method: str = "zp",
        zero_share: float = 0.7,
        open_share: float = 0.7,
        alpha: float = 0.03,
        reconstruction: float = 0.0,
        corruption: float = 0.0,
        generator_l2: float = 0.001,
        discriminator_l2: float = 0.0,
        packing: int = 1,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, packing=packing, seed=seed, name=name)
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}. Received: {method!r}")
        shares = {"zero_share": zero_share, "open_share": open_share}
        if not all(0 <= share <= 1 for share in shares.values()) or not 0 <= corruption < 1:
            raise ValueError(
                "shares must be in [0, 1] and corruption in [0, 1). Received: "
                f"{ {**shares, 'corruption': corruption} }"
            )
        weights = (alpha, reconstruction, generator_l2, discriminator_l2)
        if min(weights) < 0:
            raise ValueError(
                "alpha, reconstruction, generator_l2 and discriminator_l2 must be 0 or more. "
                f"Received: {weights}"
            )
        self.method = method
        self.zero_share = float(zero_share) if method != "pm" else 0.0
        self.open_share = float(open_share) if method != "zr" else 0.0
        self.alpha, self.reconstruction = float(alpha), float(reconstruction)
        self.corruption = float(corruption)
        self.generator_l2, self.discriminator_l2 = float(generator_l2), float(discriminator_l2)

    # -- examples -------------------------------------------------------------------------

    def real(self, batch: Any, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The rows themselves, each beside its condition."""
        rows, profile = self._rows_of(batch)
        return {"condition": self._condition(rows, profile), "profile": profile}

    def fake(self, batch: Any, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The rebuilt rows behind the mask, beside the condition; `"whole"` is without the mask."""
        rows, profile = self._rows_of(batch)
        drawn = None
        if self.generator.noise:
            shape = (tf.shape(profile)[0], self.generator.noise)
            drawn = noise.normal_batch(noise.fold(seed, 1), shape)
        seen = self._corrupted(profile, noise.fold(seed, 2))
        whole = tf.cast(self.generator.rebuild(seen, rows, drawn), tf.float32)
        mask = profile + self.drawn_unobserved(profile, self.open_share, noise.fold(seed, 3))
        return {
            "condition": self._condition(rows, profile),
            "profile": whole * mask,
            "whole": whole,
        }

    @staticmethod
    def drawn_unobserved(profile: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
        """Unobserved entries, each drawn with probability `share`: ones and zeros."""
        if not share:
            return tf.zeros_like(profile)
        chosen = noise.uniform_batch(seed, tf.shape(profile)) < share
        return (1.0 - profile) * tf.cast(chosen, profile.dtype)

    def packed(self, example: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the discriminator is given: conditions, then rows."""
        pair = super().packed({"condition": example["condition"], "profile": example["profile"]})
        return tf.concat([tf.cast(pair[key], tf.float32) for key in ("condition", "profile")], 1)

    def _rows_of(self, batch: Any) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, profile = batch
        return inputs[f"{self.generator.side}_id"], tf.cast(profile, tf.float32)

    def _condition(self, rows: tf.Tensor, profile: tf.Tensor) -> tf.Tensor:
        parts = [] if self.generator.condition == "row" else [profile]
        if self.generator.condition != "profile":
            parts.append(tf.one_hot(rows, self.generator.n_rows))
        return tf.concat(parts, axis=1)

    def _corrupted(self, profile: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if not self.corruption:
            return profile
        kept = noise.uniform_batch(seed, tf.shape(profile)) >= self.corruption
        return profile * tf.cast(kept, tf.float32) / (1.0 - self.corruption)

    # -- penalties ------------------------------------------------------------------------

    def generator_penalty(
        self, batch: Any, fake: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Zero reconstruction, reconstruction and the kernels' squares, where they have weight."""
        _, profile = self._rows_of(batch)
        whole, penalties = fake["whole"], {}
        if self.method != "pm" and self.alpha:
            zeros = self.drawn_unobserved(profile, self.zero_share, noise.fold(seed, 20))
            pulled = tf.reduce_sum(zeros * tf.square(whole), axis=1)
            penalties["zero_reconstruction"] = self.alpha * tf.reduce_mean(pulled)
        if self.reconstruction:
            missed = tf.reduce_sum(profile * tf.square(whole - 1.0), axis=1)
            penalties["reconstruction"] = self.reconstruction * tf.reduce_mean(missed)
        if self.generator_l2:
            penalties["generator_l2"] = self.generator_l2 * _half_squares(self.generator_variables)
        return penalties

    def discriminator_penalty(
        self, batch: Any, real: Any, fake: Any, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The kernels' squares, where they have weight."""
        if not self.discriminator_l2:
            return {}
        squares = _half_squares(self.discriminator_variables)
        return {"discriminator_l2": self.discriminator_l2 * squares}

    # -- data -----------------------------------------------------------------------------

    def batches(
        self,
        log: Interactions,
        *,
        batch_size: int = 64,
        seed: int = 0,
        block: int | None = None,
    ) -> tf.data.Dataset:
        """Batches for `fit`: rows of the generator's side that have interactions.

        Args:
            log: The training log.
            batch_size: Rows in a batch; an epoch's last incomplete batch is dropped.
            seed: What the order is drawn from.
            block: Batches in a compiled block; None gives plain batches.
        """
        side = self.generator.side
        return histories(log, batch_size=batch_size, side=side, seed=seed, block=block)

    def observe(self, count: int, seed: int = 0) -> Observation:
        """Users as the generator rebuilds them, for the health monitor.

        Args:
            count: How many users, at most all of them.
            seed: Which users.

        Returns:
            For each user as many of the highest scores as the bound log has items of that user.
        """
        every = self.generator.n_users
        users = np.random.default_rng(seed).choice(every, min(count, every), replace=False)
        users = np.sort(users).astype(np.int32)
        scores = self.generator.score_catalogue(users)
        return Observation.of_scores(scores, self.generator.history_lengths(users))

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: CollaborativeGenerator | None = None,
        *,
        seed: int = 0,
        side: str = "item",
        hidden: Sequence[int] = (400,),
        activation: str = "sigmoid",
        condition: str = "profile",
        noise: int = 0,
        discriminator: Sequence[int] = (125,),
        discriminator_activation: str = "sigmoid",
        packing: int = 1,
        **settings: Any,
    ) -> Self:
        """A game on a log.

        Args:
            log: The training log; the generator is bound to it.
            model: The generator; one is made of the next five settings where None.
            seed: Seed of initial values, noise and draws.
            side: As in `CollaborativeGenerator`, as are the next four.
            hidden: Widths of the generator's hidden layers.
            activation: Name of their activation.
            condition: What a row is rebuilt from.
            noise: Width of the noise input.
            discriminator: Widths of the discriminator's hidden layers.
            discriminator_activation: Name of their activation.
            packing: As in `Game`.
            **settings: Others of the constructor.
        """
        if model is None:
            model = CollaborativeGenerator(
                n_users=log.n_users,
                n_items=log.n_items,
                hidden=hidden,
                side=side,
                activation=activation,
                condition=condition,
                noise=noise,
                seed=2 * seed,
            )
        given = {"profile": model.width, "row": model.n_rows, "both": model.width + model.n_rows}
        judge = dense(
            discriminator,
            out=1,
            input_width=packing * (given[model.condition] + model.width),
            activation=discriminator_activation,
            seed=2 * seed + 1,
        )
        return cls(model.bind(log), judge, packing=packing, seed=seed, **settings)


def _half_squares(variables: Sequence[keras.Variable]) -> tf.Tensor:
    """Half the sum of the squared kernels; biases do not count."""
    kernels = [tf.cast(v.value, tf.float32) for v in variables if len(v.shape) == 2]
    return tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
