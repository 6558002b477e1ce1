"""Training against an adversary leaves a foreign model's own ways as Keras has them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tfadvrec import AdversarialTraining
from tfadvrec.adversary import (
    FastGradient,
    ProjectedGradient,
    attack,
    embedding_tables,
    input_features,
    variables,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 6)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2]).astype(np.float32)
IDS = RANDOM.integers(0, 20, (32, 2)).astype(np.int32)


def dense_model(**options):
    keras.utils.set_random_seed(5)
    hidden = layers.Dense(8, activation="tanh", **options)
    return keras.Sequential([keras.Input((6,)), hidden, layers.Dense(1, dtype="float32")])


def two_outputs():
    keras.utils.set_random_seed(1)
    ids, x = keras.Input((2,), dtype="int32", name="ids"), keras.Input((6,), name="x")
    vectors = layers.Flatten()(layers.Embedding(20, 3)(ids))
    hidden = layers.Concatenate()([vectors, layers.Dense(4, kernel_regularizer="l2")(x)])
    outputs = {
        "click": layers.Dense(1, activation="sigmoid")(hidden),
        "rate": layers.Dense(1)(hidden),
    }
    return keras.Model({"ids": ids, "x": x}, outputs)


TWO_X = {"ids": IDS, "x": X}
TWO_Y = {"click": (Y > 0).astype(np.float32), "rate": Y}
TWO = {
    "loss": {"click": "binary_crossentropy", "rate": "mse"},
    "loss_weights": {"click": 1.0, "rate": 0.5},
    "metrics": {"rate": ["mae"]},
}


class Counted(keras.Model):
    """A metric of its own that `call` updates, and layers that no call reaches."""

    def __init__(self):
        super().__init__()
        self.calls = keras.metrics.Sum(name="calls")
        self.normal, self.drop = layers.BatchNormalization(), layers.Dropout(0.5, seed=3)
        self.out, self.unused = layers.Dense(1), layers.Dense(2)

    def build(self, shape):
        self.normal.build(shape)
        self.out.build(shape)

    def call(self, x, training=None):
        self.calls.update_state(1.0)
        return self.out(self.drop(self.normal(x, training=training), training=training))


class OldLoss(keras.Model):
    """A `compute_loss` from before Keras had a `training` argument for it."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.square(y - y_pred))


class AddedLoss(keras.Model):
    """All of the loss is made by `add_loss`."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(6)

    def call(self, x):
        y = self.out(x)
        self.add_loss(ops.mean(ops.square(y - x)))
        return y


class Words(keras.Model):
    """Text in: no layer but the look-up refuses XLA."""

    def __init__(self):
        super().__init__()
        self.rows = layers.StringLookup(vocabulary=["a", "b", "c"])
        self.table, self.out = layers.Embedding(4, 3), layers.Dense(1)

    def call(self, x):
        return self.out(self.table(self.rows(x)))


def test_losses_of_single_outputs_are_those_of_the_clean_pass():
    histories = []
    for wrap in (False, True):
        model = two_outputs()
        model = AdversarialTraining(model, FastGradient(2.0)) if wrap else model
        model.compile(keras.optimizers.SGD(0.0), **TWO)
        histories.append(model.fit(TWO_X, TWO_Y, batch_size=8, shuffle=False, verbose=0).history)
    plain, robust = histories
    assert robust.pop("adversarial_loss")[0] > 1.1 * plain["loss"][0]
    assert set(robust) == set(plain) > {"click_loss", "rate_loss"}
    for name, values in plain.items():
        assert robust[name] == pytest.approx(values, rel=1e-5), name


@pytest.mark.parametrize("eager", [False, True])
def test_state_is_what_the_clean_pass_left_though_a_layer_is_never_built(eager):
    states, histories = [], []
    for wrap in (False, True):
        keras.utils.set_random_seed(0)
        inner = Counted()
        model = inner
        if wrap:
            model = AdversarialTraining(inner, ProjectedGradient(2.0), target=input_features())
        model.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=eager)
        histories.append(model.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history)
        states.append([v.value.numpy() for v in inner.non_trainable_variables])
    assert histories[0]["calls"] == histories[1]["calls"] == [4.0]
    assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=1e-5)
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"use_ema": True}, {"gradient_accumulation_steps": 2}], ids=str
)
def test_optimizers_that_keep_averages_or_sums(options):
    """Epsilon 0 and weight 1 at half the rate is plain training."""
    results = []
    for wrap in (False, True):
        inner = two_outputs()
        model = AdversarialTraining(inner, FastGradient(0.0)) if wrap else inner
        model.compile(keras.optimizers.SGD(0.05 if wrap else 0.1, **options), **TWO)
        model.fit(TWO_X, TWO_Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        results.append(inner.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_precision_of_the_model_inside_decides_whether_the_loss_is_scaled():
    results = []
    for wrap in (False, True):
        inner = dense_model(dtype="mixed_float16")
        inner.dtype_policy = keras.DTypePolicy("mixed_float16")
        model = inner
        if wrap:
            model = AdversarialTraining(inner, FastGradient(0.0), target=input_features())
        model.compile(keras.optimizers.SGD(0.05 if wrap else 0.1), loss="mse")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        model.fit(X, Y, verbose=0)
        results.append(inner.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_overflow_while_the_scale_is_found_spoils_no_metric():
    inner = dense_model(dtype="mixed_float16")
    robust = AdversarialTraining(inner, ProjectedGradient(0.1), target=variables("kernel"))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**26)
    robust.compile(scaled, loss="mse")
    history = robust.fit(X, Y, batch_size=4, epochs=2, verbose=0).history
    assert float(scaled.dynamic_scale) < 2.0**26
    assert np.isfinite(history["adversarial_loss"]).all()


def test_a_compute_loss_without_a_training_argument():
    robust = AdversarialTraining(OldLoss(), FastGradient(0.5), target=input_features())
    robust.compile("sgd")
    history = robust.fit(X, Y, verbose=0).history
    assert history["adversarial_loss"][0] > history["loss"][0]
    expected = np.mean((Y - robust.predict(X, verbose=0)) ** 2)
    assert robust.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_a_loss_made_by_add_loss_alone_is_attacked():
    keras.utils.set_random_seed(0)
    robust = AdversarialTraining(AddedLoss(), FastGradient(0.5), target=variables("kernel"))
    robust.compile("sgd")
    history = robust.fit(X, verbose=0).history
    assert history["adversarial_loss"][0] > history["loss"][0]


def test_the_attack_does_not_follow_weight_regularisers():
    keras.utils.set_random_seed(0)
    out = layers.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(3.0))
    model = keras.Sequential([keras.Input((6,)), out])
    kernel = out.kernel.numpy()
    gradient = 2 * X.T @ (X @ kernel - Y) / len(X)
    moved = kernel + 0.4 * gradient / np.linalg.norm(gradient)
    expected = np.mean((X @ moved - Y) ** 2) + 3.0 * np.sum(moved**2)
    robust = AdversarialTraining(model, FastGradient(0.4), target=variables("kernel"))
    robust.compile("sgd", loss="mse")
    logs = robust.train_on_batch(X, Y, return_dict=True)
    assert logs["adversarial_loss"] == pytest.approx(expected, rel=1e-5)


def test_untouched_rows_of_a_regularised_table_stay():
    keras.utils.set_random_seed(0)
    table = layers.Embedding(30, 3, embeddings_regularizer=keras.regularizers.L2(0.3))
    model = keras.Sequential([keras.Input((2,), dtype="int32"), table, layers.Flatten()])
    robust = AdversarialTraining(model, FastGradient(2.0), target=embedding_tables())
    robust.compile(keras.optimizers.SGD(0.0), loss="mse")
    logs = robust.train_on_batch(IDS, np.zeros((32, 6), np.float32), return_dict=True)
    before = table.embeddings.numpy()
    # the gradient of a mean square points along the row itself
    touched = np.isin(np.arange(30), IDS)[:, None]
    after = before * (1 + 2.0 * touched / np.linalg.norm(before, axis=1, keepdims=True))
    expected = np.mean(after[IDS] ** 2) + 0.3 * np.sum(after**2)
    assert logs["adversarial_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_single_batch_of_arrays_without_a_graph():
    robust = AdversarialTraining(dense_model(), FastGradient(0.5), target=input_features())
    robust.compile("sgd", loss="mse", run_eagerly=True)
    logs = robust.train_on_batch(X, Y, return_dict=True)
    assert logs["adversarial_loss"] > logs["loss"]


def test_a_model_that_xla_cannot_compile_is_attacked():
    model, words = Words(), tf.constant(["a", "b", "zebra"])
    model(words)
    loss = keras.losses.MeanSquaredError()
    (delta,) = attack(model, [(words, np.ones((3, 1)))], FastGradient(0.5), loss=loss).values()
    np.testing.assert_allclose(np.linalg.norm(delta, axis=1), [0.5, 0.5, 0.5, 0], atol=1e-6)


def test_without_weight_the_loss_under_attack_is_the_loss():
    robust = AdversarialTraining(dense_model(), FastGradient(0.5), 0.0, target=input_features())
    robust.compile("sgd", loss="mse")
    history = robust.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    assert history["adversarial_loss"] == history["loss"]


def test_keras_callbacks_store_and_restore_the_model_inside(tmp_path):
    inner = two_outputs()
    robust = AdversarialTraining(inner, FastGradient(0.1))
    robust.compile("adam", **TWO)
    callbacks = [
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.keras"),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True),
        keras.callbacks.EarlyStopping(monitor="loss", mode="max", restore_best_weights=True),
    ]
    history = robust.fit(TWO_X, TWO_Y, epochs=4, verbose=0, callbacks=callbacks[:3]).history
    assert len(history["loss"]) == 4
    again, other = keras.saving.load_model(tmp_path / "last.keras"), two_outputs()
    other.load_weights(tmp_path / "last.weights.h5")
    for stored in (again, other):
        for a, b in zip(inner.get_weights(), stored.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert int(again.optimizer.iterations) == 4
    stopped = robust.fit(TWO_X, TWO_Y, epochs=4, verbose=0, callbacks=callbacks[3:]).history
    assert len(stopped["loss"]) < 4


class OwnStep(keras.Model):
    """Minimises what only its own step knows."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.abs(y - self(x, training=True)))
        variables = self.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"loss": loss}


class OwnStepAndLoss(OwnStep):
    """The same with the hook."""

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return ops.mean(ops.abs(y - y_pred))


class OwnTest(OldLoss):
    def test_step(self, data):
        return {}


def test_a_train_step_whose_loss_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"OwnStep has a train_step .* into compute_loss\(self, x"):
        AdversarialTraining(OwnStep(), FastGradient(0.1))


def test_a_train_step_with_its_compute_loss_trains_on_that():
    """Without an adversary's weight it is the model's own step."""
    results = []
    for wrap in (False, True):
        keras.utils.set_random_seed(2)
        inner = model = OwnStepAndLoss()
        if wrap:
            with pytest.warns(UserWarning, match="OwnStepAndLoss has a train_step of its own"):
                model = AdversarialTraining(inner, FastGradient(0.1), 0.0, target=input_features())
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
        results.append(inner.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_evaluation_that_would_not_run_is_warned_of():
    with pytest.warns(UserWarning, match="OwnTest has test_step of its own"):
        AdversarialTraining(OwnTest(), FastGradient(0.1))


def test_blocks_run_eagerly_too(blocks_log):
    from tfadvrec import MatrixFactorization
    from tfadvrec.data import pairs
    from tfadvrec.losses import BayesianPersonalizedRanking

    results = []
    for eager in (True, False):
        model = MatrixFactorization(n_users=20, n_items=20, dimension=4, seed=0)
        robust = AdversarialTraining(model, FastGradient(0.5))
        robust.compile("adagrad", loss=BayesianPersonalizedRanking(), run_eagerly=eager)
        robust.fit(pairs(blocks_log, batch_size=30, block=100), verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
