"""implicit: BPR in C++, plain SGD on two threads."""

import time

import implicit
import numpy as np
import scipy.sparse as sparse
from implicit.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k
from protocol import System, serve, variant


class Implicit(System):
    """`fit` goes on from the factors that a model has, so one epoch is one `fit` of one pass."""

    name = "implicit"

    def version(self):
        return implicit.__version__

    def variants(self):
        return [variant("bpr", "sgd", 0.05, "bpr")]

    def prepare(self, variant):
        shape = (self.n_users, self.n_items)
        self.matrix = _matrix(self.log["train_user"], self.log["train_item"], shape)
        self.test = _matrix(self.log["test_user"], self.log["test_item"], shape)
        self.model = BayesianPersonalizedRanking(
            factors=variant["dimension"],
            learning_rate=variant["learning_rate"],
            iterations=1,
            num_threads=self.threads,
        )
        self.epochs = 0
        small = sparse.csr_matrix((np.ones(2, np.float32), ([0, 1], [0, 1])), shape=(2, 2))
        BayesianPersonalizedRanking(factors=4, iterations=1).fit(small, show_progress=False)

    def epoch(self, fraction):
        self.model.random_state = self.epochs  # or each epoch would draw the same pairs again
        self.epochs += 1
        self.model.fit(self.matrix, show_progress=False)
        return {"fraction": 1.0}

    def evaluate(self):
        started = time.perf_counter()
        ranking_metrics_at_k(
            self.model,
            self.matrix,
            self.test,
            K=10,
            show_progress=False,
            num_threads=self.threads,
        )
        return self.evaluated(started, "precision, map, ndcg, auc @10")

    def factors(self):
        return np.asarray(self.model.user_factors), np.asarray(self.model.item_factors)


def _matrix(user, item, shape):
    return sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)


if __name__ == "__main__":
    serve(Implicit)
