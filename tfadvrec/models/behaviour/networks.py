"""The networks of a behaviour generator, step by step: taste, user, items, events."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec.models.behaviour.column_spec import NUMBER, ColumnSpec
from tfadvrec.models.behaviour.heads import (
    FORBIDDEN,
    normals,
    random_width,
    raw_width,
    relaxed,
    sample,
)
from tfadvrec.models.behaviour.layers import Stack
from tfadvrec.models.behaviour.tables import START

KNOTS = 257


class BehaviourNetworks(keras.Model):
    """Networks and tables, and the steps that a sample is made in.

    `BehaviourGenerator` is the public class; this one knows its columns and no logs.

    Args:
        settings: The constructor's arguments of `BehaviourGenerator`.
        name: The Keras model name.
    """

    def __init__(self, settings: dict[str, Any], name: str | None = None) -> None:
        super().__init__(name=name)
        self._settings = settings
        self.n_items = settings["n_items"]
        self.columns = [ColumnSpec.from_json(column) for column in settings["columns"]]
        self.user_columns = [c for c in self.columns if c.side == "user"]
        self.event_columns = [c for c in self.columns if c.side == "event"]
        if self.columns != self.user_columns + self.event_columns:
            raise ValueError("columns of users must come before those of events.")
        self._make_networks()
        self._make_tables()
        self.built = True

    def _make_networks(self) -> None:
        s = self._settings
        taste, items, given = s["taste_dimension"], s["item_dimension"], self.condition_width
        users = sum(c.width for c in self.user_columns)
        hidden, seed = s["event_widths"], 10 * s["seed"]
        trunk = hidden[-1] if hidden else 64
        self.taste = Stack(s["noise"] + given, s["taste_widths"], taste, seed=seed, name="taste")
        self.user_trunk = Stack(taste + given, (), trunk, seed=seed + 1, name="user_trunk")
        self.item_trunk = Stack(
            taste + users + given, hidden, items, seed=seed + 2, name="item_trunk", zero=True
        )
        self.event_trunk = Stack(
            taste + users + items + given + self.event_noise,
            hidden[:-1],
            trunk,
            seed=seed + 3,
            name="event_trunk",
        )
        self.heads: list[Stack] = []
        for side in (self.user_columns, self.event_columns):
            before = 0
            for column in side:
                place = len(self.heads)
                self.heads.append(
                    Stack(
                        trunk + before,
                        (s["head_width"],),
                        raw_width(column),
                        seed=seed + 4 + place,
                        name=f"head_{place}",
                    )
                )
                before += column.width

    def _make_tables(self) -> None:
        """What is measured on the log and not learnt: no optimizer moves it."""

        def table(name: str, shape: tuple[int, ...]) -> keras.Variable:
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

        self.item_vectors = table("item_vectors", (self.n_items, self._settings["item_dimension"]))
        self.item_bias = table("item_bias", (self.n_items,))
        count = self.periods.stop - self.periods.start
        self.item_periods = table("item_periods", (max(1, count), self.n_items))
        self.shift = table("shift", (max(1, sum(c.choices for c in self.columns)),))
        numbers = sum(c.kind == NUMBER for c in self.columns)
        self.quantiles = table("quantiles", (max(1, numbers), 2, KNOTS))

    # -- sizes ----------------------------------------------------------------------------

    event_noise = 16

    @property
    def condition_width(self) -> int:
        """Numbers of a condition: a flag a choice of every column, an item's vector, its flag."""
        return sum(c.choices for c in self.columns) + self._settings["item_dimension"] + 1

    @property
    def taste_random(self) -> int:
        """Uniform numbers that a taste and a user's columns take."""
        return 2 * self._settings["noise"] + sum(map(random_width, self.user_columns))

    @property
    def event_random(self) -> int:
        """Uniform numbers that an event's columns take; its item takes `n_items` more."""
        return 2 * self.event_noise + sum(map(random_width, self.event_columns))

    @property
    def periods(self) -> slice:
        """Where an encoded user says in which period it starts; empty where there are no times."""
        before = 0
        for column in self.user_columns:
            if column.name == START and column.kind == NUMBER:
                return slice(before + 1, before + column.width)
            before += column.width
        return slice(0, 0)

    def offset(self, column: int) -> int:
        """Where a column's choices begin in a condition and in `shift`."""
        return sum(c.choices for c in self.columns[:column])

    # -- the networks, step by step -------------------------------------------------------

    def tastes(self, uniform: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Tastes `(b, taste_dimension)` from `(b, 2 * noise)` uniform numbers and conditions."""
        return self.taste(tf.concat([normals(uniform), condition], axis=1))

    def item_logits(self, taste: tf.Tensor, users: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """How likely each item is, `(b, n_items)`, given taste, encoded user and condition."""
        vector = self.item_trunk(tf.concat([taste, users, condition], axis=1))
        logits = tf.matmul(vector, self.item_vectors.value, transpose_b=True)
        logits += self.item_bias.value
        if not self.periods.stop:
            return logits
        return logits + tf.matmul(users[:, self.periods], self.item_periods.value)

    def item_sample(self, logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """The expected vector of a relaxed sample of the items, `(b, item_dimension)`."""
        s = self._settings
        chosen = relaxed(
            logits,
            uniform,
            temperature=s["temperature"],
            hard=False,
            through=s["straight_through"],
        )
        return tf.matmul(chosen, self.item_vectors.value)

    def user_context(self, taste: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """What all heads of user columns read."""
        return tf.nn.leaky_relu(self.user_trunk(tf.concat([taste, condition], axis=1)), 0.2)

    def event_context(
        self,
        taste: tf.Tensor,
        users: tf.Tensor,
        items: tf.Tensor,
        condition: tf.Tensor,
        uniform: tf.Tensor,
    ) -> tf.Tensor:
        """What all heads of event columns read; `uniform` is `(b, 2 * event_noise)`."""
        parts = [taste, users, items, condition, normals(uniform)]
        return tf.nn.leaky_relu(self.event_trunk(tf.concat(parts, axis=1)), 0.2)

    def raw(self, side: str, context: tf.Tensor, encoded: tf.Tensor) -> list[tf.Tensor]:
        """Each head's output, given the true values of the columns before it.

        Args:
            side: `"user"` or `"event"`.
            context: From `user_context` or `event_context`.
            encoded: `(b, width of the side)`.
        """
        found, before = [], 0
        for number, column in self._of(side):
            inputs = tf.concat([context, encoded[:, :before]], axis=1)
            found.append(self._shifted(number, self.heads[number](inputs)))
            before += column.width
        return found

    def sampled(
        self,
        side: str,
        context: tf.Tensor,
        uniform: tf.Tensor,
        *,
        allowed: tf.Tensor | None = None,
        hard: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Values of a side's columns, each given those sampled before it.

        Args:
            side: `"user"` or `"event"`.
            context: From `user_context` or `event_context`.
            uniform: `(b, sum of random_width)`.
            allowed: `(b, choices of all columns)`, added to the logits, or None.
            hard: Whether samples are one-hot.

        Returns:
            Encoded values `(b, width of the side)`, and the raw outputs.
        """
        s = self._settings
        values: list[tf.Tensor] = [uniform[:, :0]]
        found, used = [], 0
        for number, column in self._of(side):
            raw = self.heads[number](tf.concat([context, *values], axis=1))
            raw = self._shifted(number, raw, allowed)
            width = random_width(column)
            values.append(
                sample(
                    column,
                    raw,
                    uniform[:, used : used + width],
                    temperature=s["temperature"],
                    hard=hard,
                    through=s["straight_through"],
                )
            )
            found.append(raw)
            used += width
        return tf.concat(values, axis=1), found

    def _of(self, side: str) -> list[tuple[int, ColumnSpec]]:
        return [(n, c) for n, c in enumerate(self.columns) if c.side == side]

    def _shifted(self, number: int, raw: tf.Tensor, allowed: tf.Tensor | None = None) -> tf.Tensor:
        start, k = self.offset(number), self.columns[number].choices
        logits = raw[:, :k] + self.shift.value[start : start + k]
        if allowed is not None:
            logits = tf.maximum(logits + allowed[:, start : start + k], FORBIDDEN)
        return tf.concat([logits, raw[:, k:]], axis=1)
