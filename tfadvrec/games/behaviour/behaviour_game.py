"""The behaviour game: a generator of users and events against a critic of packs of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.games import noise
from tfadvrec.games.behaviour.calibration import calibrate
from tfadvrec.games.behaviour.encoded_log import EncodedLog, conditions
from tfadvrec.games.behaviour.held_log import HeldLog
from tfadvrec.games.behaviour.making import adam, generator_for
from tfadvrec.games.behaviour.terms import (
    chosen,
    columns_surprise,
    items_surprise,
    mean_distance,
    moment_distance,
    rows_of,
    uniform,
)
from tfadvrec.games.game import Game
from tfadvrec.games.losses import GameLoss, Wasserstein
from tfadvrec.games.networks import dense
from tfadvrec.models.behaviour.column_spec import EVENT, USER
from tfadvrec.models.behaviour.item_table import item_table, period_table, pooled_counts
from tfadvrec.models.behaviour.tables import clock
from tfadvrec.models.behaviour_generator import BehaviourGenerator

_LARGE = 4_096  # items


class BehaviourGame(Game):
    """Tastes, users and events of a log, judged in packs of rows.

    A row is an event joined with its user: the user's taste, the user's columns, the item's
    vector, the event's columns, and the condition that the row was drawn for. The critic judges
    ten rows together. The generator minimises, beside the critic's verdict,

    - `condition`: cross-entropy of the column that the condition is about, in what it made;
    - `likelihood`: minus the log-likelihood of real users' columns, items and events, given their
      real tastes;
    - `moments`: the squared distance of the tastes' means and covariances from the real ones, and
      of their means under each condition. What else there is to a taste comes from the game alone.

    After `fit`, shifts of the logits and quantiles of the numbers are set so that generated
    columns are distributed as the log's (`calibrate`).

    Args:
        generator: A `BehaviourGenerator`.
        discriminator: `(packs, packing * row width)` to logits.
        data: The encoded log.
        likelihood: Weight of the likelihood.
        moments: Weight of the moments.
        item_draws: Events of a user that the items' likelihood is estimated on.
        taste_noise: Deviation of the noise on real tastes, which have deviation 1: nobody's taste
            is to be learnt exactly.
        rounds: Rounds of calibration after `fit`, 0 for none.
        rare: Count below which items share their frequency.
        packing: Rows judged together.
        seed: What noise is drawn from.
        name: The Keras model name.

    Reference: Xu et al., Modeling Tabular Data using Conditional GAN, NeurIPS 2019; Lin et al.,
    PacGAN, NeurIPS 2018; Gulrajani et al., Improved Training of Wasserstein GANs, NIPS 2017.
    """

    def __init__(
        self,
        generator: BehaviourGenerator,
        discriminator: Any,
        data: EncodedLog,
        *,
        likelihood: float = 1.0,
        moments: float = 1.0,
        item_draws: int = 32,
        taste_noise: float = 0.1,
        rounds: int = 4,
        rare: int = 5,
        packing: int = 10,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, packing=packing, seed=seed, name=name)
        self.data, self.rounds, self.rare = data, int(rounds), int(rare)
        self.likelihood, self.item_draws = float(likelihood), int(item_draws)
        self.moments = float(moments)
        self._raw: dict[str, Any] = {}
        self._held = HeldLog(data, taste_noise)

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: BehaviourGenerator | None = None,
        *,
        seed: int = 0,
        item_dimension: int = 64,
        taste_dimension: int = 48,
        rare: int = 5,
        halves: bool = False,
        columns: Sequence[str] | None = None,
        critic_widths: Sequence[int] = (256, 256),
        dropout: float = 0.0,
        generator: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """The game of a log.

        Args:
            log: The interactions.
            model: A generator with the log's columns and items, or None for a new one.
            seed: Seed of networks and noise.
            item_dimension: Length of the items' vectors (small catalogues: one-hot).
            taste_dimension: Length of a taste.
            rare: Items with fewer interactions are as frequent, and lie where, their mean is.
            halves: Whether a real user's taste is made of half of the user's events, to tell the
                other half: better where users have few events (`movietweetings`: four), worse
                where they have many (MovieLens-100K: eighty).
            columns: Names of the columns, or None for all that can be one.
            critic_widths: Hidden widths of the critic.
            dropout: Dropout of the critic.
            generator: More arguments of `BehaviourGenerator`.
            **settings: Arguments of the game.

        Raises:
            ValueError: A name in `columns` is no column of the log.
        """
        size = max(item_dimension, taste_dimension)
        vectors, factors = item_table(log.csr(), size, rare=rare, seed=seed)
        if vectors.shape[1] == size:
            vectors = vectors[:, :item_dimension]
        if model is None:
            model = generator_for(
                log, vectors, columns, seed, taste_dimension=taste_dimension, **(generator or {})
            )
        taste = model.get_config()["taste_dimension"]
        data = EncodedLog.of(log, model.columns, factors[:, :taste], halves=halves, seed=seed)
        model.bind(log)
        model.item_vectors.assign(vectors)
        period = data.user[:, model.periods]
        if period.shape[1]:
            table = period_table(log.csr()[data.made.users], period, rare=rare)
            model.item_periods.assign(table)
        frequent = pooled_counts(log.popularity(), rare) + 0.5
        model.item_bias.assign(np.log(frequent / frequent.mean()))
        critic = dense(critic_widths, out=1, dropout=dropout, seed=seed, name="critic")
        return cls(model, critic, data, seed=seed, rare=rare, **settings)

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        loss: GameLoss | None = None,
        **options: Any,
    ) -> None:
        """As in `Game`; by default Wasserstein with gradient penalty and Adam(2e-4, .5, .9)."""
        super().compile(
            generator_optimizer or adam(), discriminator_optimizer or adam(),
            loss or Wasserstein(), **options,
        )  # fmt: skip

    @property
    def xla_on_cpu(self) -> bool:
        """Only for large catalogues.

        A step of 200 rows takes 80 ms with and without XLA for 1,682 items, .18 and .3 s for
        10,506, and compiling takes a minute.
        """
        return self.generator.n_items > _LARGE

    def batches(
        self, log: Interactions, *, batch_size: int = 500, seed: int = 0, block: int | None = None
    ) -> tf.data.Dataset:
        """Rows by training-by-sampling, as many an epoch as the log has events.

        Args:
            log: The log that the game was made for.
            batch_size: Rows in a batch; the packing divides it.
            seed: What rows and their order are drawn from.
            block: Batches in a `Block`; None gives plain batches.

        Raises:
            ValueError: The log is another one, or the packing does not divide the batch.
        """
        from tfadvrec.data import rows

        if len(log) != len(self.data.made.owner):
            raise ValueError(
                f"the game was made for a log of {len(self.data.made.owner)} interactions. "
                f"Received one of {len(log)}: call BehaviourGame.for_log for it."
            )
        if batch_size % self.packing:
            raise ValueError(f"batch_size must be a multiple of {self.packing}: got {batch_size}")
        drawn = self.data.draw(max(len(log), 4 * batch_size), seed=seed)
        return rows(drawn, batch_size=batch_size, seed=seed, block=block)

    def fit(self, *positional: Any, **options: Any) -> Any:
        """As in `Game`; then sets shifts and quantiles, see `calibrate`."""
        history = super().fit(*positional, **options)
        if self.rounds:
            calibrate(self.generator, self.data, rounds=self.rounds, rare=self.rare, seed=self.seed)
        return history

    # -- the game -------------------------------------------------------------------------

    def real(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """Real rows, with a little noise on the tastes."""
        users, item, event = self._held.rows(batch)
        return tf.concat(
            [
                self._held.tastes(batch, seed)[0],
                users,
                tf.gather(self.generator.item_vectors.value, item),
                event,
                self._given(batch),
            ],
            axis=1,
        )

    def fake(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """Rows from noise, for the same conditions."""
        model, given = self.generator, self._given(batch)
        size = rows_of(given)
        drawn = uniform(noise.fold(seed, 0), size, model.taste_random)
        noisy = 2 * model.get_config()["noise"]
        taste = model.tastes(drawn[:, :noisy], given)
        users, user_raw = model.sampled(USER, model.user_context(taste, given), drawn[:, noisy:])
        logits = model.item_logits(taste, users, given)
        items = model.item_sample(logits, uniform(noise.fold(seed, 1), size, model.n_items))
        drawn = uniform(noise.fold(seed, 2), size, model.event_random)
        edge = 2 * model.event_noise
        context = model.event_context(taste, users, items, given, drawn[:, :edge])
        events, event_raw = model.sampled(EVENT, context, drawn[:, edge:])
        self._raw = {"columns": [*user_raw, *event_raw], "item": logits}
        return tf.concat([taste, users, items, events, given], axis=1)

    def generator_penalty(
        self, batch: Mapping[str, tf.Tensor], fake: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Cross-entropy of the chosen column, and the likelihood of real rows."""
        parts = {"condition": self._condition_loss(batch)}
        if self.likelihood:
            parts["likelihood"] = self.likelihood * self._surprise(batch, seed)
        if self.moments:
            parts["moments"] = self.moments * self._moments(batch, fake, seed)
        return parts

    def _moments(
        self, batch: Mapping[str, tf.Tensor], fake: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Distance of the tastes' moments, and of their means under each condition."""
        model, given = self.generator, self._given(batch)
        real, _ = self._held.tastes(batch, seed)
        taste = fake[:, : real.shape[1]]
        drawn = uniform(noise.fold(seed, 23), rows_of(given), 2 * model.get_config()["noise"])
        again = model.tastes(drawn, given)
        free = tf.cast(batch["column"] < 0, tf.float32)
        return moment_distance(taste, free, self._held.moments) + mean_distance(taste, again, real)

    def _condition_loss(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Mean over the batch of -log p(chosen category) in the generated rows."""
        column, choice = batch["column"], batch["choice"]
        total = tf.zeros_like(column, tf.float32)
        for number, spec in enumerate(self.generator.columns):
            logits = self._raw["columns"][number][:, : spec.choices]
            total += chosen(logits, choice, column == number)
        total += chosen(self._raw["item"], choice, column == len(self.generator.columns))
        return tf.reduce_mean(total)

    def _surprise(self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        """Minus the log-likelihood of real rows, given their users' real tastes."""
        model, given = self.generator, self._given(batch)
        users, item, event = self._held.rows(batch)
        taste, half = self._held.tastes(batch, seed)
        vectors = tf.gather(model.item_vectors.value, item)
        drawn = uniform(noise.fold(seed, 21), rows_of(given), 2 * model.event_noise)
        columns = columns_surprise(model, taste, given, users, vectors, event, drawn)
        items, weight = self._held.history(batch, half, self.item_draws, noise.fold(seed, 22))
        logits = model.item_logits(taste, users, given)
        given_one = chosen(logits, item, batch["column"] >= 0)  # what a condition makes of items
        return tf.reduce_mean(columns + given_one) + items_surprise(logits, items, weight)

    def _given(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return conditions(self.generator, batch["column"], batch["choice"])

    # -- what is made ---------------------------------------------------------------------

    def observe(self, count: int, seed: int) -> Any:
        """A sample for the health monitor: items, profiles, and the events' columns.

        Args:
            count: How many events.
            seed: What they are drawn from.
        """
        from tfadvrec.games.health import Observation

        made = self.generator.generate(count, seed=seed)
        columns = {} if made.rating is None else {"rating": made.rating}
        if made.time is not None:
            hour, weekday = clock(made.time)
            columns |= {"weekday": weekday, "hour": hour}
        return Observation(
            items=made.item,
            profiles=made.csr(),
            columns={**columns, **made.columns},
            n_items=made.n_items,
        )

    def generate(
        self, count: int, condition: Mapping[str, Any] | None = None, *, seed: int = 0
    ) -> Interactions:
        """See `BehaviourGenerator.generate`."""
        return self.generator.generate(count, condition, seed=seed)

    def generate_profiles(
        self, n_users: int, condition: Mapping[str, Any] | None = None, *, seed: int = 0
    ) -> Interactions:
        """See `BehaviourGenerator.generate_profiles`."""
        return self.generator.generate_profiles(n_users, condition, seed=seed)
