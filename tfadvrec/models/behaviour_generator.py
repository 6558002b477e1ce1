"""A generator of behaviour: users with their tastes, and what they do, column by column."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.models.behaviour.column_spec import EVENT, USER
from tfadvrec.models.behaviour.networks import BehaviourNetworks
from tfadvrec.presets import register

if TYPE_CHECKING:
    from tfadvrec.data import Interactions


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class BehaviourGenerator(BehaviourNetworks):
    """Makes up users and their events, in the columns, types and ranges of a log.

    Noise becomes a taste, a vector in the space of the users' item factors. Given the taste,
    the user's columns (features, profile length, first day) are sampled one after the other, each
    given those before it; then items, from a softmax over the items' table; then, for each item,
    the event's columns, likewise in order. What a user likes is so shared by all of the user's
    events, and a log of such users can train a recommender. Every step is also given a condition.

    `tfadvrec.games.BehaviourGame` trains it; `BehaviourGame.for_log` makes one for a log.

    Args:
        n_items: Items of the catalogue.
        columns: The columns as `ColumnSpec.to_json` gives them, users' first.
        item_dimension: Length of an item's vector; `n_items` in a small catalogue.
        taste_dimension: Length of a taste.
        noise: Length of the noise that a taste is made of.
        taste_widths: Hidden widths of the network that makes tastes.
        event_widths: Hidden widths of the networks that columns are read from.
        head_width: Hidden width of each column's own head.
        temperature: Of the Gumbel-softmax.
        straight_through: Whether training's samples are one-hot forward, soft backward.
        first_user: First integer id of a made-up user; None gives `"synthetic-000001"`.
        time_range: First and last day of the log, or None where there are no times.
        seed: Seed of the initial weights.
        name: The Keras model name.

    Reference: Xu et al., Modeling Tabular Data using Conditional GAN, NeurIPS 2019; the
    decomposition into taste, items and events is this project's.
    """

    def __init__(
        self,
        *,
        n_items: int,
        columns: list[dict[str, Any]],
        item_dimension: int,
        taste_dimension: int = 48,
        noise: int = 128,
        taste_widths: tuple[int, ...] = (256, 256),
        event_widths: tuple[int, ...] = (256,),
        head_width: int = 48,
        temperature: float = 0.2,
        straight_through: bool = False,
        first_user: int | None = None,
        time_range: tuple[float, float] | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        if n_items < 2 or min(item_dimension, taste_dimension, noise) < 1 or temperature <= 0:
            raise ValueError(
                "expected n_items >= 2, dimensions >= 1 and a temperature above 0. Received: "
                f"n_items={n_items}, item_dimension={item_dimension}, taste_dimension="
                f"{taste_dimension}, noise={noise}, temperature={temperature}"
            )
        settings = {
            "n_items": int(n_items),
            "columns": [dict(column) for column in columns],
            "item_dimension": int(item_dimension),
            "taste_dimension": int(taste_dimension),
            "noise": int(noise),
            "taste_widths": list(taste_widths),
            "event_widths": list(event_widths),
            "head_width": int(head_width),
            "temperature": float(temperature),
            "straight_through": bool(straight_through),
            "first_user": first_user,
            "time_range": None if time_range is None else list(time_range),
            "seed": int(seed),
        }
        super().__init__(settings, name=name)
        self.first_user, self.time_range = first_user, time_range
        self._ids: tuple[None, np.ndarray | None] = (None, None)
        self._item_features: Mapping[str, np.ndarray] = {}

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> tf.Tensor:
        """One event of each user, without choosing: everything the networks say.

        Args:
            inputs: `"uniform"`, `(b, taste_random + event_random)` numbers in (0, 1), and
                `"condition"`, `(b, condition_width)`.
            training: Not used: nothing behaves differently in training.

        Returns:
            float32: the taste, the encoded user, the items' logits and the encoded event.
        """
        uniform = tf.convert_to_tensor(inputs["uniform"], tf.float32)
        condition = tf.convert_to_tensor(inputs["condition"], tf.float32)
        noise, own = 2 * self._settings["noise"], self.taste_random
        taste = self.tastes(uniform[:, :noise], condition)
        context = self.user_context(taste, condition)
        users, _ = self.sampled(USER, context, uniform[:, noise:own])
        logits = self.item_logits(taste, users, condition)
        items = tf.matmul(tf.nn.softmax(logits), self.item_vectors.value)
        edge = own + 2 * self.event_noise
        context = self.event_context(taste, users, items, condition, uniform[:, own:edge])
        events, _ = self.sampled(EVENT, context, uniform[:, edge:])
        return tf.concat([taste, users, logits, events], axis=1)

    # -- generation -----------------------------------------------------------------------

    def generate(
        self,
        count: int,
        condition: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
    ) -> "Interactions":
        """Events of made-up users: whole profiles, one after the other, cut at `count`.

        Args:
            count: How many interactions.
            condition: Column -> value that all of them have: a user's or event's column, `item`
                (an id), or a categorical item feature of the log that was bound; None for none.
            seed: What they are drawn from; a smaller `count` gives the first of the same rows.

        Returns:
            A log in the columns of the real one, with `real=False` and user ids of nobody.

        Raises:
            ValueError: The condition names no column or no value of it; says what is near.
        """
        from tfadvrec.models.behaviour.generation import generate_events

        return generate_events(self, count, condition, seed=seed)

    def generate_profiles(
        self, n_users: int, condition: Mapping[str, Any] | None = None, *, seed: int = 0
    ) -> "Interactions":
        """Whole profiles of made-up users, each in time order; as `generate` else.

        Args:
            n_users: How many users.
            condition: As in `generate`.
            seed: As in `generate`.
        """
        from tfadvrec.models.behaviour.generation import generate_profiles

        return generate_profiles(self, n_users, condition, seed=seed)

    @property
    def item_ids(self) -> np.ndarray | None:
        """The caller's id of each item row, or None."""
        return self._ids[1]

    @property
    def user_ids(self) -> None:
        """None: a generator knows nobody."""
        return

    def set_ids(self, user_ids: None, item_ids: Sequence[Any] | np.ndarray | None) -> None:
        """Names the item rows.

        Args:
            user_ids: None: a generator knows nobody.
            item_ids: `(n_items,)` unique ids, or None.

        Raises:
            ValueError: There are user ids, or not as many item ids as rows.
        """
        if user_ids is not None:
            raise ValueError("a BehaviourGenerator keeps no user ids: its users are made up.")
        if item_ids is not None and len(item_ids) != self.n_items:
            raise ValueError(f"item_ids must name {self.n_items} rows. Received: {len(item_ids)}")
        self._ids = (None, None if item_ids is None else np.asarray(item_ids))

    def bind(self, log: "Interactions") -> "BehaviourGenerator":
        """Takes a log's item ids and item features; generated logs have them, conditions too."""
        self.set_ids(None, log.item_ids)
        self._item_features = dict(log.item_features)
        return self

    @property
    def item_features(self) -> Mapping[str, np.ndarray]:
        """The item features of the log that was bound; none in a loaded preset."""
        return self._item_features

    # -- presets --------------------------------------------------------------------------

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """Fixed numbers that a saved generator must answer alike."""
        width = self.taste_random + self.event_random
        grid = (np.arange(4 * width, dtype=np.float32).reshape(4, width) * 0.618034) % 1.0
        return {
            "uniform": np.clip(grid, 0.01, 0.99),
            "condition": np.zeros((4, self.condition_width), np.float32),
        }

    @classmethod
    def from_preset(cls, preset: str, **options: Any) -> "BehaviourGenerator":
        """Loads a zoo preset by name, or a preset folder by path; see `tfadvrec.presets.load`."""
        from tfadvrec import presets

        return presets.load(preset, expected=cls, **options)

    def save_to_preset(self, folder: str, **options: Any) -> None:
        """Writes a preset folder; see `tfadvrec.presets.save`."""
        from tfadvrec import presets

        presets.save(self, folder, **options)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**self._settings, "name": self.name}
