"""Lists against an independent implementation: TensorFlow Recommenders' brute-force index.

TensorFlow Recommenders is Keras 2 and refuses to load in this process, so it runs in one of its
own, with Keras 2 chosen before anything is imported.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tfadvrec import MatrixFactorization
from tfadvrec.data import Interactions

CHILD = """
import sys, numpy as np, tensorflow as tf
import tensorflow_recommenders as tfrs
given = np.load(sys.argv[1])
index = tfrs.layers.factorized_top_k.BruteForce(k=int(given["k"]))
index.index(tf.constant(given["items"]), tf.constant(given["ids"]))
scores, ids = index.query_with_exclusions(tf.constant(given["users"]), given["excluded"])
np.savez(sys.argv[2], scores=scores.numpy(), ids=ids.numpy())
"""


@pytest.mark.skipif(
    not importlib.util.find_spec("tensorflow_recommenders")
    or not importlib.util.find_spec("tf_keras"),
    reason="NOT TESTED against TensorFlow Recommenders: it or tf_keras is not installed",
)
@pytest.mark.parametrize("item_bias", [False, True])
def test_recommend_gives_what_tfrs_gives(tmp_path, item_bias):
    random = np.random.default_rng(0)
    model = MatrixFactorization(
        n_users=64, n_items=200, dimension=16, item_bias=item_bias, initial_scale=1.0, seed=0
    )
    if item_bias:
        model.bias.assign(random.normal(size=200))
    excluded = np.stack([random.choice(200, 30, replace=False) for _ in range(64)])
    log = Interactions(
        user=np.repeat(np.arange(64), 30).astype(np.int32),
        item=excluded.ravel().astype(np.int32),
        user_ids=np.arange(64),
        item_ids=np.arange(1000, 1200),
    )
    items, scores = model.bind(log).recommend(log.user_ids, 20, exclude=log)
    np.savez(
        tmp_path / "in.npz",
        k=20,
        users=np.asarray(model.embed_users(np.arange(64))),
        items=np.asarray(model.embed_items(np.arange(200))),
        ids=log.item_ids,
        excluded=log.item_ids[excluded],
    )
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")],
        env={**environment, "TF_USE_LEGACY_KERAS": "1"},
        check=True,
        capture_output=True,
    )
    theirs = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(items, theirs["ids"])
    np.testing.assert_allclose(scores, theirs["scores"], rtol=1e-5, atol=1e-5)
