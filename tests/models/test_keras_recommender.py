"""Foreign Keras models as recommenders: against NumPy, in chunks, in a graph, trained through."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tfadvrec import AdversarialTraining, FastGradient, evaluate
from tfadvrec.adversary import served_tables
from tfadvrec.data import Interactions, pairs
from tfadvrec.evaluation import top_lists
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import KerasRecommender

USERS, ITEMS = 20, 20
NAMES = [f"u{row:02d}" for row in range(USERS)]
AGE = np.random.default_rng(0).normal(size=(USERS, 1)).astype(np.float32)
HISTORY = np.random.default_rng(1).integers(1, ITEMS, (USERS, 4)).astype(np.int32)
HISTORY[::3, 2:] = 0  # padding


def functional():
    """Two inputs, text and integers; a number of the user beside them."""
    user = keras.Input((), dtype="string", name="user")
    age, item = keras.Input((1,), name="age"), keras.Input((), dtype="int32", name="item")
    rows = layers.StringLookup(vocabulary=NAMES, num_oov_indices=0)(user)
    fields = [layers.Embedding(USERS, 4)(rows), age, layers.Embedding(ITEMS, 4)(item)]
    hidden = layers.Dense(6, activation="relu")(layers.Concatenate()(fields))
    score = layers.Dense(1)(hidden)
    inputs = {"user": user, "age": age, "item": item}
    return keras.Model(inputs, {"click": layers.Activation("sigmoid")(score), "score": score})


def of_functional(users, items):
    return {"user": tf.gather(NAMES, users), "age": tf.gather(AGE, users), "item": items}


def scores_of_functional(model):
    users, items, first, first_bias, last, last_bias = (w.numpy() for w in model.weights)
    table = np.array(
        [[np.concatenate([u, age, i]) for i in items] for u, age in zip(users, AGE, strict=True)]
    )
    return (np.maximum(table @ first + first_bias, 0) @ last + last_bias)[..., 0]


def sequential():
    """A history in, a score of every item out."""
    table = layers.Embedding(ITEMS, 4, mask_zero=True)
    return keras.Sequential([table, layers.GlobalAveragePooling1D(), layers.Dense(ITEMS)])


def of_sequential(users):
    return tf.gather(HISTORY, users)


def scores_of_sequential(model):
    table, kernel, bias = (w.numpy() for w in model.weights)
    return np.array([table[row[row > 0]].mean(axis=0) for row in HISTORY]) @ kernel + bias


class TwoTower(keras.Model):
    """A subclass with a tower each and a tuple of outputs; half precision at its end."""

    def __init__(self):
        super().__init__()
        self.users, self.items = layers.Embedding(USERS, 4), layers.Embedding(ITEMS, 4)
        self.tower, self.drop = layers.Dense(3, use_bias=False), layers.Dropout(0.5)

    def call(self, inputs, training=None):
        users = self.drop(self.tower(self.users(inputs[0])), training=training)
        return users, ops.cast(ops.sum(users * self.items(inputs[1])[:, :3], axis=-1), "float16")


def of_two_tower(users, items):
    return users, items


def scores_of_two_tower(model):
    users, items, tower = (w.numpy() for w in model.weights)
    return users @ tower @ items[:, :3].T


KINDS = {
    "functional": (functional, of_functional, "score", scores_of_functional),
    "sequential": (sequential, of_sequential, None, scores_of_sequential),
    "subclassed": (TwoTower, of_two_tower, 1, scores_of_two_tower),
}
EVERY = pytest.mark.parametrize("kind", KINDS)


def adapted(kind, **options):
    keras.utils.set_random_seed(4)
    make, inputs, output, oracle = KINDS[kind]
    model = make()
    options = {"inputs": inputs, "output": output, **options}
    return KerasRecommender(model, USERS, ITEMS, **options), oracle


@EVERY
@pytest.mark.parametrize("chunk", [None, 7])
def test_scores_are_those_of_numpy_in_chunks_and_in_a_graph(kind, chunk):
    model, oracle = adapted(kind, chunk=chunk)
    users, expected = np.array([3, 19, 0, 3, 11]), oracle(model.model)
    close = {"rtol": 2e-3, "atol": 1e-4} if kind == "subclassed" else {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(model.score_catalogue(users), expected[users], **close)
    traced = tf.function(model.score_catalogue)(tf.constant(users))
    np.testing.assert_array_equal(traced, model.score_catalogue(users))
    assert model.score_catalogue(users[:0]).shape == (0, ITEMS)
    own = np.array([[1, 2], [0, 0], [19, 3], [4, 4], [7, 0]])
    found = model({"user_id": users, "item_id": own})
    np.testing.assert_allclose(found, expected[users[:, None], own], **close)
    same = model({"user_id": users, "item_id": own[0]})
    np.testing.assert_allclose(same, expected[users][:, own[0]], **close)


def test_the_model_is_never_given_more_than_a_chunk():
    given = []

    def inputs(users, items):
        tf.py_function(lambda rows: given.append(len(rows)), [users], [])
        return users, items

    model, _ = adapted("subclassed", inputs=inputs, chunk=150)
    given.clear()
    model.score_catalogue(np.arange(USERS))
    assert given == [150, 150, 150]  # 400 pairs; what is past the end is not kept


@EVERY
def test_its_ranking_is_that_of_the_scores(kind, blocks_log):
    model, oracle = adapted(kind)
    scores = oracle(model.model).astype(np.float16 if kind == "subclassed" else np.float32)
    test = Interactions(
        user=np.arange(USERS, dtype=np.int32),
        item=(np.arange(USERS) // 2 * 2 + np.arange(USERS) % 2).astype(np.int32),
        user_ids=blocks_log.user_ids,
        item_ids=blocks_log.item_ids,
    )
    found = evaluate(model, blocks_log, test, k=(5,), metrics=("hr", "mrr"))
    masked = np.where(blocks_log.csr().toarray() > 0, -np.inf, scores.astype(np.float64))
    own = masked[test.user, test.item]
    position = (masked >= own[:, None]).sum(axis=1) - 1
    np.testing.assert_array_equal(found.per_user["hr@5"], position < 5)
    ids, _ = model.bind(blocks_log).recommend(["u03"], k=1, exclude=blocks_log)
    assert ids[0, 0] == blocks_log.item_ids[masked[3].argmax()]


@EVERY
def test_training_it_trains_the_model_inside_against_the_adversary(kind, blocks_log):
    model, oracle = adapted(kind)
    assert {id(v) for v in served_tables(model)} == {
        id(layer.embeddings) for layer in model.model.layers if isinstance(layer, layers.Embedding)
    }
    robust = AdversarialTraining(model, FastGradient(0.01))
    robust.compile(keras.optimizers.Adam(0.05), loss=BayesianPersonalizedRanking())
    data = pairs(blocks_log, batch_size=60, seed=0)
    history = robust.fit(data, epochs=10, verbose=0).history
    assert all(a > c for a, c in zip(history["adversarial_loss"], history["loss"], strict=True))
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    close = {"rtol": 5e-3, "atol": 5e-3}
    found = model.score_catalogue(np.arange(USERS))
    np.testing.assert_allclose(found, oracle(model.model), **close)


def test_the_model_inside_is_what_is_saved(tmp_path):
    model, _ = adapted("functional")
    AdversarialTraining(model, FastGradient(0.1)).save(tmp_path / "mine.keras")
    again = keras.saving.load_model(tmp_path / "mine.keras")
    assert isinstance(again, keras.src.models.functional.Functional)
    same = KerasRecommender(again, USERS, ITEMS, inputs=of_functional, output="score")
    users = np.arange(USERS)
    np.testing.assert_array_equal(same.score_catalogue(users), model.score_catalogue(users))
    with pytest.raises(TypeError, match="holds functions"):
        KerasRecommender.from_config(model.get_config())


def test_a_function_of_the_output_gives_the_scores():
    model, oracle = adapted(
        "functional", output=lambda y: tf.math.log(y["click"] / (1 - y["click"]))
    )
    found = model.score_catalogue(np.arange(USERS))
    np.testing.assert_allclose(found, oracle(model.model), rtol=1e-3, atol=1e-4)


def test_what_does_not_fit_is_said():
    with pytest.raises(
        ValueError, match=r"no output 'clik'. It gives outputs named \['click', 'sc"
    ):
        adapted("functional", output="clik")
    with pytest.raises(ValueError, match=r"no output 2\. It gives 2 outputs, at positions 0 to 1"):
        adapted("subclassed", output=2)
    with pytest.raises(ValueError, match="Name the one with the scores"):
        adapted("functional", output=None)
    with pytest.raises(ValueError, match=r"float32 of shape \(2, 20\) for 2 pairs"):
        adapted("sequential", inputs=lambda users, items: tf.gather(HISTORY, users))
    with pytest.raises(ValueError, match=r"shape \(2, 20\) for 2 users; .* \(users, 21\)"):
        KerasRecommender(sequential(), USERS, ITEMS + 1, inputs=of_sequential)
    with pytest.raises(ValueError, match=r"int32 of shape \(2,\)"):
        adapted("subclassed", output=lambda y: ops.cast(y[1], "int32"))
    with pytest.raises(TypeError, match=r"\(users, items\), for a model that scores pairs"):
        adapted("subclassed", inputs=lambda: 0)
    with pytest.raises(ValueError, match="chunk must be 1 or more"):
        adapted("subclassed", chunk=0)


def test_scores_that_are_no_numbers_are_an_error():
    model, _ = adapted("subclassed")
    model.model.items.embeddings.assign(np.full((ITEMS, 4), np.nan))
    with pytest.raises(ValueError, match="NaN for user row 5 and item row 0"):
        model.score_catalogue([5])


def test_a_keras_model_that_is_ranked_as_it_is_gets_the_name_of_the_way(blocks_log):
    with pytest.raises(TypeError, match=r"no score_catalogue.*KerasRecommender\(model"):
        top_lists(sequential(), blocks_log, [0])
