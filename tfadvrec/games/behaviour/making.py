"""A generator for a log: which columns it has, and how large it is."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.models.behaviour.tables import DAY, specs_of, tables
from tfadvrec.models.behaviour_generator import BehaviourGenerator

_CLOCKWORK = frozenset({"length", "start", "arrival", "gap", "hour", "weekday"})


def generator_for(
    log: Interactions,
    vectors: np.ndarray,
    columns: Sequence[str] | None,
    seed: int,
    **settings: Any,
) -> BehaviourGenerator:
    """A generator with the columns of a log.

    Args:
        log: The interactions.
        vectors: The items' vectors.
        columns: Names of the columns, or None for all; those that times and lengths are made of
            are always there.
        seed: Seed of its weights and of the columns' mixtures.
        **settings: More arguments of `BehaviourGenerator`.

    Raises:
        ValueError: A name is no column of the log.
    """
    specs = specs_of(tables(log), seed=seed)
    known = [spec.name for spec in specs]
    strange = sorted(set(columns or ()) - set(known))
    if strange:
        raise ValueError(f"{strange} are no columns of the log. There are {', '.join(known)}.")
    specs = [s for s in specs if columns is None or s.name in {*columns, *_CLOCKWORK}]
    whole = log.user_ids.dtype.kind in "iu"
    days = None
    if log.time is not None:
        days = (float(log.time.min() / DAY), float(log.time.max() / DAY))
    return BehaviourGenerator(
        n_items=log.n_items,
        columns=[spec.to_json() for spec in specs],
        item_dimension=vectors.shape[1],
        first_user=int(log.user_ids.max()) + 1 if whole else None,
        time_range=days,
        seed=seed,
        **settings,
    )


def adam() -> keras.optimizers.Optimizer:
    """The optimizer of both sides where none is given."""
    return keras.optimizers.Adam(5e-4, beta_1=0.5, beta_2=0.9)
