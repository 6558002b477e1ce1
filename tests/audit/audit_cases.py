"""A small world with a known right answer: two groups of users, each with its own items."""

import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models import MatrixFactorization

USERS, ITEMS, WIDTH = 48, 30, 6


def world(seed=0):
    """Train and test logs: users like items of their own group, one of which is held out."""
    rng = np.random.default_rng(seed)
    user, item, held = [], [], []
    for u in range(USERS):
        liked = rng.permutation(np.arange(u % 2, ITEMS, 2))[:9]
        user += [u] * 8
        item += list(liked[:8])
        held.append(liked[8])
    ids = {"user_ids": np.arange(USERS), "item_ids": np.array([f"i{n}" for n in range(ITEMS)])}
    train = Interactions(user=user, item=item, name="two groups", real=False, **ids)
    return train, Interactions(user=np.arange(USERS), item=held, **ids)


def factorised(train, *, scale=1.0, noise=0.02, seed=0, name="model"):
    """A model that ranks the world well without being trained: the log's own factors."""
    left, strength, right = np.linalg.svd(train.csr().toarray(), full_matrices=False)
    root = np.sqrt(strength[:WIDTH])
    rng = np.random.default_rng(seed)
    model = MatrixFactorization(n_users=USERS, n_items=ITEMS, dimension=WIDTH, name=name)
    for table, value in (
        (model.user_embedding, left[:, :WIDTH] * root),
        (model.item_embedding, right[:WIDTH].T * root),
    ):
        moved = value + noise * rng.normal(size=value.shape)
        table.embeddings.assign(tf.constant(scale * moved, tf.float32))
    return model
