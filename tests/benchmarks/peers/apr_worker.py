"""The APR authors' program (hexiangnan/adversarial_personalized_ranking) on TensorFlow 1.15.

It is not part of this project. TFADVREC_APR_PROGRAM names a folder with its `AMF.py` and
`Dataset.py`, made fit for Python 3 with `2to3`. An epoch is its `shuffle`, which draws negatives
in a pool of processes, and its `training_batch`; both seconds are told.
"""

import os
import resource
import sys
import tempfile
import time
from argparse import Namespace

import numpy as np
from protocol import System, serve, variant

PROGRAM = os.environ.get("TFADVREC_APR_PROGRAM")
if not PROGRAM:
    sys.exit("missing: TFADVREC_APR_PROGRAM names no folder with the authors' program")
sys.path.insert(0, PROGRAM)

import AMF  # noqa: E402
import tensorflow as tf  # noqa: E402
from Dataset import Dataset  # noqa: E402

AMF.range = lambda *numbers: list(range(*numbers))  # as in Python 2: it shuffles a range


class Authors(System):
    """Their matrix factorisation, plain and with the adversary from the first epoch."""

    name = "apr-authors"

    def version(self):
        return "TensorFlow " + tf.__version__

    def variants(self):
        return [
            {**variant(name, "adagrad", 0.05, "bpr", 512), "adversarial": adversarial}
            for name, adversarial in (("bpr-512", 0), ("apr-512", 1))
        ]

    def prepare(self, variant):
        self.variant = variant
        self.dataset = self._dataset()
        settings = Namespace(
            embed_size=variant["dimension"],
            lr=variant["learning_rate"],
            reg=0.0,
            dns=variant["negatives"],
            adv="grad",
            eps=0.5,
            adver=variant["adversarial"],
            reg_adv=1.0,
            epochs=1,
        )
        tf.reset_default_graph()
        self.model = AMF.MF(self.dataset.num_users, self.dataset.num_items, settings)
        self.model.build_graph()
        config = tf.ConfigProto(
            intra_op_parallelism_threads=self.threads, inter_op_parallelism_threads=self.threads
        )
        self.session = tf.Session(config=config)
        self.session.run(tf.global_variables_initializer())
        self.samples = AMF.sampling(self.dataset)

    def epoch(self, fraction):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        started, cpu = time.perf_counter(), time.process_time()
        batches = AMF.shuffle(self.samples, self.variant["batch"], self.dataset, self.model)
        sampling = time.perf_counter() - started
        AMF.training_batch(self.model, self.session, batches, self.variant["adversarial"])
        seconds, own = time.perf_counter() - started, time.process_time() - cpu
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        pool = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
        return {
            "seconds": seconds,
            "sampling_seconds": sampling,
            "cpu_seconds": own + pool,
            "fraction": 1.0,
        }

    def evaluate(self):
        return {"none": "not measured"}

    def factors(self):
        return tuple(self.session.run([self.model.embedding_P, self.model.embedding_Q]))

    def _dataset(self):
        """Reads the log by their reader, from files as they want them."""
        order = np.lexsort((self.log["train_item"], self.log["train_user"]))
        rows = np.stack([self.log["train_user"][order], self.log["train_item"][order]], axis=1)
        missing = np.setdiff1d(np.arange(self.n_users), rows[:, 0])
        if len(missing):
            raise ValueError("their reader needs an interaction of every user")
        last = np.array([[self.n_users - 1, self.n_items - 1]])
        test = np.zeros((self.n_users, 2), int)
        test[:, 0] = np.arange(self.n_users)
        test[self.log["test_user"], 1] = self.log["test_item"]
        with tempfile.TemporaryDirectory(prefix="benchmark-apr-") as room:
            base = os.path.join(room, "log")
            ones = np.ones((len(rows), 1), int)
            np.savetxt(base + ".train.rating", np.hstack([rows, ones]), "%d", "\t")
            with open(base + ".train.rating", "a") as file:  # a rating of 0 sizes the matrix
                file.write("%d\t%d\t0\n" % tuple(last[0]))  # noqa: UP031
            np.savetxt(base + ".test.rating", test, "%d", "\t")
            np.savetxt(base + ".test.negative", test[:, :1], "%d", "\t")
            return Dataset(base)


if __name__ == "__main__":
    serve(Authors)
