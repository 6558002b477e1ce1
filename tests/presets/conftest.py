"""A small registered model that depends on nothing of the models package."""

import keras
import numpy as np
import pytest
from keras import ops

from tfadvrec import presets


@presets.register
class ToyRanker(keras.Model):
    """Inner products of two tables, and a dense layer that has no rows."""

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 4,
        kind: str = "dot",
        hidden: tuple[int, ...] = (),
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.n_users, self.n_items, self.dimension = n_users, n_items, dimension
        self.kind, self.hidden, self.scale = kind, tuple(hidden), scale
        self.user_embedding = keras.layers.Embedding(n_users, dimension, name="user_embedding")
        self.item_embedding = keras.layers.Embedding(n_items, dimension, name="item_embedding")
        self.mix = keras.layers.Dense(dimension)
        for table in (self.user_embedding, self.item_embedding):
            table.build(())
        self.mix.build((None, dimension))
        self.feature_of_item = self.add_weight(
            shape=(n_items, 2), dtype="int32", initializer="zeros", trainable=False, name="feature"
        )
        self.user_ids = self.item_ids = self.matched = None
        self.built = True

    def call(self, inputs):
        users = self.mix(self.user_embedding(inputs["user_id"]))
        return ops.sum(users[:, None] * self.item_embedding(inputs["item_id"]), -1)

    def set_ids(self, user_ids, item_ids):
        self.user_ids, self.item_ids = user_ids, item_ids

    def row_weights(self):
        return {
            self.user_embedding.embeddings.path: ("user", 0),
            self.item_embedding.embeddings.path: ("item", 0),
            self.feature_of_item.path: ("item", 0),
        }

    def get_config(self):
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "kind": self.kind,
            "hidden": list(self.hidden),
            "scale": self.scale,
        }


@pytest.fixture(scope="session")
def toy_class():
    return ToyRanker


@pytest.fixture(scope="session")
def make_toy():
    def make():
        keras.utils.set_random_seed(0)
        model = ToyRanker(n_users=3, n_items=4)
        model.set_ids(np.array(["ann", "bob", "zoë"]), np.array([10, 20, 30, 40]))
        return model

    return make


@pytest.fixture
def toy_model(make_toy):
    return make_toy()
