"""Plain Keras 3 on TensorFlow: a BPR matrix factorisation through `fit`, as tutorials write it."""

import keras
import tensorflow as tf
from keras import ops
from protocol import serve, variant
from tf_tools import TensorFlowSystem, pipeline, warm_up


class Factorization(keras.Model):
    """Two embeddings and an inner product."""

    def __init__(self, n_users, n_items, dimension):
        super().__init__()
        self.user = keras.layers.Embedding(n_users, dimension, name="user")
        self.item = keras.layers.Embedding(n_items, dimension, name="item")
        self.user.build(())
        self.item.build(())
        self.built = True

    def call(self, inputs):
        user, item = self.user(inputs["user_id"]), self.item(inputs["item_id"])
        return ops.sum(user[:, None, :] * item, axis=-1)


def bpr(labels, scores):
    """Softplus of the negative's lead; Keras averages it over the batch."""
    return ops.softplus(scores[:, 1] - scores[:, 0])


class Keras(TensorFlowSystem):
    """Uniform negatives, drawn in the pipeline."""

    name = "keras"

    def version(self):
        return "%s (TensorFlow %s)" % (keras.__version__, tf.__version__)  # noqa: UP031

    def variants(self):
        return [variant("bpr-512", "adam", 0.001, "bpr, mean", 512)]

    def prepare(self, variant):
        keras.utils.set_random_seed(0)
        self.data = pipeline(self.log, variant["batch"], self._lay_out)
        self.model = self.make(variant)
        self.model.optimizer.build(self.model.trainable_variables)
        warm_up(self.model, self.data, self.model.variables + self.model.optimizer.variables)

    def make(self, variant):
        """A compiled model."""
        model = Factorization(self.n_users, self.n_items, variant["dimension"])
        model.compile(keras.optimizers.Adam(variant["learning_rate"]), loss=bpr)
        return model

    def evaluate(self):
        return {"none": "it has no ranking evaluation over a catalogue"}

    def _lay_out(self, user, item):
        negative = tf.random.uniform(tf.shape(item), maxval=self.n_items, dtype=tf.int32)
        inputs = {"user_id": user, "item_id": tf.stack([item, negative], axis=1)}
        return inputs, tf.stack([tf.ones_like(item), tf.zeros_like(item)], axis=1)


if __name__ == "__main__":
    serve(Keras)
