"""The servable against the `BruteForce` layer of TensorFlow Recommenders."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.live_answers import packed

CHILD = Path(__file__).with_name("tfrs_child.py")
NEEDED = ("tensorflow_recommenders", "tf_keras")
ABSENT = [name for name in NEEDED if importlib.util.find_spec(name) is None]
USERS, ITEMS, K, EXCLUDE = 64, 500, 20, 30

pytestmark = pytest.mark.skipif(
    bool(ABSENT), reason=f"NOT TESTED against TensorFlow Recommenders: {ABSENT} not installed"
)


@pytest.fixture(scope="module")
def model(vectors):
    """Enough random vectors for `K + EXCLUDE` candidates: TFRS raises beyond the catalogue."""
    return vectors.random(n_users=USERS, n_items=ITEMS, seed=9)


@pytest.fixture(scope="module")
def exclude(model):
    """For each user some of the best, of the others, repetitions, unknown ids and padding."""
    rng = np.random.default_rng(3)
    order = np.argsort(-(model.users.numpy() @ model.items.numpy().T), axis=1)
    chosen = np.full((USERS + 1, EXCLUDE), "", object)
    for row in range(USERS):
        best = model.item_ids[order[row, : row % K]].tolist()
        others = rng.choice(model.item_ids, 5).tolist()
        chosen[row, : len(best) + 9] = [*best, *others, others[0], "unknown", others[1], ""]
    chosen[0], chosen[1] = "", model.item_ids[order[1, :EXCLUDE]]
    return chosen


@pytest.fixture(scope="module")
def theirs(model, exclude, tmp_path_factory):
    """The answers of TFRS; its last query is the mean user, who stands for unknown ones."""
    room = tmp_path_factory.mktemp("tfrs")
    users = model.users.numpy()
    np.savez(
        room / "in.npz",
        queries=np.concatenate([users, users.mean(axis=0, dtype=np.float64)[None]]).astype("f4"),
        items=model.items.numpy(),
        item_ids=model.item_ids.astype(str),
        exclude=exclude.astype(str),
        k=K,
    )
    quiet = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    env = {name: one for name, one in os.environ.items() if name != "KERAS_BACKEND"} | quiet
    done = subprocess.run(
        [sys.executable, str(CHILD), str(room / "in.npz"), str(room / "out.npz")],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(room / "out.npz"))


@pytest.fixture(scope="module")
def ours(model, saved, tmp_path_factory):
    """The saved servable."""
    options = {"k": K, "max_exclude": EXCLUDE, "signatures": ["recommend_excluding"]}
    return saved(model, tmp_path_factory.mktemp("ours"), **options)


def test_lists_are_those_of_tfrs(model, ours, theirs):
    users = [*model.user_ids.astype(str), "a stranger"]
    answer = ours.signatures["recommend"](user_id=tf.constant(users))
    agree("recommend", answer, theirs["ids"], theirs["scores"])


def test_lists_with_exclusions_are_those_of_tfrs(model, exclude, ours, theirs):
    users = [*model.user_ids.astype(str), "a stranger"]
    answer = ours.signatures["recommend_excluding"](
        user_id=tf.constant(users), exclude=tf.constant(exclude)
    )
    agree("recommend_excluding", answer, theirs["left_ids"], theirs["left_scores"])
    assert (theirs["left_ids"] != theirs["ids"]).any(axis=1).sum() > USERS // 2


def agree(signature, answer, ids, scores):
    """Ids must be equal outside ties, scores within the tolerance of the servables."""
    got = {
        "item_id": packed(np.char.decode(answer["item_id"].numpy().astype(bytes)).astype(object)),
        "score": packed(answer["score"].numpy()),
    }
    want = {"item_id": packed(ids.astype(object)), "score": packed(scores)}
    difference, problems = compare({"signature": signature, "inputs": {}, "outputs": want}, got)
    assert problems == []
    assert difference <= 1e-6
