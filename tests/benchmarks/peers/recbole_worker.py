"""RecBole: BPR in PyTorch, Adam."""

import atexit
import os
import shutil
import sys
import tempfile
import time

import numpy as np
import numpy_names  # noqa: F401 (before RecBole)
import recbole
import torch
from protocol import System, serve, variant
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

HEADER = "user_id:token\titem_id:token"


class RecBole(System):
    """One call of the trainer's epoch at a time; files of the log as RecBole wants them."""

    name = "recbole"

    def version(self):
        return recbole.__version__

    def variants(self):
        return [
            variant("bpr-%d" % batch, "adam", 0.001, "bpr", batch)  # noqa: UP031
            for batch in (512, 4096)
        ]

    def prepare(self, variant):
        torch.set_num_threads(self.threads)
        sys.argv[1:] = []  # RecBole reads the command line, too
        self._write_log()
        config = Config(model="BPR", dataset="log", config_dict=self._settings(variant))
        init_seed(0, True)
        dataset = create_dataset(config)
        self.train, _, self.test = data_preparation(config, dataset)
        self.model = get_model("BPR")(config, self.train.dataset).to("cpu")
        self.trainer = Trainer(config, self.model)
        self.rows = [
            np.array([dataset.field2token_id[field][str(row)] for row in range(count)])
            for field, count in (("user_id", self.n_users), ("item_id", self.n_items))
        ]
        self.epochs = 0

    def epoch(self, fraction):
        self.trainer._train_epoch(self.train, self.epochs, show_progress=False)
        self.epochs += 1
        return {"fraction": 1.0}

    def evaluate(self):
        self.trainer.eval_collector.data_collect(self.train)
        started = time.perf_counter()
        self.trainer.evaluate(self.test, load_best_model=False, show_progress=False)
        return {
            "seconds": time.perf_counter() - started,
            "users": len(np.unique(self.log["test_user"])),
            "computes": "ndcg@10",
        }

    def factors(self):
        user = self.model.user_embedding.weight.detach().numpy()
        item = self.model.item_embedding.weight.detach().numpy()
        return user[self.rows[0]], item[self.rows[1]]

    def _write_log(self):
        """Writes the log where RecBole reads it; an item nobody trained on is in no file of its.

        Rows that no interaction has would be unknown to RecBole: the validation file, which
        nothing reads, names each row once.
        """
        self.room = tempfile.mkdtemp(prefix="benchmark-recbole-")
        atexit.register(shutil.rmtree, self.room, True)
        os.makedirs(os.path.join(self.room, "log"))
        os.chdir(self.room)
        span = np.arange(max(self.n_users, self.n_items))
        every = np.stack([span % self.n_users, span % self.n_items], axis=1)
        for part, rows in {
            "train": np.stack([self.log["train_user"], self.log["train_item"]], axis=1),
            "valid": every,
            "test": np.stack([self.log["test_user"], self.log["test_item"]], axis=1),
        }.items():
            path = os.path.join(self.room, "log", "log.%s.inter" % part)  # noqa: UP031
            np.savetxt(path, rows, fmt="%d", delimiter="\t", header=HEADER, comments="")

    def _settings(self, variant):
        return {
            "data_path": self.room,
            "checkpoint_dir": self.room,
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": ["user_id", "item_id"]},
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "embedding_size": variant["dimension"],
            "train_batch_size": variant["batch"],
            "eval_batch_size": 1024 * self.n_items,  # its default ranks one user at a time
            "learner": variant["optimizer"],
            "learning_rate": variant["learning_rate"],
            "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
            "metrics": ["NDCG"],
            "topk": [10],
            "valid_metric": "NDCG@10",
            "device": "cpu",
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
            "seed": 0,
        }


if __name__ == "__main__":
    serve(RecBole)
