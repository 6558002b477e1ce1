"""TensorFlow Recommenders: the retrieval task, an in-batch softmax, on Keras 2."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras
from protocol import serve, variant
from tf_tools import TensorFlowSystem, pipeline, warm_up


class Retrieval(tfrs.Model):
    """Two embeddings and the task, as its tutorial writes them."""

    def __init__(self, n_users, n_items, dimension):
        super().__init__()
        self.user = keras.layers.Embedding(n_users, dimension)
        self.item = keras.layers.Embedding(n_items, dimension)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features, training=False):
        user, item = self.user(features["user_id"]), self.item(features["item_id"])
        ids = features["item_id"]
        return self.task(user, item, candidate_ids=ids, compute_metrics=not training)


class Tfrs(TensorFlowSystem):
    """Batches of 512, 2,048 and 8,192; the softmax is quadratic in them."""

    name = "tfrs"

    def version(self):
        return "%s (TensorFlow %s)" % (tfrs.__version__.lstrip("v"), tf.__version__)  # noqa: UP031

    def variants(self):
        return [
            variant(
                "retrieval-%d" % batch,  # noqa: UP031
                "adagrad",
                0.1,
                "in-batch softmax",
                batch,
                negatives="in batch",
            )
            for batch in (512, 2048, 8192)
        ]

    def prepare(self, variant):
        keras.utils.set_random_seed(0)
        self.data = pipeline(self.log, variant["batch"], _in_batch)
        self.model = Retrieval(self.n_users, self.n_items, variant["dimension"])
        self.model.user(tf.constant([0]))
        self.model.item(tf.constant([0]))
        self.model.compile(optimizer=keras.optimizers.Adagrad(variant["learning_rate"]))
        self.model.optimizer.build(self.model.trainable_variables)
        optimizer = self.model.optimizer.variables
        variables = optimizer() if callable(optimizer) else optimizer
        warm_up(self.model, self.data, [*self.model.trainable_variables, *variables])

    def evaluate(self):
        search = tfrs.layers.factorized_top_k.BruteForce(self.model.user, k=10)
        search.index(self.model.item.embeddings)
        return self.top_10(search)


def _in_batch(user, item):
    return {"user_id": user, "item_id": item}


if __name__ == "__main__":
    serve(Tfrs)
