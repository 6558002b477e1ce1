"""keras-rs: pairwise logistic loss, and two towers with the in-batch softmax."""

import keras
import keras_rs
import tensorflow as tf
from keras import ops
from keras_worker import Factorization, Keras
from protocol import serve, variant
from tf_tools import pipeline, warm_up


class Towers(Factorization):
    """Scores every item of the batch for every user of it; accidental hits are taken out."""

    def __init__(self, n_users, n_items, dimension):
        super().__init__(n_users, n_items, dimension)
        self.hits = keras_rs.layers.RemoveAccidentalHits()

    def call(self, inputs):
        user, item = self.user(inputs["user_id"]), self.item(inputs["item_id"])
        scores = ops.matmul(user, ops.transpose(item))
        own = ops.eye(ops.shape(scores)[0], dtype=scores.dtype)
        return self.hits(scores, own, inputs["item_id"])


class KerasRS(Keras):
    """Its losses and layers in a Keras model, its brute force for the top of the catalogue."""

    name = "keras-rs"

    def version(self):
        return "%s (Keras %s)" % (keras_rs.__version__, keras.__version__)  # noqa: UP031

    def variants(self):
        return [
            variant("pairwise-512", "adam", 0.001, "pairwise logistic", 512),
            variant("softmax-512", "adagrad", 0.1, "in-batch softmax", 512, negatives="in batch"),
        ]

    def prepare(self, variant):
        if variant["name"].startswith("pairwise"):
            super().prepare(variant)
            return
        keras.utils.set_random_seed(0)
        self.data = pipeline(self.log, variant["batch"], _in_batch)
        self.model = Towers(self.n_users, self.n_items, variant["dimension"])
        self.model.compile(
            keras.optimizers.Adagrad(variant["learning_rate"]),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum"),
        )
        self.model.optimizer.build(self.model.trainable_variables)
        warm_up(self.model, self.data, self.model.variables + self.model.optimizer.variables)

    def make(self, variant):
        model = Factorization(self.n_users, self.n_items, variant["dimension"])
        model.compile(
            keras.optimizers.Adam(variant["learning_rate"]),
            loss=keras_rs.losses.PairwiseLogisticLoss(),
        )
        return model

    def evaluate(self):
        search = keras_rs.layers.BruteForceRetrieval(
            candidate_embeddings=self.model.item.embeddings, k=10
        )
        return self.top_10(lambda users: search(self.model.user(users)))


def _in_batch(user, item):
    return {"user_id": user, "item_id": item}, tf.eye(tf.shape(user)[0])


if __name__ == "__main__":
    serve(KerasRS)
