"""The cold-start game: attributes become a vector that a recommender could have learned."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions, rows
from tfadvrec.data.negatives import Negatives
from tfadvrec.games import noise
from tfadvrec.games.game import Game
from tfadvrec.games.vector_judge import VectorJudge
from tfadvrec.models.attribute_recommender import AttributeRecommender

Tensors = dict[str, tf.Tensor]
REALS = ("own", "adopter")


@keras.saving.register_keras_serializable(package="tfadvrec")
class ColdStartGame(Game):
    """Teaches an `AttributeRecommender` to make vectors from attributes, against a judge of pairs.

    The discriminator is shown three kinds of (vector, attributes) of a row i that has interactions:
    the true one, the generated one, and a wrong one, a true vector of somebody else. It learns to
    accept the first and to refuse the two others; the third keeps it from judging vectors without
    looking at the attributes. Rows without interactions are in no batch.

    With `real="adopter"` the true vector is that of a random adopter of i, the wrong one that of a
    random non-adopter, and what is generated is the vector of the one who would adopt i; all are
    brought to length 1 for the discriminator, so their ranking is by cosine. With `real="own"` the
    true vector is the row's own and the wrong one another row's.

    Beside the game the generator can minimise two penalties, and with `adversarial_weight=0`
    it minimises them alone:

    - `regression`: the mean squared distance to the row's own vector.
    - `ranking`: for random rows of the other side, the cross-entropy of what they took of the batch
      against the softmax of their scores of the generated vectors.

    Args:
        generator: The `AttributeRecommender`.
        discriminator: What judges `{"row", "vector"}`; see `VectorJudge`.
        log: The training interactions.
        real: `"own"` or `"adopter"`.
        wrong: Weight of the third term.
        regression: Weight of the first penalty.
        ranking: Weight of the second.
        temperature: Divides the scores in the second.
        askers: Rows of the other side that are drawn for the second in each step.
        seed: What noise, partners and askers are drawn from.
        name: The Keras model name.

    Raises:
        ValueError: If an argument is out of range, or the log has other rows than the generator.

    Reference: Sun et al., LARA: Attribute-to-feature adversarial learning for new-item
    recommendation (WSDM 2020), the three terms.
    """

    conditions = ("row",)

    def __init__(
        self,
        generator: AttributeRecommender,
        discriminator: keras.Model,
        *,
        log: Interactions,
        real: str = "own",
        wrong: float = 1.0,
        regression: float = 1.0,
        ranking: float = 0.0,
        temperature: float = 0.1,
        askers: int = 256,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, seed=seed, name=name)
        if real not in REALS:
            raise ValueError(f"real is one of {REALS}, got {real!r}.")
        if min(wrong, regression, ranking) < 0 or not temperature > 0 or askers < 1:
            raise ValueError(
                "wrong, regression and ranking are 0 or more, temperature is above 0 and askers "
                f"at least 1, got {wrong!r}, {regression!r}, {ranking!r}, {temperature!r} and "
                f"{askers!r}."
            )
        if (log.n_users, log.n_items) != (generator.n_users, generator.n_items):
            raise ValueError(
                f"the generator was made for {generator.n_users} users and {generator.n_items} "
                f"items, the log {log.name!r} has {log.n_users} and {log.n_items}."
            )
        self.real_kind, self.wrong = real, float(wrong)
        self.regression, self.ranking = float(regression), float(ranking)
        self.temperature, self.askers = float(temperature), int(askers)
        taken = log if generator.side == "user" else _swapped(log)
        self._others = Negatives.of(taken, count=1 if real == "adopter" else 0)

    # -- examples -------------------------------------------------------------------------

    def real(self, batch: Tensors, seed: tf.Tensor) -> Tensors:
        """True pairs: the rows' own vectors, or those of random adopters."""
        row = self._rows(batch)
        if self.real_kind == "own":
            return {"row": row, "vector": tf.gather(self.generator.own_vectors.value, row)}
        first, end = (tf.gather(self._others.start, row + k) for k in (0, 1))
        adopter = tf.gather(self._others.items, first + _below(end - first, tf.shape(row), seed))
        return {"row": row, "vector": self._other(adopter)}

    def fake(self, batch: Tensors, seed: tf.Tensor) -> Tensors:
        """Generated pairs."""
        row, width = self._rows(batch), self.generator.noise_dimension
        drawn = noise.normal_batch(seed, (tf.shape(row)[0], width)) if width else None
        made = tf.cast(self.generator.generated(row, drawn, training=True), tf.float32)
        return {"row": row, "vector": made}

    def wrong_pairs(self, batch: Tensors, seed: tf.Tensor) -> Tensors:
        """Wrong pairs: a true vector of another row, or of someone who did not adopt this one."""
        row = self._rows(batch)
        if self.real_kind == "own":
            shift = 1 + _below(tf.maximum(tf.shape(row)[0], 2) - 1, [1], seed)[0]
            other = tf.roll(row, shift, axis=0)
            return {"row": row, "vector": tf.gather(self.generator.own_vectors.value, other)}
        return {"row": row, "vector": self._other(self._others.draw(row, seed)[:, 0])}

    def judge(self, example: Tensors, training: bool = True) -> tf.Tensor:
        """The discriminator's logits, `(batch,)`; it sees directions where adopters are real."""
        if self.real_kind == "adopter":
            example = {**example, "vector": _directions(example["vector"])}
        return super().judge(example, training)

    def _rows(self, batch: Tensors) -> tf.Tensor:
        return batch[f"{self.generator.side}_id"]

    def _other(self, rows_: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.generator.other_vectors.value, rows_)

    # -- penalties ------------------------------------------------------------------------

    def discriminator_penalty(
        self, batch: Tensors, real: Tensors, fake: Tensors, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """The third term: wrong pairs are to be refused like generated ones.

        It is counted from a discriminator that knows nothing, whose logits are zero.
        """
        if not self.wrong:
            return {}
        logits = self.judge(self.wrong_pairs(batch, noise.fold(seed, 20)))
        none = tf.zeros_like(logits)
        loss = self.game_loss
        refused = loss.discriminator(none, logits) - loss.discriminator(none, none)
        return {"wrong_pairs": self.wrong * refused}

    def generator_penalty(
        self, batch: Tensors, fake: Tensors, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """Regression to the rows' own vectors, and ranking by what others took of them."""
        made, row, penalties = fake["vector"], self._rows(batch), {}
        if self.regression:
            own = tf.gather(self.generator.own_vectors.value, row)
            penalties["regression"] = self.regression * tf.reduce_mean(tf.square(made - own))
        if self.ranking:
            penalties["ranking"] = self.ranking * self._ranking(row, made, noise.fold(seed, 21))
        return penalties

    def _ranking(self, row: tf.Tensor, made: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Cross-entropy of the askers' choices among the batch, a mean over what they took."""
        count = self.generator.other_vectors.shape[0]
        asker = _below(count, [self.askers], seed)
        taken = tf.cast(tf.transpose(self._others.is_positive(row, asker)), tf.float32)
        scores = tf.matmul(self._other(asker), made, transpose_b=True) / self.temperature
        chance = tf.nn.log_softmax(scores, axis=1)
        return -tf.reduce_sum(taken * chance) / tf.maximum(tf.reduce_sum(taken), 1.0)

    # -- making ---------------------------------------------------------------------------

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: AttributeRecommender,
        *,
        width: int = 64,
        discriminator: Sequence[int] = (128,),
        dropout: float = 0.0,
        seed: int = 0,
        **settings: Any,
    ) -> Self:
        """A game about the rows of a log.

        Args:
            log: The training interactions, those that the model was made with.
            model: What is trained; `AttributeRecommender.for_log` makes it.
            width: Width of the discriminator's attribute code and vector.
            discriminator: Widths of its hidden layers.
            dropout: Share of its hidden values that training drops.
            seed: Seed of its initial values, and of all that the game draws.
            **settings: Further arguments of the constructor.

        Returns:
            The game.
        """
        judge = VectorJudge(
            model, width=width, hidden=discriminator, dropout=dropout, seed=2 * seed + 1
        )
        return cls(model, judge, log=log, seed=seed, **settings)

    def batches(
        self, log: Interactions, *, batch_size: int = 256, seed: int = 0, block: int | None = None
    ) -> tf.data.Dataset:
        """Rows that have a vector of their own, for `fit`.

        Args:
            log: The training interactions; rows without any are in no batch.
            batch_size: Rows in a batch; an epoch's last incomplete batch is dropped.
            seed: What the order is drawn from.
            block: Batches in a compiled block; None gives plain batches.

        Returns:
            A dataset of `{"item_id" (or "user_id"): int32 (batch,)}`, or of blocks.
        """
        side = self.generator.side
        marked = self.generator.has_vector.numpy() > 0
        seen = np.bincount(getattr(log, side), minlength=len(marked)) > 0
        known = np.flatnonzero(seen & marked).astype(np.int32)
        table = {f"{side}_id": known}
        return rows(table, batch_size=min(batch_size, len(known)), seed=seed, block=block)


def _below(count: tf.Tensor | int, shape: Sequence[Any], seed: tf.Tensor) -> tf.Tensor:
    """Whole numbers from 0 to `count - 1`, the same with and without XLA."""
    drawn = noise.uniform_batch(seed, shape) * tf.cast(count, tf.float32)
    return tf.minimum(tf.cast(drawn, tf.int32), count - 1)


def _directions(vectors: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-12)


def _swapped(log: Interactions) -> Interactions:
    """The log with users for items and items for users."""
    return Interactions(
        user=log.item, item=log.user, user_ids=log.item_ids, item_ids=log.user_ids, name=log.name
    )
