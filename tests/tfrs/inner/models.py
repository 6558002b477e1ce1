"""TFRS models as its tutorials write them, and a log that they can learn."""

import numpy as np
import tensorflow as tf

from tfadvrec.tfrs.loading import tf_keras, tfrs

USERS = [f"u{i}" for i in range(8)]
ITEMS = [f"i{i}" for i in range(12)]


def log(n=32, batch=16):
    """Users like items of their own parity, and rate them 4; repeated users and items."""
    random = np.random.default_rng(0)
    user = random.integers(0, len(USERS), n)
    item = random.integers(0, len(ITEMS) // 2, n) * 2 + user % 2
    columns = {
        "user": np.array(USERS)[user],
        "item": np.array(ITEMS)[item],
        "rating": (4 + random.normal(0, 0.5, n)).astype(np.float32),
    }
    return tf.data.Dataset.from_tensor_slices(columns).batch(batch)


def tower(ids, name, *, seed, width=8, layers=(), regularization=0.0):
    """A `StringLookup`, an `Embedding` and whatever follows."""
    regularizer = tf_keras.regularizers.L2(regularization) if regularization else None
    table = tf_keras.layers.Embedding(
        len(ids) + 1,
        width,
        embeddings_initializer=tf_keras.initializers.RandomNormal(stddev=0.4, seed=seed),
        embeddings_regularizer=regularizer,
        name=name,
    )
    lookup = tf_keras.layers.StringLookup(vocabulary=ids, mask_token=None)
    return tf_keras.Sequential([lookup, table, *layers])


class Retrieval(tfrs.Model):
    """Two towers and the in-batch softmax."""

    def __init__(self, *, catalogue=False, layers=(), regularization=0.0):
        super().__init__()
        options = {"regularization": regularization}
        self.user_model = tower(USERS, "user_table", seed=1, layers=layers, **options)
        self.item_model = tower(ITEMS, "item_table", seed=2, **options)
        metrics = None
        if catalogue:
            items = tf.data.Dataset.from_tensor_slices(ITEMS).batch(5).map(self.item_model)
            metrics = tfrs.metrics.FactorizedTopK(items, ks=(1, 3))
        self.task = tfrs.tasks.Retrieval(
            metrics=metrics,
            batch_metrics=[tf_keras.metrics.TopKCategoricalAccuracy(2, name="top_2")],
            loss_metrics=[tf_keras.metrics.Mean(name="mean_loss")],
        )

    def compute_loss(self, features, training=False):
        users = self.user_model(features["user"], training=training)
        items = self.item_model(features["item"], training=training)
        return self.task(users, items)


class Rating(tfrs.Model):
    """Rating prediction with a network over both vectors."""

    def __init__(self, *, layers=()):
        super().__init__()
        self.user_model = tower(USERS, "user_table", seed=1)
        self.item_model = tower(ITEMS, "item_table", seed=2)
        start = tf_keras.initializers.GlorotUniform
        hidden = tf_keras.layers.Dense(8, activation="relu", kernel_initializer=start(seed=3))
        out = tf_keras.layers.Dense(1, kernel_initializer=start(seed=4))
        self.network = tf_keras.Sequential([*layers, hidden, out])
        self.task = tfrs.tasks.Ranking(
            loss=tf_keras.losses.MeanSquaredError(),
            metrics=[tf_keras.metrics.RootMeanSquaredError(name="rmse")],
        )

    def call(self, features):
        vectors = [self.user_model(features["user"]), self.item_model(features["item"])]
        return self.network(tf.concat(vectors, axis=1))

    def compute_loss(self, features, training=False):
        return self.task(features["rating"][:, None], self(features, training=training))


class Both(Rating):
    """Multi-task: retrieval and ratings on the same vectors."""

    def __init__(self):
        super().__init__()
        self.retrieval = tfrs.tasks.Retrieval()

    def compute_loss(self, features, training=False):
        found = self.retrieval(self.user_model(features["user"]), self.item_model(features["item"]))
        return 0.5 * found + super().compute_loss(features, training)


def tables(model):
    """The two tables of a model that has been called."""
    return [tower.layers[1].embeddings for tower in (model.user_model, model.item_model)]
