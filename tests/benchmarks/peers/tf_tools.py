"""What the workers on TensorFlow share: threads, a plain input pipeline, an honest warm-up."""

import time

import numpy as np
import tensorflow as tf
from protocol import System


class TensorFlowSystem(System):
    """A Keras `model` with embeddings `user` and `item`, trained by `fit` on `data`."""

    def __init__(self, log, threads):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        super().__init__(log, threads)

    def epoch(self, fraction):
        steps = int(self.data.cardinality())
        wanted = max(1, round(steps * fraction))
        self.model.fit(self.data.take(wanted), epochs=1, verbose=0)
        return {"fraction": wanted / steps}

    def factors(self):
        return self.model.user.embeddings.numpy(), self.model.item.embeddings.numpy()

    def top_10(self, search):
        """Times `search(user rows)`, in batches of 512, over the test users."""
        users = np.unique(self.log["test_user"]).astype("int32")
        started = time.perf_counter()
        for first in range(0, len(users), 512):
            search(tf.constant(users[first : first + 512]))
        return self.evaluated(started, "top 10 only, seen items not taken out")


def pipeline(log, batch, lay_out):
    """The pipeline of the tutorials: shuffle elements, batch, map, prefetch.

    Args:
        log: The log's arrays.
        batch: Interactions in a batch; the incomplete one is dropped.
        lay_out: `(user, item) -> (inputs, labels)`.
    """
    user, item = log["train_user"].astype("int32"), log["train_item"].astype("int32")
    data = tf.data.Dataset.from_tensor_slices((user, item)).shuffle(len(user))
    data = data.batch(batch, drop_remainder=True)
    return data.map(lay_out, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def warm_up(model, data, variables):
    """Traces and compiles on two batches, then puts all values back."""
    kept = [variable.numpy() for variable in variables]
    model.fit(data.take(2), epochs=1, verbose=0)
    for variable, value in zip(variables, kept):  # noqa: B905
        variable.assign(value)
