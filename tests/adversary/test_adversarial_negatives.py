"""AdvInfoNCE: its formula, whose turn it is, and what is saved."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from tfadvrec import MatrixFactorization, TwoTower
from tfadvrec.adversary import AdversarialNegatives
from tfadvrec.data import in_batch, pairs
from tfadvrec.evaluation import evaluate
from tfadvrec.losses import InBatchSoftmax

RANDOM = np.random.default_rng(0)
X = {"user_id": np.array([0, 0, 3, 5]), "item_id": RANDOM.integers(0, 8, (4, 5))}
Y = np.tile(np.array([[1, 0, 0, 0, 0]], np.float32), (4, 1))


def factors(**options):
    options = {"dimension": 4, "initial_scale": 0.5, "seed": 1, **options}
    return MatrixFactorization(n_users=8, n_items=8, **options)


def wrapped(model, rate=0.0, adversary_rate=0.5, **options):
    robust = AdversarialNegatives(model, **{"dimension": 3, "interval": 2, **options})
    adversary = keras.optimizers.SGD(adversary_rate)
    robust.compile(keras.optimizers.SGD(rate), adversary_optimizer=adversary)
    return robust


def hardened(robust, scale=1.0):
    """Gives the adversary's tables ordinary random values."""
    for n, table in enumerate((robust.user_hardness, robust.item_hardness)):
        shape = table.embeddings.shape
        table.embeddings.assign(scale * np.random.default_rng(n).normal(size=shape))
    return robust


def oracle(robust, x, y, scores):
    """Loss and divergence of a batch, row by row, as the paper writes them."""
    losses, divergences = [], []
    users = robust.user_hardness.embeddings.numpy()[x["user_id"]]
    items = robust.item_hardness.embeddings.numpy()[x["item_id"]]
    for n in range(len(y)):
        candidates = items if items.ndim == 2 else items[n]
        weights = np.exp(candidates @ users[n]) * (y[n] == 0)
        p, count = weights / weights.sum(), np.sum(y[n] == 0)
        against = robust.scale * count * np.sum(p * np.exp(scores[n]))
        positive = np.exp(scores[n][y[n] == 1].item())
        losses.append(-np.log(positive / (positive + against)))
        known = p[p > 0]
        divergences.append(np.sum(known * np.log(known * count)))
    return np.sum(losses), np.mean(divergences)


def test_loss_and_divergence_are_the_papers():
    y = Y.copy()
    y[1, 2] = y[2, 4] = -1
    model = factors()
    robust = hardened(wrapped(model, scale=3.0))
    logs = robust.train_on_batch(X, y, return_dict=True)
    loss, divergence = oracle(robust, X, y, model(X).numpy())
    assert logs["loss"] == pytest.approx(loss, rel=1e-5)
    assert logs["hardness_divergence"] == pytest.approx(divergence, rel=1e-5)
    assert divergence > 0.05


def test_shared_candidates_of_a_batch_too(blocks_log):
    model = TwoTower(n_users=20, n_items=20, dimension=4, temperature=0.5, seed=0)
    robust = hardened(wrapped(model, scale=2.0))
    x, y = next(iter(in_batch(blocks_log, batch_size=16, seed=0)))
    assert (y.numpy() == -1).any()
    logs = robust.train_on_batch(x, y, return_dict=True)
    x = {key: value.numpy() for key, value in x.items()}
    loss, divergence = oracle(robust, x, y.numpy(), model(x).numpy())
    assert logs["loss"] == pytest.approx(loss, rel=1e-5)
    assert logs["hardness_divergence"] == pytest.approx(divergence, rel=1e-4)


def test_equal_hardness_and_scale_one_are_plain_info_nce():
    plain, model = factors(), factors()
    plain.compile(keras.optimizers.SGD(0.3), loss=InBatchSoftmax())
    robust = hardened(wrapped(model, rate=0.3, scale=1.0), scale=0.0)
    for _ in range(3):
        expected = plain.train_on_batch(X, Y, return_dict=True)["loss"]
        logs = robust.train_on_batch(X, Y, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-6)
        assert logs["hardness_divergence"] == pytest.approx(0.0, abs=1e-6)
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_hard_negative_is_pushed_down_more_than_an_easy_one():
    model = factors()
    robust = hardened(wrapped(model, rate=0.1, scale=1.0), scale=0.0)
    robust.user_hardness.embeddings.assign(np.tile([1.0, 0.0, 0.0], (8, 1)))
    hardness = np.zeros((8, 3))
    hardness[1, 0], hardness[2, 0] = 2.0, -2.0
    robust.item_hardness.embeddings.assign(hardness)
    same = model.trainable_variables[1].numpy()
    same[1] = same[2]
    model.trainable_variables[1].assign(same)
    x = {"user_id": np.array([0]), "item_id": np.array([[0, 1, 2]])}
    robust.train_on_batch(x, np.array([[1.0, 0.0, 0.0]]))
    hard, easy = model(x).numpy()[0, 1:]
    assert hard < easy


class Weights(keras.callbacks.Callback):
    """Keeps the model's and the adversary's weights of the end of each epoch."""

    def __init__(self, robust):
        super().__init__()
        self.robust, self.kept = robust, []

    def on_epoch_end(self, epoch, logs=None):
        tables = (self.robust.user_hardness, self.robust.item_hardness)
        self.kept.append(
            (
                [v.numpy() for v in self.robust.model.variables if "seed" not in v.path],
                [table.embeddings.numpy() for table in tables],
            )
        )


def equal(a, b):
    return [np.array_equal(x, y) for x, y in zip(a, b, strict=True)]


def test_each_side_moves_in_its_own_epochs_alone_and_the_adversary_grows(blocks_log):
    model = MatrixFactorization(n_users=20, n_items=20, dimension=4, initial_scale=0.5, seed=0)
    robust = AdversarialNegatives(model, scale=4.0, interval=2, adversary_epochs=2, seed=3)
    robust.compile("adam", adversary_optimizer=keras.optimizers.Adam(0.02))
    watch = Weights(robust)
    data = pairs(blocks_log, batch_size=30, negatives=6, seed=0)
    found = robust.fit(data, epochs=3, verbose=0, callbacks=[watch]).history
    more = robust.fit(data, epochs=4, verbose=0, callbacks=watch).history
    divergence = found["hardness_divergence"] + more["hardness_divergence"]
    for n, turn in enumerate([False, True, False, False, False], start=1):
        turn = n in (1, 3)  # the second and fourth epochs; the sixth is over the limit
        before, after = watch.kept[n - 1], watch.kept[n]
        assert all(equal(before[0], after[0])) == turn
        assert all(equal(before[1], after[1])) != turn
    assert all(equal(watch.kept[4][1], watch.kept[6][1]))
    assert divergence[0] < 1e-3
    assert divergence[0] < divergence[2] < divergence[4]
    assert divergence[4] == pytest.approx(divergence[6], rel=0.2)


def test_an_adversarys_epoch_raises_the_loss_whatever_regularises_the_model():
    """The published code regularises the adversary by the model's lengths; ours must not."""
    rises, tables = [], []
    for regularization in (0.0, 30.0):
        model = factors(regularization=regularization)
        robust = hardened(wrapped(model, adversary_rate=1.0), scale=0.5)
        options = {"batch_size": 4, "shuffle": False, "verbose": 0}
        losses = robust.fit(X, Y, epochs=3, **options).history["loss"]
        assert losses[0] == losses[1]
        rises.append(losses[2] - losses[0])
        tables.append(robust.item_hardness.embeddings.numpy())
    assert rises[0] > 0.01
    assert rises[1] == pytest.approx(rises[0], rel=1e-3)
    np.testing.assert_allclose(*tables, rtol=1e-5)


class Stop(keras.callbacks.Callback):
    """Interrupts an epoch, counted from 0, after its first batch."""

    def __init__(self, epoch):
        super().__init__()
        self.at, self.epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at:
            raise KeyboardInterrupt


def test_after_an_interrupted_epoch_of_the_adversary_the_model_trains_again():
    model = factors()
    robust = hardened(wrapped(model, rate=0.1))
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        robust.fit(X, Y, epochs=2, callbacks=Stop(1), **options)
    before = [v.numpy() for v in model.trainable_variables]
    tables = [v.numpy() for v in (robust.user_hardness.embeddings, robust.item_hardness.embeddings)]
    robust.fit(X, Y, epochs=1, **options)
    assert not any(equal(before, [v.numpy() for v in model.trainable_variables]))
    after = [v.numpy() for v in (robust.user_hardness.embeddings, robust.item_hardness.embeddings)]
    assert all(equal(tables, after))


def test_a_reused_callback_list_counts_an_epoch_once():
    robust = wrapped(factors(), interval=3)
    reused = keras.callbacks.CallbackList(add_history=True, model=robust)
    for _ in range(2):
        robust.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=reused)
    assert robust._turns.epochs == 2


def test_each_optimizer_holds_its_own_sides_variables():
    robust = AdversarialNegatives(factors(), seed=1)
    robust.compile("adam", adversary_optimizer="adam")
    robust.fit(X, Y, epochs=1, verbose=0)
    held = [len(o.variables) - 2 for o in (robust.optimizer, robust.adversary_optimizer)]
    assert held == [2 * len(robust.model.trainable_variables), 2 * 2]  # two moments each


def foreign():
    """A Keras model of one's own, with batch statistics."""
    user = keras.Input((), dtype="int32", name="user_id")
    item = keras.Input((5,), dtype="int32", name="item_id")
    item_vectors = layers.Embedding(8, 4, embeddings_initializer="normal")(item)
    user_vectors = layers.Embedding(8, 4, embeddings_initializer="normal")(user)
    normal = layers.BatchNormalization()(user_vectors)
    scores = layers.Dot(axes=(2, 1))([item_vectors, normal])
    return keras.Model({"user_id": user, "item_id": item}, scores)


def test_batch_statistics_stand_still_in_the_adversarys_epoch():
    keras.utils.set_random_seed(0)
    model = foreign()
    robust = wrapped(model, n_users=8, n_items=8)
    watch = Weights(robust)
    robust.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[watch])
    first, second, third = (kept[0] for kept in watch.kept)
    assert all(equal(first, second))
    assert not all(equal(second, third))  # the batch statistics move again


def test_the_model_learns_the_checkerboard_and_blocks_change_nothing(blocks_log):
    results = []
    for block in (None, 4):
        model = MatrixFactorization(n_users=20, n_items=20, dimension=8, seed=0)
        robust = AdversarialNegatives(model, scale=2.0, interval=5, dimension=8)
        robust.compile(keras.optimizers.Adam(0.02), adversary_optimizer=keras.optimizers.Adam(0.02))
        robust.run_eagerly = block is None
        data = pairs(blocks_log, batch_size=30, negatives=6, seed=0, block=block)
        robust.fit(data, epochs=12, verbose=0)
        results.append(model.bind(blocks_log))
    for a, b in zip(*(model.get_weights() for model in results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
    user = np.arange(20, dtype=np.int32)
    unseen = blocks_log.replace(user=user, item=user, time=None)
    assert evaluate(results[1], blocks_log, unseen, k=(1,)).means["hr@1"] > 0.9


def test_the_model_is_saved_alone_and_evaluated_on_equal_weights(tmp_path):
    model = factors()
    robust = hardened(wrapped(model))
    plain = factors()
    plain.compile("sgd", loss=InBatchSoftmax())
    expected = plain.evaluate(X, Y, verbose=0, return_dict=True)
    robust.train_on_batch(X, Y)
    assert robust.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(expected)
    robust.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, MatrixFactorization)
    np.testing.assert_array_equal(again(X), model(X))


def test_config_round_trip_through_json():
    robust = wrapped(factors(), scale=8.0, interval=3, adversary_epochs=4, initial_scale=0.2)
    config = json.loads(json.dumps(robust.get_config()))
    assert AdversarialNegatives.from_config(config).get_config() == robust.get_config()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0}, "scale and initial_scale must be"),
        ({"interval": 1}, "interval must be 2 or more"),
        ({"adversary_epochs": -1}, "adversary_epochs 0 or more"),
    ],
)
def test_errors_say_what_is_expected(options, words):
    with pytest.raises(ValueError, match=words):
        AdversarialNegatives(factors(), **options)


def test_a_model_that_does_not_say_its_size_is_asked_for_it():
    with pytest.raises(ValueError, match="pass n_users="):
        AdversarialNegatives(foreign())
