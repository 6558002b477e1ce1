"""The game of IRGAN: a ranker as a policy that draws items, against a judge of user-item pairs."""

from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions, rows
from tfadvrec.data.multi_hot import multi_hot, padded
from tfadvrec.games import policy
from tfadvrec.games.game import Game
from tfadvrec.games.health.observation import Observation
from tfadvrec.games.noise import fold
from tfadvrec.games.policy_settings import check_same_catalogue, check_settings
from tfadvrec.models.matrix_factorization import MatrixFactorization


@keras.saving.register_keras_serializable(package="tfadvrec")
class PolicyGradientGame(Game):
    """Trains a ranker by rewarding it for items that a discriminator takes for a user's own.

    The generator is the policy p(i|u) = softmax over i of s(u, i) / `temperature`. The
    discriminator learns a user's positives against as many items drawn from
    softmax(s / `negative_temperature`), drawn anew in each of its steps. The generator's reward is
    2 sigmoid(D) - 1; items are drawn from p_n = (1 - `positive_share`) p + `positive_share`
    Uniform(I_u) and weighted by p / p_n, so that the gradient is that of the expected reward under
    p. A batch is many users, with their positives padded.

    Args:
        generator: A `Recommender` of which `call` with `item_id` of one axis is differentiable.
        discriminator: Another one, with the same users and items.
        temperature: Of the policy, in drawing and in its gradient alike.
        negative_temperature: Of the discriminator's negatives; below `temperature`, harder ones.
        positive_share: Share of the proposal p_n that is uniform over the user's positives.
        uniform_negatives: Share of the discriminator's negatives that is uniform over the
            catalogue (0 in the paper).
        samples: Items drawn for each positive of a user in the generator's step.
        enumerate_items: Take expectations over the catalogue in place of draws, on both sides;
            for catalogues that fit a batch times the number of items.
        reward_baseline: Take the policy's expected reward off the reward.
        likelihood: Weight of a penalty of the generator: the mean of -ln p(i|u) over the batch's
            positives. Then `adversarial_weight=0` is plain softmax training.
        regularization: Weight of the mean squared length of the batch's user vectors and of all
            item vectors, for both sides, or a pair (generator, discriminator).
        seed: What is drawn comes from it.
        name: The Keras model name.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.Interactions.from_arrays([7, 7, 8, 8], ["a", "b", "b", "c"])
    >>> game = PolicyGradientGame.for_log(log, dimension=4)
    >>> game.compile("sgd", "sgd")
    >>> history = game.fit(game.batches(log, batch_size=2), verbose=0)
    >>> type(game.product).__name__
    'MatrixFactorization'

    Reference: Wang et al., IRGAN: A Minimax Game for Unifying Generative and Discriminative
    Information Retrieval Models, SIGIR 2017, sections 2.2 and 4.2.
    """

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        *,
        temperature: float = 1.0,
        negative_temperature: float = 0.2,
        positive_share: float = 0.2,
        uniform_negatives: float = 0.0,
        samples: float = 2.0,
        enumerate_items: bool = False,
        reward_baseline: bool = True,
        likelihood: float = 0.0,
        regularization: float | tuple[float, float] = 0.0,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, seed=seed, name=name)
        check_same_catalogue(generator, discriminator)
        penalties = regularization
        if isinstance(regularization, int | float):
            penalties = (regularization, regularization)
        check_settings(
            above_0={
                "temperature": temperature,
                "negative_temperature": negative_temperature,
                "samples": samples,
            },
            from_0_to_1={"positive_share": positive_share, "uniform_negatives": uniform_negatives},
            from_0={"likelihood": likelihood, "regularization": min(penalties)},
        )
        self.temperature, self.negative_temperature = temperature, negative_temperature
        self.positive_share, self.uniform_negatives = positive_share, uniform_negatives
        self.samples, self.enumerate_items = samples, enumerate_items
        self.reward_baseline, self.likelihood = reward_baseline, likelihood
        self.regularization = tuple(float(weight) for weight in penalties)

    # -- the game -------------------------------------------------------------------------

    def real(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """The users' positives, int32 `(batch, longest)`, padded with -1."""
        return batch["positives"]

    def fake(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """The generator's scores of the catalogue, float32 `(batch, n_items)`."""
        return self.scores(self.generator, batch["user_id"])

    def scores(self, model: Any, users: tf.Tensor) -> tf.Tensor:
        """A side's scores of the whole catalogue, float32 `(batch, n_items)`."""
        every = {"user_id": users, "item_id": tf.range(self.generator.n_items)}
        return tf.cast(model(every, training=True), tf.float32)

    def policy_of(self, scores: tf.Tensor) -> tf.Tensor:
        """ln p(i|u), float32 `(batch, n_items)`: what is drawn from and differentiated."""
        return tf.nn.log_softmax(scores / self.temperature)

    def negatives_of(self, scores: tf.Tensor) -> tf.Tensor:
        """The distribution of the discriminator's negatives, float32 `(batch, n_items)`."""
        hard = tf.nn.softmax(scores / self.negative_temperature)
        share = self.uniform_negatives
        return (1.0 - share) * hard + share / self.generator.n_items

    def discriminator_loss(
        self, batch: Any, real: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """Cross-entropy of positives and as many negatives, averaged over positives."""
        logits = self.scores(self.discriminator, batch["user_id"])
        present = tf.cast(real >= 0, tf.float32)
        total = tf.maximum(tf.reduce_sum(present), 1.0)
        of_real = tf.gather(logits, tf.maximum(real, 0), batch_dims=1)
        wrong = self.negatives_of(fake)
        if self.enumerate_items:
            of_fake, weight = logits, wrong * tf.reduce_sum(present, axis=1, keepdims=True)
        else:
            uniforms = policy.uniforms(tf.shape(real), fold(seed, 20))
            of_fake = tf.gather(logits, policy.draw(wrong, uniforms), batch_dims=1)
            weight = present
        right = tf.cast(of_real > 0, tf.float32), tf.cast(of_fake < 0, tf.float32)
        self.track("accuracy_real", tf.reduce_sum(present * right[0]) / total)
        self.track("accuracy_fake", tf.reduce_sum(weight * right[1]) / total)
        loss = tf.reduce_sum(present * tf.nn.softplus(-of_real))
        return {"adversarial": (loss + tf.reduce_sum(weight * tf.nn.softplus(of_fake))) / total}

    def generator_loss(
        self, batch: Any, fake: tf.Tensor, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """Minus the expected reward, averaged over users that have positives."""
        log_policy = self.policy_of(fake)
        reward = self.reward(batch["user_id"])
        self.track("reward", tf.reduce_mean(tf.reduce_sum(tf.exp(log_policy) * reward, axis=1)))
        if self.reward_baseline:
            reward -= policy.baseline(log_policy, reward)
        present = tf.cast(self.real(batch, seed) >= 0, tf.float32)
        if self.enumerate_items:
            losses = policy.expected_loss(log_policy, reward)
        else:
            losses = self._sampled(batch["positives"], log_policy, reward, seed)
        known = tf.cast(tf.reduce_any(present > 0, axis=1), tf.float32)
        mean = tf.reduce_sum(known * losses) / tf.maximum(tf.reduce_sum(known), 1.0)
        return {"adversarial": mean}

    def _sampled(
        self, positives: tf.Tensor, log_policy: tf.Tensor, reward: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        held = tf.reduce_sum(tf.cast(positives >= 0, tf.float32), axis=1, keepdims=True)
        width = int(np.ceil(self.samples * positives.shape[1]))
        weight = tf.cast(tf.range(width, dtype=tf.float32) < self.samples * held, tf.float32)
        mine = multi_hot(positives, self.generator.n_items)
        proposed = policy.proposal(tf.exp(log_policy), mine, self.positive_share)
        proposed = tf.stop_gradient(proposed)
        uniforms = policy.uniforms(tf.shape(weight), fold(seed, 21))
        items = policy.draw(proposed, uniforms)
        return policy.sampled_loss(log_policy, proposed, reward, items, weight)

    def reward(self, users: tf.Tensor) -> tf.Tensor:
        """2 sigmoid(D) - 1 of every item, float32 `(batch, n_items)`, without a gradient."""
        logits = self.scores(self.discriminator, users)
        return tf.stop_gradient(2.0 * tf.sigmoid(logits) - 1.0)

    # -- penalties ------------------------------------------------------------------------

    def generator_penalty(
        self, batch: Any, fake: tf.Tensor, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """The likelihood of the positives, and the lengths of vectors, where they have weights."""
        penalties = self._lengths(self.generator, batch["user_id"], self.regularization[0])
        if self.likelihood:
            positives = self.real(batch, seed)
            present = tf.cast(positives >= 0, tf.float32)
            chosen = tf.gather(self.policy_of(fake), tf.maximum(positives, 0), batch_dims=1)
            total = tf.maximum(tf.reduce_sum(present), 1.0)
            penalties["likelihood"] = -self.likelihood * tf.reduce_sum(present * chosen) / total
        return penalties

    def discriminator_penalty(
        self, batch: Any, real: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """The lengths of the discriminator's vectors, where they have a weight."""
        found = self._lengths(self.discriminator, batch["user_id"], self.regularization[1])
        return {f"discriminator_{name}": value for name, value in found.items()}

    def _lengths(self, model: Any, users: tf.Tensor, weight: float) -> dict[str, tf.Tensor]:
        if not weight:
            return {}
        vectors = (model.embed_users(users), model.embed_items(tf.range(model.n_items)))
        lengths = [tf.reduce_mean(tf.reduce_sum(tf.square(part), axis=-1)) for part in vectors]
        return {"regularization": weight * tf.add_n(lengths)}

    # -- logs and data --------------------------------------------------------------------

    def batches(
        self, log: Interactions, *, batch_size: int = 64, seed: int = 0, block: int | None = None
    ) -> tf.data.Dataset:
        """Batches of users with their positives, for `fit`.

        Args:
            log: The training interactions.
            batch_size: Users in a batch; an epoch's last incomplete batch is dropped.
            seed: What the order is drawn from.
            block: Batches in a compiled block; None gives plain batches.

        Returns:
            A dataset of `{"user_id": int32 (batch,), "positives": int32 (batch, longest)}`, where
            -1 pads and users without positives are left out, or of blocks.
        """
        matrix = log.csr()
        users = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int32)
        table = {"user_id": users, "positives": padded(matrix[users])}
        return rows(table, batch_size=batch_size, seed=seed, block=block)

    def observe(self, count: int, seed: int = 0) -> Observation:
        """A sample for the health monitor: items that the policy draws, each for a random user.

        Args:
            count: How many.
            seed: What users and items are drawn from.
        """
        random = np.random.default_rng(seed)
        users = random.integers(0, self.generator.n_users, count, dtype=np.int32)
        drawn = []
        for part in np.array_split(users, -(-count // 1024)):
            chances = tf.exp(
                self.policy_of(tf.cast(self.generator.score_catalogue(part), "float32"))
            )
            uniforms = random.random((len(part), 1), dtype=np.float32)
            drawn.append(policy.draw(chances, tf.constant(uniforms)).numpy()[:, 0])
        return Observation(items=np.concatenate(drawn), n_items=self.generator.n_items)

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: Any = None,
        *,
        seed: int = 0,
        dimension: int = 16,
        discriminator: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """A game for a log, with a matrix factorisation on each side.

        Args:
            log: The training interactions.
            model: The generator, usually pretrained; a fresh factorisation where None.
            seed: Of what is drawn and of the initial values that are made here.
            dimension: Length of a fresh generator's vectors.
            discriminator: Settings of the discriminator's `MatrixFactorization`; by default the
                generator's dimension and item biases.
            **settings: The constructor's.

        Returns:
            The game.
        """
        shape = {"n_users": log.n_users, "n_items": log.n_items}
        if model is None:
            model = MatrixFactorization(**shape, dimension=dimension, item_bias=True, seed=seed)
            model.bind(log)
        judge = {"dimension": getattr(model, "dimension", dimension), "item_bias": True}
        judge |= {"seed": seed + 1, "name": "discriminator", **(discriminator or {})}
        return cls(model, MatrixFactorization(**shape, **judge), seed=seed, **settings)
