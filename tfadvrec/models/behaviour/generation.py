"""Profiles of made-up users, chunk by chunk, and the log that they make."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models.behaviour.assembling import Profiles, assembled, first_of
from tfadvrec.models.behaviour.clockwork import times
from tfadvrec.models.behaviour.column_spec import EVENT, NUMBER, USER, ColumnSpec
from tfadvrec.models.behaviour.conditions import Condition, condition_of
from tfadvrec.models.behaviour.draws import uniform
from tfadvrec.models.behaviour.heads import FORBIDDEN
from tfadvrec.models.behaviour.tables import ARRIVAL, FIRST, LENGTH, START

CHUNK = 128  # profiles that are made together, always all of them: sums then never change
_EVENTS = 4096
_PROFILE, _ITEM, _EVENT = 0, 1, 2  # streams of random numbers


def generate_profiles(
    model: Any, n_users: int, condition: Mapping[str, Any] | None, *, seed: int
) -> Interactions:
    """See `BehaviourGenerator.generate_profiles`."""
    _positive("n_users", n_users)
    chunks = []
    for chunk in chunks_of(model, condition_of(model, condition), seed=seed):
        chunks.append(first_of(chunk, min(n_users, CHUNK), None))
        n_users -= CHUNK
        if n_users <= 0:
            break
    return assembled(model, chunks)


def generate_events(
    model: Any, count: int, condition: Mapping[str, Any] | None, *, seed: int
) -> Interactions:
    """See `BehaviourGenerator.generate`."""
    _positive("count", count)
    chunks, made = [], 0
    for chunk in chunks_of(model, condition_of(model, condition), seed=seed):
        left = count - made
        users = int(chunk.owner[min(left, len(chunk.owner)) - 1]) + 1
        chunks.append(first_of(chunk, users, left))
        made += len(chunk.owner)
        if made >= count:
            break
    return assembled(model, chunks)


def chunks_of(model: Any, condition: Condition, *, seed: int) -> Iterator[Profiles]:
    """Endless profiles of made-up users, `CHUNK` at a time."""
    first = 0
    while True:
        yield chunk(model, condition, np.arange(first, first + CHUNK), seed=seed)
        first += CHUNK


def chunk(
    model: Any,
    condition: Condition,
    number: np.ndarray,
    *,
    seed: int,
    expected: bool = False,
) -> Profiles:
    """The profiles of some numbers; each depends on the seed and its own number alone."""
    taste, users, user, latent = made_users(model, condition, number, seed=seed)
    given = np.tile(condition.vector, (len(number), 1))
    logits = model.item_logits(*map(tf.constant, (taste, users, given))).numpy()
    possible = model.n_items if condition.items is None else int(condition.items.sum())
    length = np.clip(user[LENGTH].astype(np.int64), 1, possible)
    user[LENGTH] = length
    if expected:
        latent["item"] = expected_counts(logits, length)
    items = _items(logits, length, condition, number, seed)
    owner = np.repeat(np.arange(len(number)), length)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    drawn = uniform(seed, number[owner] * (1 << 20) + place, model.event_random, stream=_EVENT)
    encoded = _events(model, taste, users, owner, items, place, condition, drawn)
    event = _values(model, model.event_columns, encoded, condition, latent)
    time = None
    if model.time_range is not None:
        time = times(model, user[START], owner, event, condition)
        order = np.lexsort((place, time, owner))
        items, time = items[order], time[order]
        event = {k: v[order] for k, v in event.items()}
    return Profiles(number, user, owner, items, event, time, latent)


def made_users(
    model: Any, condition: Condition, number: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The users of some profiles, as they are in `chunk`, without what they did.

    Returns:
        Tastes, encoded columns, column -> values, number column -> latent values.
    """
    drawn = tf.constant(uniform(seed, number, model.taste_random, stream=_PROFILE))
    given, allowed = (
        tf.constant(np.tile(row, (len(number), 1))) for row in (condition.vector, condition.allowed)
    )
    edge = 2 * model.get_config()["noise"]
    taste = model.tastes(drawn[:, :edge], given)
    context = model.user_context(taste, given)
    users = model.sampled(USER, context, drawn[:, edge:], allowed=allowed, hard=True)[0].numpy()
    latent: dict[str, np.ndarray] = {}
    values = _values(model, model.user_columns, users, condition, latent)
    return taste.numpy(), users, values, latent


def expected_counts(logits: np.ndarray, length: np.ndarray) -> np.ndarray:
    """How often each item is expected in profiles of these lengths, `(n_items,)`.

    Taking the largest of logits with Gumbel noise is a race of exponential clocks, of which those
    ring before the finish that are taken: item i with about `1 - exp(-t p_i)`, where `t` is such
    that these sum to the length.

    Args:
        logits: `(p, n_items)`.
        length: `(p,)`, each at most `n_items`.

    Example:

    >>> expected_counts(np.zeros((2, 4)), np.array([1, 3])).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    wanted = np.minimum(length, logits.shape[1] - 0.5)[:, None].astype(np.float64)
    rung = wanted.copy()
    for _ in range(8):  # Newton's steps from below, on a concave function
        left = np.exp(-rung * chance)
        slope = np.maximum((chance * left).sum(axis=1, keepdims=True), 1e-12)
        rung += (wanted - (1.0 - left).sum(axis=1, keepdims=True)) / slope
    return (1.0 - np.exp(-rung * chance)).sum(axis=0)


def _items(
    logits: np.ndarray, length: np.ndarray, condition: Condition, number: np.ndarray, seed: int
) -> np.ndarray:
    """As many different items of each profile as it is long: the largest disturbed logits."""
    noise = uniform(seed, number, logits.shape[1], stream=_ITEM)
    scores = logits - np.log(-np.log(noise))
    if condition.items is not None:
        scores = np.where(condition.items, scores, FORBIDDEN)
    most = int(length.max())
    top = np.argpartition(-scores, min(most, scores.shape[1] - 1), axis=1)[:, :most]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    return top[np.arange(most) < length[:, None]]


def _events(
    model: Any,
    taste: np.ndarray,
    users: np.ndarray,
    owner: np.ndarray,
    items: np.ndarray,
    place: np.ndarray,
    condition: Condition,
    drawn: np.ndarray,
) -> np.ndarray:
    """Encoded event columns, in parts whose size is a power of two: few shapes for the networks."""
    vectors = model.item_vectors.numpy()
    first = _arrivals(model)
    found = []
    size = min(_EVENTS, 1 << (len(owner) - 1).bit_length())
    for start in range(0, len(owner), size):
        rows = np.arange(start, start + size) % len(owner)
        allowed = np.tile(condition.allowed, (size, 1))
        if first is not None:
            at, k = first
            is_first = place[rows] == 0
            allowed[np.ix_(is_first, k)] = FORBIDDEN
            allowed[is_first, at] = 0.0
            allowed[~is_first, at] = FORBIDDEN
        own = owner[rows]
        encoded = _event_columns(
            model,
            taste[own],
            users[own],
            vectors[items[rows]],
            np.tile(condition.vector, (size, 1)),
            drawn[rows],
            allowed.astype(np.float32),
        )
        found.append(encoded.numpy()[: len(owner) - start])
    return np.concatenate(found)


def _event_columns(model: Any, *parts: np.ndarray) -> tf.Tensor:
    taste, users, items, given, drawn, allowed = map(tf.constant, parts)
    edge = 2 * model.event_noise
    context = model.event_context(taste, users, items, given, drawn[:, :edge])
    return model.sampled(EVENT, context, drawn[:, edge:], allowed=allowed, hard=True)[0]


def _arrivals(model: Any) -> tuple[int, np.ndarray] | None:
    """Where `first` lies among all choices, and where the arrivals after it do."""
    for number, column in enumerate(model.columns):
        if column.name == ARRIVAL and column.side == EVENT and FIRST in column.values:
            start = model.offset(number)
            at = start + column.values.index(FIRST)
            return at, np.setdiff1d(np.arange(start, start + column.choices), [at])
    return None


def _values(
    model: Any,
    columns: list[ColumnSpec],
    encoded: np.ndarray,
    condition: Condition,
    latent: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Decoded columns; numbers go through the quantiles that were measured, if any were."""
    found, start = {}, 0
    for column in columns:
        part = encoded[:, start : start + column.width]
        start += column.width
        if column.kind == NUMBER:
            latent[column.name] = column.latent(part)
            values = column.restore(_matched(model, column, latent[column.name]))
            if column.name in condition.numbers:
                values = np.full(len(part), condition.numbers[column.name])
        else:
            values = column.decode(part)
        found[column.name] = values.astype(np.int64) if column.whole else values
    return found


def _matched(model: Any, column: ColumnSpec, latent: np.ndarray) -> np.ndarray:
    numbers = [c for c in model.columns if c.kind == NUMBER]
    ours, theirs = model.quantiles.numpy()[numbers.index(column)]
    if ours[-1] <= ours[0]:
        return latent  # nothing was measured
    return np.interp(latent, ours, theirs)


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer. Received: {value!r}")
