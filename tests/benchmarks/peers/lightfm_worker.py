"""LightFM: BPR and WARP in Cython with OpenMP, Adagrad."""

import time

import lightfm
import numpy as np
import scipy.sparse as sparse
from lightfm import LightFM
from lightfm.evaluation import precision_at_k
from protocol import System, serve, variant, with_bias


class Lightfm(System):
    """`fit_partial` goes on from where it was."""

    name = "lightfm"

    def version(self):
        return lightfm.__version__

    def variants(self):
        until = "until one violates, at most 10"
        return [
            variant("bpr", "adagrad", 0.05, "bpr"),
            variant("warp", "adagrad", 0.05, "warp", negatives=until),
        ]

    def prepare(self, variant):
        shape = (self.n_users, self.n_items)
        self.train = _matrix(self.log["train_user"], self.log["train_item"], shape)
        self.test = _matrix(self.log["test_user"], self.log["test_item"], shape)
        self.model = LightFM(
            no_components=variant["dimension"],
            loss=variant["loss"],
            learning_rate=variant["learning_rate"],
            random_state=0,
        )

    def epoch(self, fraction):
        self.model.fit_partial(self.train, epochs=1, num_threads=self.threads)
        return {"fraction": 1.0}

    def evaluate(self):
        started = time.perf_counter()
        precision_at_k(
            self.model,
            self.test.tocsr(),
            train_interactions=self.train.tocsr(),
            k=10,
            num_threads=self.threads,
        )
        return self.evaluated(started, "precision@10")

    def factors(self):
        model = self.model  # a user's bias changes no ranking
        return with_bias(model.user_embeddings, model.item_embeddings, model.item_biases)


def _matrix(user, item, shape):
    return sparse.coo_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)


if __name__ == "__main__":
    serve(Lightfm)
