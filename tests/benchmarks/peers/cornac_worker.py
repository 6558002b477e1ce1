"""cornac: BPR in Cython, plain SGD on two threads."""

import time

import cornac
import numpy as np
from cornac.data import Dataset
from cornac.eval_methods.base_method import ranking_eval
from cornac.metrics import NDCG
from cornac.models import BPR
from protocol import System, serve, variant, with_bias


class Cornac(System):
    """`fit` goes on from the factors that a model has, so one epoch is one `fit` of one pass."""

    name = "cornac"

    def version(self):
        return cornac.__version__

    def variants(self):
        return [variant("bpr", "sgd", 0.05, "bpr")]

    def prepare(self, variant):
        users = {row: row for row in range(self.n_users)}
        items = {row: row for row in range(self.n_items)}
        self.train = _dataset(users, items, self.log["train_user"], self.log["train_item"])
        self.test = _dataset(users, items, self.log["test_user"], self.log["test_item"])
        self.model = BPR(
            k=variant["dimension"],
            max_iter=1,
            learning_rate=variant["learning_rate"],
            lambda_reg=0.01,
            num_threads=self.threads,
        )
        self.train.matrix  # noqa: B018 (built once and kept)

    def epoch(self, fraction):
        self.model.fit(self.train)
        return {"fraction": 1.0}

    def evaluate(self):
        started = time.perf_counter()
        ranking_eval(
            self.model,
            metrics=[NDCG(k=10)],
            train_set=self.train,
            test_set=self.test,
            verbose=False,
        )
        return self.evaluated(started, "ndcg@10")

    def factors(self):
        model = self.model
        return with_bias(
            np.asarray(model.u_factors), np.asarray(model.i_factors), np.asarray(model.i_biases)
        )


def _dataset(users, items, user, item):
    columns = (user.astype(np.int64), item.astype(np.int64), np.ones(len(user)))
    return Dataset(len(users), len(items), users, items, columns, seed=0)


if __name__ == "__main__":
    serve(Cornac)
