"""A log as the behaviour game reads it: encoded rows, tastes, and rows drawn for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from tfadvrec.data import Interactions
from tfadvrec.models.behaviour.column_spec import CATEGORY, EVENT, USER, ColumnSpec
from tfadvrec.models.behaviour.item_table import taste_codes
from tfadvrec.models.behaviour.tables import Tables, tables

UNCONDITIONAL = 0.5  # share of the rows that are drawn without a condition
CUTS = 8  # ways in which each user's events are cut in two


@dataclass(frozen=True, eq=False)
class EncodedLog:
    """Arrays of a log, users in the order of `made.users`, events user by user.

    Attributes:
        made: The columns' values.
        columns: The columns.
        taste: Tastes, float32 `(cuts, 2, users, taste_dimension)`: each made of the half of a
            user's events with the same number, or, with one cut, of all.
        half: In which half each event lies in each cut, int32 `(cuts, events)`; 0 with one cut.
        user: Encoded user columns, float32 `(users, width)`.
        event: Encoded event columns, float32 `(events, width)`.
        starts: Where each user's events begin, `(users + 1,)`.
        choice: Category or mode of each event in each column, int32 `(columns, events)`.
    """

    made: Tables
    columns: list[ColumnSpec]
    taste: np.ndarray
    half: np.ndarray
    user: np.ndarray
    event: np.ndarray
    starts: np.ndarray
    choice: np.ndarray

    @classmethod
    def of(
        cls,
        log: Interactions,
        columns: list[ColumnSpec],
        factors: np.ndarray,
        *,
        halves: bool = False,
        seed: int = 0,
    ) -> "EncodedLog":
        """Encodes a log.

        Args:
            log: The interactions.
            columns: The columns, users' first.
            factors: Item factors, of which tastes are made.
            halves: Whether tastes are made of halves of the users' events.
            seed: What the modes of numbers and the halves are drawn from.
        """
        made = tables(log)
        coded: dict[str, list[np.ndarray]] = {USER: [], EVENT: []}
        choice = []
        for column in columns:
            values = (made.user if column.side == USER else made.event)[column.name]
            if column.kind == CATEGORY and not column.whole and values.dtype.kind == "f":
                values = values.astype(np.float64)
            part = column.encode(values, seed=seed)
            coded[column.side].append(part)
            rows = np.argmax(part[:, part.shape[1] - column.choices :], axis=1)
            choice.append(rows[made.owner] if column.side == USER else rows)
        lengths = np.bincount(made.owner)
        sides = [
            np.concatenate([np.zeros((size, 0), np.float32), *coded[side]], axis=1)
            for side, size in ((USER, len(lengths)), (EVENT, len(made.owner)))
        ]
        shape = (CUTS if halves else 1, len(made.owner))
        half = np.random.default_rng(seed).integers(0, 1 + halves, shape, np.int32)
        return cls(
            made,
            columns,
            _half_tastes(made, half, factors) if halves else _tastes(log, made, factors),
            half,
            *sides,
            np.concatenate([[0], np.cumsum(lengths)]),
            np.array(choice, np.int32).reshape(len(columns), len(made.owner)),
        )

    def draw(self, count: int, *, seed: int = 0) -> dict[str, np.ndarray]:
        """Rows to train on, half of them drawn for a condition.

        Without a condition a user is drawn uniformly, then one of the user's events. With one, a
        column is drawn uniformly (the item is a column too), a category or mode of it by the
        logarithm of its frequency, then an event that has it.

        Args:
            count: How many rows.
            seed: What they are drawn from.

        Returns:
            int32 arrays `(count,)`: `"event"`, `"column"` (-1: no condition; the number of columns:
            the item) and `"choice"`.

        Reference: Xu et al., Modeling Tabular Data using Conditional GAN, NeurIPS 2019, 4.3.
        """
        rng = np.random.default_rng(seed)
        column = rng.integers(0, len(self.columns) + 1, count)
        column[rng.random(count) < UNCONDITIONAL] = -1
        event, choice = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for number in range(-1, len(self.columns) + 1):
            rows = np.flatnonzero(column == number)
            if number < 0:
                event[rows] = self._by_user(rng, len(rows))
            elif len(rows):
                values = self._values(number)
                event[rows] = _by_log_frequency(rng, values, len(rows))
                choice[rows] = values[event[rows]]
        return {
            "event": event.astype(np.int32),
            "column": column.astype(np.int32),
            "choice": choice.astype(np.int32),
        }

    def _values(self, number: int) -> np.ndarray:
        return self.choice[number] if number < len(self.columns) else self.made.item

    def _by_user(self, rng: np.random.Generator, count: int) -> np.ndarray:
        user = rng.integers(0, len(self.starts) - 1, count)
        lengths = np.diff(self.starts)[user]
        return self.starts[user] + np.floor(rng.random(count) * lengths).astype(np.int64)


def _tastes(log: Interactions, made: Tables, factors: np.ndarray) -> np.ndarray:
    """Tastes that all of users' events tell, twice: `(1, 2, users, dimension)`."""
    return np.stack([taste_codes(log.csr()[made.users], factors)] * 2)[None]


def _half_tastes(made: Tables, half: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Tastes that each half of users' events tells: `(cuts, 2, users, dimension)`."""
    users, cuts = len(made.users), len(half)
    row = (2 * np.arange(cuts)[:, None] + half) * users + made.owner
    item = np.tile(made.item, cuts)
    shape = (cuts * 2 * users, len(factors))
    matrix = csr_matrix((np.ones(row.size), (row.ravel(), item)), shape)
    matrix.data[:] = 1.0
    return taste_codes(matrix, factors).reshape(cuts, 2, users, -1)


def _by_log_frequency(rng: np.random.Generator, values: np.ndarray, count: int) -> np.ndarray:
    """Rows whose values are drawn by log-frequency; among equal values uniformly."""
    order = np.argsort(values, kind="stable")
    counts = np.bincount(values)
    weight = np.log1p(counts)
    chosen = rng.choice(len(counts), count, p=weight / weight.sum())
    first = np.cumsum(counts) - counts
    place = np.floor(rng.random(count) * counts[chosen]).astype(np.int64)
    return order[first[chosen] + place]


def conditions(model: Any, column: Any, choice: Any) -> Any:
    """The conditions of drawn rows as the networks are given them, float32 `(b, width)`.

    Args:
        model: The generator.
        column: int32 `(b,)`, as `EncodedLog.draw` gives it.
        choice: int32 `(b,)`.
    """
    import tensorflow as tf

    offsets = tf.constant([model.offset(n) for n in range(len(model.columns) + 1)], tf.int32)
    total = model.offset(len(model.columns))
    items = tf.cast(column == len(model.columns), tf.float32)[:, None]
    plain = (column >= 0) & (column < len(model.columns))
    at = tf.where(plain, tf.gather(offsets, tf.maximum(column, 0)) + choice, -1)
    row = tf.where(column == len(model.columns), choice, 0)
    vectors = tf.gather(model.item_vectors.value, row) * items
    return tf.concat([tf.one_hot(at, total), vectors, items], axis=1)
