"""Frozen parts stand still, are not attacked, keep their slots, and no stale step moves them."""

import keras
import numpy as np
import pytest
from keras import layers

from tfadvrec import AdversarialTraining, FastGradient, MatrixFactorization, TwoTower
from tfadvrec.adversary import AdversarialNegatives, embedding_tables
from tfadvrec.data import pairs
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import LightGCN
from tfadvrec.presets.tensors import flat_names
from tfadvrec.tuning import UnfreezeAt, freeze, unfreeze

RANDOM = np.random.default_rng(0)
X = {"user_id": RANDOM.integers(0, 20, 24), "item_id": RANDOM.integers(0, 20, (24, 2))}
Y = np.tile(np.array([[1.0, 0.0]], np.float32), (24, 1))


def factors(**options):
    options = {"dimension": 4, "initial_scale": 0.3, "seed": 1, "item_bias": True, **options}
    return MatrixFactorization(n_users=20, n_items=20, **options)


def compiled(model, optimizer=None, **options):
    model.compile(
        optimizer or keras.optimizers.Adam(0.05), loss=BayesianPersonalizedRanking(), **options
    )
    return model


def values(model):
    return {name: v.numpy() for name, v in flat_names(model).items()}


def moved(before, model):
    """Which weights are no longer what they were."""
    return {name for name, now in values(model).items() if not np.array_equal(before[name], now)}


USER, ITEM = {"user_embedding/embeddings"}, {"item_embedding/embeddings", "item_rows"}


@pytest.mark.parametrize(
    ("wrap", "order"),
    [
        (None, "freeze first"),
        (None, "after a step"),
        ("adversarial", "compile first"),
        ("negatives", "freeze first"),
    ],
)
def test_what_is_frozen_stands_still_in_every_order(wrap, order):
    model = factors()
    training = {
        None: lambda: model,
        "adversarial": lambda: AdversarialTraining(model, FastGradient(0.5)),
        "negatives": lambda: AdversarialNegatives(model, scale=2.0, dimension=3),
    }[wrap]()
    if order == "freeze first":
        freeze(training, "item")
        compiled(training)
    else:
        compiled(training)
        if order == "after a step":
            before = values(model)
            training.train_on_batch(X, Y)
            assert moved(before, model) == USER | ITEM
        freeze(training, "item")
    before = values(model)
    training.train_on_batch(X, Y)
    assert moved(before, model) == USER
    unfreeze(training)
    before = values(model)
    training.train_on_batch(X, Y)
    assert moved(before, model) == USER | ITEM


def test_freezing_the_model_inside_is_seen_by_the_training_around_it():
    model = factors()
    robust = compiled(AdversarialTraining(model, FastGradient(0.5)))
    robust.fit(X, Y, batch_size=24, verbose=0)
    freeze(model, "user")
    before = values(model)
    robust.fit(X, Y, batch_size=24, verbose=0)
    assert moved(before, model) == ITEM
    model.item_embedding.trainable = False  # in Keras's own way, without a word to the training
    before = values(model)
    with pytest.raises(ValueError, match="needs a trainable"):
        robust.fit(X, Y, batch_size=24, verbose=0)
    assert moved(before, model) == set()


def test_a_compiled_step_over_blocks_respects_it(blocks_log):
    model = factors()
    training = compiled(AdversarialTraining(model, FastGradient(0.5)), jit_compile=True)
    data = pairs(blocks_log, batch_size=30, seed=0, block=3)
    training.fit(data, epochs=1, verbose=0)
    freeze(training, "item")
    before = values(model)
    training.fit(data, epochs=2, verbose=0)
    assert moved(before, model) == USER


def test_frozen_tables_are_not_attacked():
    """With items frozen, the adversarial loss is that of an attack on users alone."""
    losses = []
    for frozen in (True, False):
        model = factors()
        if frozen:
            freeze(model, "item")
        target = None if frozen else embedding_tables("user")
        robust = compiled(AdversarialTraining(model, FastGradient(0.5), target=target))
        losses.append(robust.train_on_batch(X, Y, return_dict=True)["adversarial_loss"])
    both = compiled(AdversarialTraining(factors(), FastGradient(0.5)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] < both.train_on_batch(X, Y, return_dict=True)["adversarial_loss"]


def test_slots_of_a_frozen_tower_are_kept_and_used_again():
    model = compiled(factors(), keras.optimizers.SGD(0.1, momentum=0.9))
    model.train_on_batch(X, Y)
    optimizer = model.optimizer
    (momentum,) = (v for v in optimizer.variables if "item_embedding" in v.name)
    kept, table = momentum.numpy(), model.item_embedding.embeddings.numpy()
    freeze(model, "item")
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(momentum, kept)
    unfreeze(model, "item")
    nothing = {"user_id": X["user_id"], "item_id": np.repeat(X["item_id"][:, :1], 2, axis=1)}
    model.train_on_batch(nothing, Y)  # pairs of one item: no gradient, momentum alone
    expected = table + 0.9 * kept
    np.testing.assert_allclose(model.item_embedding.embeddings, expected, rtol=1e-5)
    assert np.abs(kept).max() > 0.01


def test_the_rest_is_trained_as_if_the_frozen_part_were_a_constant():
    model = compiled(factors(item_bias=False), keras.optimizers.SGD(0.1))
    freeze(model, "item")
    users, items = (t.embeddings.numpy() for t in (model.user_embedding, model.item_embedding))
    for _ in range(3):
        model.train_on_batch(X, Y)
        gap = items[X["item_id"][:, 0]] - items[X["item_id"][:, 1]]
        share = 1 / (1 + np.exp(np.sum(users[X["user_id"]] * gap, axis=1)))
        np.add.at(users, X["user_id"], 0.1 * share[:, None] * gap)
    np.testing.assert_allclose(model.user_embedding.embeddings, users, rtol=1e-4, atol=1e-6)


def foreign():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="lower")(inputs)
    x = layers.BatchNormalization(name="norm", center=False, scale=False)(x)
    inner = keras.Sequential([layers.Dense(4, name="one"), layers.Dense(1, name="two")], name="top")
    return keras.Model(inputs, inner(x))


def foreign_data():
    x = np.random.default_rng(2).normal(size=(32, 6)).astype(np.float32)
    return x, x[:, :1]


def test_any_keras_model_by_layer_inner_layer_and_weight():
    model = foreign()
    model.compile("adam", loss="mse")
    x, y = foreign_data()
    model.fit(x, y, verbose=0)
    assert freeze(model, "lower$") == ["lower/kernel", "lower/bias"]
    assert freeze(model, "one/kernel") == ["top/one/kernel"]
    assert freeze(model, "lower") == []  # already
    before = values(model)
    model.fit(x, y, verbose=0)
    statistics = {"norm/moving_mean", "norm/moving_variance"}
    assert moved(before, model) - statistics == {"top/one/bias", "top/two/kernel", "top/two/bias"}
    assert unfreeze(model, "top") == ["top/one/kernel"]
    assert len(model.trainable_variables) == 4


def test_frozen_batch_normalisation_uses_what_it_has_learned():
    model = foreign()
    model.compile("sgd", loss="mse")
    x, y = foreign_data()
    model.fit(x, y, verbose=0)
    freeze(model, "lower|norm")
    norm = model.get_layer("norm")
    before = norm.moving_mean.numpy()
    model.fit(x + 3, y, verbose=0)
    np.testing.assert_array_equal(norm.moving_mean, before)
    unfreeze(model, "lower|norm")
    model.fit(x + 3, y, verbose=0)
    assert not np.array_equal(norm.moving_mean, before)


def test_an_optimizer_that_was_built_without_the_frozen_part_is_an_error_not_a_surprise():
    model = foreign()
    freeze(model, "lower")
    model.compile("adam", loss="mse")
    model.fit(*foreign_data(), verbose=0)
    with pytest.raises(ValueError, match=r"has no slots for them\. Compile the model again"):
        unfreeze(model)
    assert not model.get_layer("lower").trainable
    model.compile("adam", loss="mse")
    unfreeze(model)
    model.fit(*foreign_data(), verbose=0)
    assert len(model.trainable_variables) == 6


def test_a_tower_of_a_two_tower_model():
    model = compiled(TwoTower(n_users=20, n_items=20, dimension=4, hidden=(6,), seed=0))
    frozen = freeze(model, "^item_tower$")
    assert "item_tower/id/embeddings" in frozen
    assert "item_tower/out/kernel" in frozen
    before = values(model)
    model.train_on_batch(X, Y)
    assert {name.split("/")[0] for name in moved(before, model)} == {"user_tower"}


def test_tables_that_a_model_computes_are_not_unfrozen(blocks_log):
    model = LightGCN(n_users=20, n_items=20, dimension=4, seed=0).bind(blocks_log)
    freeze(model, "item")
    assert unfreeze(model, "item") == ["item_embedding/embeddings"]
    assert not model.item_rows.trainable
    with pytest.raises(ValueError, match="which freeze has not frozen"):
        unfreeze(model, "item_rows")


@pytest.mark.parametrize("function", [freeze, unfreeze])
def test_a_pattern_that_names_nothing_is_an_error_with_the_names(function):
    with pytest.raises(ValueError, match=r"names nothing of .*'item_embedding'.*'item_rows'"):
        function(factors(), "movie")
    with pytest.raises(ValueError, match="has no weights yet"):
        function(keras.Sequential([layers.Dense(2)]), "dense")


class Watch(keras.callbacks.Callback):
    """Keeps the weights at the end of each epoch."""

    def __init__(self, watched):
        super().__init__()
        self.watched, self.kept = watched, [values(watched)]

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(values(self.watched))

    def moved(self):
        return [
            {name for name in a if not np.array_equal(a[name], b[name])}
            for a, b in zip(self.kept, self.kept[1:], strict=False)
        ]


def test_gradual_unfreezing(blocks_log):
    model = factors()
    robust = compiled(AdversarialTraining(model, FastGradient(0.5)), jit_compile=False)
    freeze(robust, "item")
    watch, schedule = Watch(model), UnfreezeAt({3: "bias|rows", 1: "item_embedding"})
    data = pairs(blocks_log, batch_size=90, seed=0, block=3)
    robust.fit(data, epochs=4, verbose=0, callbacks=[schedule, watch])
    tables = USER | {"item_embedding/embeddings"}
    assert watch.moved() == [USER, tables, tables, USER | ITEM]


def test_a_restart_unfreezes_what_should_train_by_then_and_plain_keras_models_work():
    model = foreign()
    model.compile("sgd", loss="mse")
    freeze(model, "lower|top")
    schedule = UnfreezeAt({1: "two", 2: "one", 9: "lower"})
    model.fit(*foreign_data(), epochs=6, initial_epoch=5, verbose=0, callbacks=[schedule])
    assert len(model.trainable_variables) == 4


def test_a_schedule_is_checked_before_the_first_epoch():
    model = compiled(factors())
    freeze(model, "item")
    before = values(model)
    with pytest.raises(ValueError, match="names nothing"):
        model.fit(X, Y, verbose=0, callbacks=[UnfreezeAt({5: "movie"})])
    assert moved(before, model) == set()
    with pytest.raises(ValueError, match=r"\{epoch: pattern\}"):
        UnfreezeAt({-1: "item"})
