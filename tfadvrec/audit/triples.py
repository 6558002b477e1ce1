"""What the attack's gradient is taken over: every training interaction with one negative."""

from typing import Any

import numpy as np

BATCH = 8_192


def training_triples(
    train: Any, *, seed: int = 0, batch_size: int = BATCH
) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """All training interactions, each with one item that its user does not have.

    Negatives are uniform outside the user's training items (a user who has every item gets any
    item). The order is shuffled; all batches have one shape, the last is padded with label -1,
    which the losses of this package ignore.

    Args:
        train: The training `Interactions`.
        seed: Seed of negatives and order.
        batch_size: Largest batch.

    Returns:
        Batches of `({"user_id": int32 (b,), "item_id": int32 (b, 2)}, float32 (b, 2))`.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(train))
    user, positive = train.user[order].astype(np.int64), train.item[order]
    negative = other_items(train, user, rng)
    size = -(-max(len(order), 1) // max(1, -(-len(order) // batch_size)))
    padding = -len(order) % size
    items = np.pad(np.stack([positive, negative], axis=1), ((0, padding), (0, 0)))
    labels = np.pad(
        np.tile(np.float32([1, 0]), (len(order), 1)), ((0, padding), (0, 0)), constant_values=-1
    )
    user = np.pad(user, (0, padding))
    return [
        (
            {
                "user_id": user[start : start + size].astype(np.int32),
                "item_id": items[start : start + size].astype(np.int32),
            },
            labels[start : start + size].astype(np.float32),
        )
        for start in range(0, len(user), size)
    ]


def other_items(train: Any, user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each entry of `user` `(n,)` a uniform item that the user does not have, int32 `(n,)`."""
    taken = np.unique(train.user.astype(np.int64) * train.n_items + train.item)
    drawn = rng.integers(0, train.n_items, len(user))
    full = np.bincount(taken // train.n_items, minlength=train.n_users) >= train.n_items
    left = np.flatnonzero(~full[user])
    while len(left):
        key = user[left] * train.n_items + drawn[left]
        place = np.minimum(np.searchsorted(taken, key), len(taken) - 1)
        left = left[taken[place] == key]
        drawn[left] = rng.integers(0, train.n_items, len(left))
    return drawn.astype(np.int32)
