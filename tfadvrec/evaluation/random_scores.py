"""A recommender that knows nothing: the floor of every ranking metric."""

import numpy as np


class Random:
    """Scores every item at random, the same way each time for the same user and seed.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        seed: Seed of the scores.

    Example:

    >>> model = Random(n_users=2, n_items=5, seed=0)
    >>> model.score_catalogue(np.array([1])).shape
    (1, 5)
    """

    name = "random"

    def __init__(self, *, n_users: int, n_items: int, seed: int = 0):
        self.n_users, self.n_items, self.seed = n_users, n_items, seed

    def score_catalogue(self, users: np.ndarray) -> np.ndarray:
        """Random scores, float32 `(users, items)`."""
        rows = [
            np.random.default_rng([self.seed, int(user)]).random(self.n_items, dtype=np.float32)
            for user in users
        ]
        return np.stack(rows) if rows else np.empty((0, self.n_items), np.float32)
