"""An encoded log as tensors, and what a batch of its rows is in them."""

from collections.abc import Mapping

import tensorflow as tf

from tfadvrec.games import noise
from tfadvrec.games.behaviour.encoded_log import EncodedLog
from tfadvrec.games.behaviour.terms import rows_of, second_moments, uniform


class HeldLog:
    """The log that a game is about, for compiled steps.

    Args:
        data: The encoded log.
        taste_noise: Deviation of the noise on real tastes.
    """

    def __init__(self, data: EncodedLog, taste_noise: float) -> None:
        self.taste_noise, self.shape = float(taste_noise), data.taste.shape
        self.moments = tf.constant(second_moments(data.taste, taste_noise))
        self._taste = tf.constant(data.taste.reshape(-1, data.taste.shape[-1]))
        self._half = tf.constant(data.half)
        self._user, self._event = tf.constant(data.user), tf.constant(data.event)
        self._owner = tf.constant(data.made.owner, tf.int32)
        self._item = tf.constant(data.made.item, tf.int32)
        self._starts = tf.constant(data.starts, tf.int32)

    def rows(self, batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Encoded users `(b, user width)`, items `(b,)`, encoded events `(b, event width)`."""
        place = batch["event"]
        users = tf.gather(self._user, tf.gather(self._owner, place))
        return users, tf.gather(self._item, place), tf.gather(self._event, place)

    def tastes(
        self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Tastes of the rows' users; those of halves are made of the half without the row's event.

        Args:
            batch: `"event"`, int `(b,)`.
            seed: What the cuts and the noise are drawn from.

        Returns:
            float32 `(b, dimension)`, and in which cut and of which half each was made, int `(b,)`.
        """
        place, (cuts, _, users, width) = batch["event"], self.shape
        drawn = uniform(noise.fold(seed, 24), rows_of(place), 1)[:, 0]
        cut = tf.cast(drawn * cuts, tf.int32)
        told = 1 - tf.gather_nd(self._half, tf.stack([cut, place], axis=1))
        owner = tf.gather(self._owner, place)
        taste = tf.gather(self._taste, (2 * cut + told) * users + owner)
        disturbed = noise.normal_batch(noise.fold(seed, 20), [rows_of(place), width])
        return taste + self.taste_noise * disturbed, (cut, told)

    def history(
        self,
        batch: Mapping[str, tf.Tensor],
        half: tuple[tf.Tensor, tf.Tensor],
        draws: int,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Some items of each row's user, and how much they count: as many as the user has.

        Items of the half that a taste was made of count nothing, nor do rows with a condition:
        their users' other events do not meet it.

        Args:
            batch: `"event"` and `"column"`, int `(b,)`.
            half: From `tastes`.
            draws: How many items of a user.
            seed: What they are drawn from.

        Returns:
            int and float32 `(b, draws)`.
        """
        owner, (cut, told) = tf.gather(self._owner, batch["event"]), half
        start, stop = tf.gather(self._starts, owner), tf.gather(self._starts, owner + 1)
        length = tf.cast(stop - start, tf.float32)
        share = uniform(seed, rows_of(owner), draws)
        place = start[:, None] + tf.cast(share * length[:, None], tf.int32)
        place = tf.minimum(place, stop[:, None] - 1)
        cuts = tf.repeat(cut[:, None], draws, axis=1)
        new = tf.gather_nd(self._half, tf.stack([cuts, place], axis=2)) != told[:, None]
        weight = length * tf.cast(batch["column"] < 0, tf.float32)
        return tf.gather(self._item, place), weight[:, None] * tf.cast(new, tf.float32)
