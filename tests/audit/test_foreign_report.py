"""The robustness report on Keras models that know nothing of this package."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tfadvrec.audit import robustness_report
from tfadvrec.evaluation import evaluate
from tfadvrec.models import KerasRecommender


def functional(users, items):
    """Products of a user's and an item's vector."""
    names = ("user", "item")
    user, item = (keras.Input((), dtype="int32", name=name) for name in names)
    tables = [layers.Embedding(*users.shape)(user), layers.Embedding(*items.shape)(item)]
    model = keras.Model({"user": user, "item": item}, layers.Dot(1)(tables))
    model.set_weights([users, items])
    return model, {"inputs": lambda user, item: {"user": user, "item": item}}


class TwoTower(keras.Model):
    """The same as a subclass, with a name of the user in and several outputs."""

    def __init__(self, users, items):
        super().__init__()
        self.rows = layers.StringLookup(
            vocabulary=[str(row) for row in range(len(users))], num_oov_indices=0
        )
        self.users = layers.Embedding(*users.shape)
        self.items = layers.Embedding(*items.shape)

    def call(self, inputs):
        vectors = self.users(self.rows(inputs["name"])), self.items(inputs["item"])
        return {"score": ops.sum(vectors[0] * vectors[1], axis=-1), "user": vectors[0]}


def subclassed(users, items):
    model = TwoTower(users, items)
    names = tf.constant([str(row) for row in range(len(users))])
    model({"name": names[:2], "item": tf.constant([0, 1])})
    model.set_weights([users, items])
    inputs = lambda user, item: {"name": tf.gather(names, user), "item": item}  # noqa: E731
    return model, {"inputs": inputs, "output": "score"}


def sequential(users, items, history):
    """A history in, scores of all items out; the history has the user's items, padded."""
    model = keras.Sequential(
        [
            keras.Input((history.shape[1],), dtype="int32"),
            layers.Embedding(len(items) + 1, items.shape[1], mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(len(items), use_bias=False),
        ]
    )
    model.set_weights([np.concatenate([0 * items[:1], items]), items.T])
    return model, {"inputs": lambda user: tf.gather(history, user)}


class Scores:
    """NumPy's scores."""

    def __init__(self, values):
        self.values = values

    def score_catalogue(self, users):
        return self.values[users]


@pytest.mark.parametrize("kind", ["functional", "sequential", "subclassed"])
def test_a_foreign_model_gets_a_report(kind, cases):
    train, test = cases.world()
    known = cases.factorised(train)
    users, items = (
        table.embeddings.numpy() for table in (known.user_embedding, known.item_embedding)
    )
    scores = users @ items.T
    if kind == "sequential":
        history = np.stack([train.item[train.user == row] + 1 for row in range(train.n_users)])
        model, options = sequential(users, items, history.astype(np.int32))
        scores = items[history - 1].mean(axis=1) @ items.T
    else:
        model, options = {"functional": functional, "subclassed": subclassed}[kind](users, items)
    before = model.get_weights()
    adapted = KerasRecommender(model, train.n_users, train.n_items, **options)
    report = robustness_report(
        adapted,
        train,
        test,
        baselines={},
        sections=("embedding",),
        epsilons=(0.3, 1.0),
        steps=3,
        draws=2,
        resamples=50,
    )
    record = report.to_dict()
    expected = evaluate(Scores(scores), train, test).means
    assert record["clean"]["model"]["ndcg@10"]["value"] == pytest.approx(expected["ndcg@10"])
    ndcg = {
        (point["attack"], point["relative"]): point["metrics"]["ndcg@10"]["value"]
        for point in record["curves"]["model"]
    }
    assert ndcg["projected gradient", 1.0] < ndcg["random noise", 1.0] < expected["ndcg@10"]
    assert ndcg["projected gradient", 1.0] < 0.7 * expected["ndcg@10"]
    failed = {line["check"] for line in record["checks"] if line["verdict"] == "FAIL"}
    assert failed <= {"Converged"}  # three steps are few
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert record["models"]["model"]["config"]["model"]["class"] == type(model).__name__
