"""What a log's columns are like on the whole, given back to a trained generator."""

from typing import Any

import numpy as np

from tfadvrec.games.behaviour.encoded_log import EncodedLog
from tfadvrec.models.behaviour.assembling import Profiles
from tfadvrec.models.behaviour.column_spec import CATEGORY, NUMBER, USER
from tfadvrec.models.behaviour.conditions import condition_of
from tfadvrec.models.behaviour.generation import CHUNK, chunk, made_users
from tfadvrec.models.behaviour.item_table import pooled_counts
from tfadvrec.models.behaviour.networks import KNOTS
from tfadvrec.models.behaviour.tables import clock

_MOST = 4_096  # profiles that are generated in a round
_USERS = 16_384  # users without events, which cost little
_SEED = 2**40  # far from the seeds of samples


def calibrate(
    generator: Any, data: EncodedLog, *, rounds: int = 4, rare: int = 5, seed: int = 0
) -> list[dict[str, float]]:
    """Sets shifts of the logits and quantiles of the numbers, from profiles that are generated.

    A game leaves each column's distribution a little off, and what the clock makes of hours and
    gaps shifts them further. In each round, profiles are generated, every logit moves by the
    logarithm of real over generated frequency, and each number gets the real quantiles. Only
    totals of the log enter: frequencies of categories, pooled frequencies of items, 257 quantiles.

    Args:
        generator: The `BehaviourGenerator`; `shift`, `item_bias` and `quantiles` are changed.
        data: The encoded log.
        rounds: How often.
        rare: Items with fewer interactions share their mean frequency.
        seed: What the profiles are drawn from.

    Returns:
        For each round the total variation of each categorical column, and of `item`, before it.
    """
    found = []
    wanted = _wanted(data, generator.n_items, rare)
    for step in range(rounds):
        made = _profiles(generator, len(data.starts) - 1, seed=_SEED + seed + step)
        none, number = condition_of(generator, None), np.arange(_USERS)
        *_, users, latent = made_users(generator, none, number, seed=_SEED + seed + step)
        _set_quantiles(generator, data, made, latent)
        apart = _set_shifts(generator, wanted, made, users)
        found.append(apart)
    return found


def _profiles(generator: Any, users: int, *, seed: int) -> list[Profiles]:
    none = condition_of(generator, None)
    chunks = -(-min(max(users, 2 * CHUNK), _MOST) // CHUNK)
    numbers = [np.arange(n * CHUNK, (n + 1) * CHUNK) for n in range(chunks)]
    return [chunk(generator, none, number, seed=seed, expected=True) for number in numbers]


def _wanted(data: EncodedLog, n_items: int, rare: int) -> dict[str, np.ndarray]:
    """Counts of each column's categories in the log."""
    wanted = {"item": pooled_counts(np.bincount(data.made.item, minlength=n_items), rare)}
    for number, spec in enumerate(data.columns):
        if spec.kind == CATEGORY:
            rows = data.choice[number]
            rows = rows[data.starts[:-1]] if spec.side == USER else rows
            wanted[spec.name] = np.bincount(rows, minlength=spec.choices).astype(float)
    return wanted


def _set_shifts(
    generator: Any,
    wanted: dict[str, np.ndarray],
    made: list[Profiles],
    users: dict[str, np.ndarray],
) -> dict[str, float]:
    shift, apart = generator.shift.numpy(), {}
    for number, spec in enumerate(generator.columns):
        if spec.kind != CATEGORY:
            continue
        rows = spec.rows(users[spec.name]) if spec.side == USER else _generated(spec, made)
        ours = np.bincount(rows, minlength=spec.choices)
        theirs = wanted[spec.name]
        start = generator.offset(number)
        shift[start : start + spec.choices] += _step(theirs, ours)
        apart[spec.name] = _apart(theirs, ours)
    generator.shift.assign(shift)
    ours = np.sum([p.latent["item"] for p in made], axis=0)
    theirs = wanted["item"]
    few = theirs == theirs.min()  # the pool: its mean is what is known of each
    ours[few] = ours[few].mean()
    apart["item"] = _apart(theirs, ours)
    generator.item_bias.assign(generator.item_bias.numpy() + _step(theirs, ours, 0.05))
    return apart


def _generated(spec: Any, made: list[Profiles]) -> np.ndarray:
    """Which categories events have; hours and weekdays are those of the times."""
    if spec.name in ("hour", "weekday") and made[0].time is not None:
        time = np.concatenate([p.time for p in made])
        values = clock(time)[0 if spec.name == "hour" else 1]
    else:
        values = np.concatenate([p.event[spec.name] for p in made])
    return spec.rows(values)


def _step(theirs: np.ndarray, ours: np.ndarray, sure: float = 2.0) -> np.ndarray:
    """How far each logit moves: less where fewer than about `sure` counts are there to tell."""
    expected = theirs * ours.sum() / max(1.0, theirs.sum())
    return np.clip(np.log((expected + sure) / (ours + sure)), -1.0, 1.0)


def _apart(theirs: np.ndarray, ours: np.ndarray) -> float:
    return float(np.abs(theirs / theirs.sum() - ours / max(1.0, ours.sum())).sum() / 2)


def _set_quantiles(
    generator: Any, data: EncodedLog, made: list[Profiles], users: dict[str, np.ndarray]
) -> None:
    numbers = [spec for spec in generator.columns if spec.kind == NUMBER]
    table, at = generator.quantiles.numpy(), np.linspace(0.0, 1.0, KNOTS)
    for number, spec in enumerate(numbers):
        values = (data.made.user if spec.side == USER else data.made.event)[spec.name]
        of_events = [p.latent[spec.name] for p in made]
        ours = np.quantile(users[spec.name] if spec.side == USER else np.concatenate(of_events), at)
        theirs = np.quantile(spec.forward(values), at)
        ours += np.arange(KNOTS) * 1e-9  # strictly rising, as interpolation needs
        table[number] = ours, theirs
    generator.quantiles.assign(table)
