"""Logs whose right answers are known, for the tests of synthetic data."""

import numpy as np

from tfadvrec.data import Interactions, synthetic
from tfadvrec.synthesis.shared_items import of_users


def two_tastes(
    n_users: int = 200, n_items: int = 60, length: int = 8, *, seed: int = 0
) -> Interactions:
    """Even users take even items, odd users odd ones, uniformly: all there is to learn."""
    rng = np.random.default_rng(seed)
    item = np.stack(
        [rng.permutation(n_items // 2)[:length] * 2 + user % 2 for user in range(n_users)]
    )
    return Interactions(
        user=np.repeat(np.arange(n_users), length).astype(np.int32),
        item=item.reshape(-1).astype(np.int32),
        user_ids=np.arange(n_users) + 1000,
        item_ids=np.arange(n_items),
        name="two tastes",
        real=False,
    )


def people(seed: int = 0) -> tuple[Interactions, Interactions]:
    """300 members and 300 non-members of one population."""
    log = synthetic(600, 300, n_interactions=15_000, seed=seed)
    return of_users(log, np.arange(300)), of_users(log, np.arange(300, 600))
