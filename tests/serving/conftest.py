"""Small models with known answers, and servables of them that are made once."""

import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.serving import ExportSpec, export, planning, releasing


class Vectors:
    """A factorised model that is no Keras model: only what the export asks for."""

    def __init__(self, users, items, *, user_ids=None, item_ids=None):
        self.users = tf.Variable(np.asarray(users, np.float32))
        self.items = tf.Variable(np.asarray(items, np.float32))
        self.user_ids, self.item_ids = user_ids, item_ids

    def embed_users(self, rows):
        return tf.gather(self.users, rows)

    def embed_items(self, rows):
        return tf.gather(self.items, rows)

    @classmethod
    def random(cls, n_users=7, n_items=23, *, seed=0, prefix="item"):
        rng = np.random.default_rng(seed)
        return cls(
            rng.normal(size=(n_users, 4)),
            rng.normal(size=(n_items, 4)),
            user_ids=np.arange(100, 100 + n_users),
            item_ids=np.array([f"{prefix} {row} é" for row in range(n_items)]),
        )


class Scores:
    """A model with `score_catalogue` only; `tamper` is what its graph does to the scores."""

    def __init__(self, table, tamper=tf.identity):
        self.table = tf.Variable(np.asarray(table, np.float32))
        self.tamper = tamper
        self.user_ids = np.array([f"u{row}" for row in range(len(table))])
        self.item_ids = np.array([f"i{row}" for row in range(len(table[0]))])

    def score_catalogue(self, rows):
        return self.tamper(tf.gather(self.table, rows))


def save_only(model, folder, **options):
    """Writes the version folder without verification, and loads it here."""
    plan = planning.make_plan(model, ExportSpec(**options))
    releasing.save(plan, folder, number=1, name="rec")
    return tf.saved_model.load(str(folder))


@pytest.fixture(scope="session")
def vectors():
    """The class of factorised stand-ins."""
    return Vectors


@pytest.fixture(scope="session")
def scores():
    """The class of stand-ins without vectors."""
    return Scores


@pytest.fixture(scope="session")
def saved():
    """Saves a model unverified: `saved(model, folder, **options)` gives the loaded servable."""
    return save_only


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A factorised model and the report of its published version 1."""
    base = tmp_path_factory.mktemp("serving") / "deep" / "rec"
    rng = np.random.default_rng(1)
    model = tar.MatrixFactorization(n_users=7, n_items=23, dimension=3, item_bias=True, seed=0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.set_ids(np.arange(100, 107), np.array([f"item {row} é" for row in range(23)]))
    return model, export(model, base, k=10, max_exclude=4)
