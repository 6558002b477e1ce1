"""Outputs of layers under attack: known answers, with models that were not written for us."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tfadvrec import AdversarialTraining, MatrixFactorization
from tfadvrec.adversary import FastGradient, ProjectedGradient, RandomNoise, outputs_of
from tfadvrec.adversary.outputs import Outputs
from tfadvrec.adversary.rows import OutputRows
from tfadvrec.data import pairs
from tfadvrec.losses import BayesianPersonalizedRanking

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 9, (16, 5)).astype(np.int32)
IDS[:, 3:] *= RANDOM.integers(0, 2, (16, 2), dtype=np.int32)  # 0 is padding
IDS[0] = 0
Y = RANDOM.normal(size=(16, 1)).astype(np.float32)


def functional(dtype=None):
    """A table, dropout-free layers before and behind the attacked place; padding masked behind."""
    keras.utils.set_random_seed(4)
    ids = keras.Input((5,), dtype="int32")
    vectors = layers.Dense(3, activation="tanh", dtype=dtype)(
        layers.Embedding(9, 4, name="table", dtype=dtype)(ids)
    )
    attacked = layers.Identity(name="attacked", dtype=dtype)(vectors)
    real = ops.cast(ops.expand_dims(ops.not_equal(ids, 0), -1), "float32")
    pooled = layers.Flatten()(ops.cast(attacked, "float32") * real)
    return keras.Model(ids, layers.Dense(1, use_bias=False)(ops.tanh(pooled)))


class Tower(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.mark = layers.Dense(3), layers.Identity(name="attacked")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.mark(ops.tanh(self.dense(x)))


class Subclassed(keras.Model):
    """One tower called twice, once for each half of the ids."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(4)
        self.table, self.tower = layers.Embedding(9, 4), Tower(name="tower")
        self.out = layers.Dense(1)

    def call(self, ids):
        left = self.tower(self.table(ids[:, 0]))
        right = self.tower(self.table(ids[:, 1]))
        return self.out(left * right)


BUILDS = [functional, Subclassed]


def wrapped(model, perturbation, weight=1.0, *, target=None, optimizer=None, **options):
    robust = AdversarialTraining(
        model, perturbation, weight, target=target or outputs_of("attacked")
    )
    robust.compile(optimizer or keras.optimizers.SGD(0.1), loss=loss(), **options)
    return robust


def loss():
    return keras.losses.MeanSquaredError(reduction="sum")


def step(robust, y=Y):
    return robust.train_on_batch(IDS, y, return_dict=True)


def functional_step(model, epsilon, weight, per, rate=0.1):
    """The SGD step and both losses, written out with a tape of its own."""
    table, dense, out = (layer for layer in model.layers if layer.weights)
    variables = [v.value for v in model.trainable_variables]

    def forward(delta):
        hidden = tf.tanh(tf.gather(table.embeddings.value, IDS) @ dense.kernel.value + dense.bias)
        moved = hidden + delta
        real = tf.cast(IDS != 0, tf.float32)[..., None]
        flat = tf.reshape(moved * real, [len(IDS), -1])
        return hidden, tf.reduce_sum(tf.square(Y - tf.tanh(flat) @ out.kernel.value))

    at = tf.zeros([16, 5, 3])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(at)
        _, clean = forward(at)
    g = tape.gradient(clean, at).numpy()
    axes = -1 if per == "vector" else (1, 2)
    length = np.sqrt(np.sum(g**2, axis=axes, keepdims=True))
    delta = epsilon * g / np.maximum(length, 1e-12)
    with tf.GradientTape() as again:
        _, moved = forward(tf.constant(delta))
    first, second = tape.gradient(clean, variables), again.gradient(moved, variables)
    dense_of = tf.convert_to_tensor
    after = [
        v - rate * (dense_of(a) + weight * dense_of(b))
        for v, a, b in zip(variables, first, second, strict=True)
    ]
    return [value.numpy() for value in after], float(clean), float(moved)


@pytest.mark.parametrize("jit", [True, False], ids=["xla", "graph"])
@pytest.mark.parametrize("per", ["vector", "example"])
def test_a_step_is_the_one_written_out_and_reaches_the_weights_upstream(per, jit):
    model = functional()
    expected, clean, moved = functional_step(model, 0.4, 2.0, per)
    robust = wrapped(
        model, FastGradient(0.4), 2.0, target=outputs_of("attacked", per), jit_compile=jit
    )
    logs = step(robust)
    assert logs["loss"] == pytest.approx(clean, rel=1e-5)
    assert logs["adversarial_loss"] == pytest.approx(moved, rel=1e-5)
    for value, v in zip(expected, model.trainable_variables, strict=True):
        np.testing.assert_allclose(v, value, rtol=1e-4, atol=1e-5)


def deltas_of(robust, monkeypatch):
    """The shifts of a step, one for each output."""
    seen = {}

    def shift(self, delta):
        seen[self.place] = delta
        self.shifts[self.place] = delta

    monkeypatch.setattr(OutputRows, "shift", shift)
    robust.run_eagerly = True
    logs = step(robust)
    return [seen[place].numpy() for place in sorted(seen)], logs


@pytest.mark.parametrize("per", ["vector", "example"])
def test_rows_have_the_length_and_those_without_a_gradient_stay(per, monkeypatch):
    robust = wrapped(functional(), FastGradient(0.4), target=outputs_of("attacked", per))
    (delta,), _ = deltas_of(robust, monkeypatch)
    real = (IDS != 0).ravel() if per == "vector" else (IDS != 0).any(1)
    assert 0 < real.sum() < len(real)
    np.testing.assert_allclose(np.linalg.norm(delta, axis=1), 0.4 * real, rtol=1e-5)
    if per == "example":
        assert np.all(delta.reshape(16, 5, 3)[IDS == 0] == 0)


def test_noise_too_leaves_rows_without_a_gradient(monkeypatch):
    robust = wrapped(functional(), RandomNoise(0.4))
    (delta,), _ = deltas_of(robust, monkeypatch)
    np.testing.assert_allclose(np.linalg.norm(delta, axis=1), 0.4 * (IDS != 0).ravel(), rtol=1e-5)


def test_noise_of_an_example_spares_its_padding_and_keeps_its_length(monkeypatch):
    robust = wrapped(functional(), RandomNoise(0.4), target=outputs_of("attacked", per="example"))
    (delta,), _ = deltas_of(robust, monkeypatch)
    moved = np.reshape(delta, (*IDS.shape, -1))
    assert not moved[IDS == 0].any()
    some = (IDS != 0).any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(delta, axis=1), 0.4 * some, rtol=1e-5)


def test_every_call_of_a_layer_moves_by_itself(monkeypatch):
    (left, right), _ = deltas_of(wrapped(Subclassed(), FastGradient(0.4)), monkeypatch)
    for delta in (left, right):
        np.testing.assert_allclose(np.linalg.norm(delta, axis=1), 0.4, rtol=1e-5)
    same = (IDS[1:, :1] == IDS[1:, 1:2]).ravel()
    assert not np.allclose(left[1:][~same], right[1:][~same])


def losses_at(build, perturbation, **options):
    logs = step(wrapped(build(), perturbation, optimizer=keras.optimizers.SGD(0.0), **options))
    return logs["loss"], logs["adversarial_loss"]


@pytest.mark.parametrize("build", BUILDS)
def test_a_small_attack_raises_the_loss_by_its_slope_and_more_than_noise(build, monkeypatch):
    small = 1e-3
    gradients = []
    original = FastGradient.step

    def kept(self, delta, gradient):
        gradients.append(gradient)
        return original(self, delta, gradient)

    monkeypatch.setattr(FastGradient, "step", kept)
    clean, moved = losses_at(build, FastGradient(small), run_eagerly=True)
    slope = sum(float(tf.reduce_sum(tf.norm(g, axis=1))) for g in gradients)
    assert moved - clean == pytest.approx(small * slope, rel=0.02)
    _, noisy = losses_at(build, RandomNoise(small))
    assert moved - clean > 2 * abs(noisy - clean)
    _, one = losses_at(build, FastGradient(0.5))
    _, many = losses_at(build, ProjectedGradient(0.5, steps=10))
    assert many >= one > clean


@pytest.mark.parametrize("build", BUILDS)
def test_weight_zero_is_plain_training_and_epsilon_zero_is_not(build):
    plain, none, still = build(), build(), build()
    plain.compile(keras.optimizers.SGD(0.1), loss=loss())
    plain.train_on_batch(IDS, Y)
    step(wrapped(none, FastGradient(0.5), 0.0))
    step(wrapped(still, FastGradient(0.0), 1.5, optimizer=keras.optimizers.SGD(0.04)))
    for a, b, c in zip(*(m.get_weights() for m in (plain, none, still)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)  # the rows of a batch are merged before
        np.testing.assert_allclose(a, c, atol=1e-6)


def test_no_gradient_flows_through_the_move():
    """The loss z * z with z = w: the update at w + delta is 2 (w + delta), not its chain rule."""
    ones = np.ones((1, 1), np.float32)
    dense = layers.Dense(1, use_bias=False, name="attacked", kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    robust = wrapped(model, ProjectedGradient(0.5, steps=2), optimizer=keras.optimizers.SGD(0.1))
    robust.train_on_batch(ones, 0 * ones)
    np.testing.assert_allclose(dense.kernel, [[1 - 0.1 * (2 * 1 + 2 * 1.5)]], rtol=1e-6)


@pytest.mark.parametrize("build", BUILDS)
def test_the_model_is_saved_without_the_adversary_and_the_target_comes_back(build, tmp_path):
    model = build()
    robust = wrapped(model, FastGradient(0.3), 0.7, target=outputs_of("attacked", "example"))
    step(robust)
    before = model(IDS).numpy()
    assert all("call" not in vars(layer) for layer in model._flatten_layers())
    np.testing.assert_array_equal(model(IDS), before)
    robust.save_weights(tmp_path / "last.weights.h5")
    again = build()
    again(IDS)
    again.load_weights(tmp_path / "last.weights.h5")
    np.testing.assert_array_equal(again(IDS), before)
    if build is functional:
        config = json.loads(json.dumps(robust.get_config()))
        assert AdversarialTraining.from_config(config).target == robust.target


def test_a_layer_that_fails_in_an_attacked_pass_is_put_back():
    model = functional()
    robust = wrapped(model, FastGradient(0.3), run_eagerly=True)
    with pytest.raises(Exception, match=r"(?i)shape|dimension|broadcast"):
        step(robust, np.zeros((16, 7, 2), np.float32))
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


def test_half_precision_outputs_are_moved_by_the_full_length():
    robust = wrapped(functional("mixed_float16"), FastGradient(0.4))
    logs = step(robust)
    clean, moved = losses_at(functional, FastGradient(0.4))
    assert logs["loss"] == pytest.approx(clean, rel=0.02)
    assert logs["adversarial_loss"] == pytest.approx(moved, rel=0.02)


def test_embedding_layers_are_outputs_too_look_up_by_look_up_in_compiled_blocks(blocks_log):
    """Example mode of a factorisation: a repeated user moves several ways (block = batches)."""
    results = []
    for block in (None, 4):
        model = MatrixFactorization(n_users=20, n_items=20, dimension=4, initial_scale=0.5, seed=1)
        target = outputs_of("embedding")
        robust = AdversarialTraining(model, ProjectedGradient(0.5, steps=2), target=target)
        robust.compile("adagrad", loss=BayesianPersonalizedRanking(), run_eagerly=block is None)
        data = pairs(blocks_log, batch_size=30, seed=0, block=block)
        history = robust.fit(data, epochs=2, verbose=0).history
        assert history["adversarial_loss"][0] > 1.2 * history["loss"][0]
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_mask_of_an_output_goes_on_with_it():
    ids = keras.Input((5,), dtype="int32")
    inner = keras.Sequential([layers.Embedding(9, 4, mask_zero=True)], name="attacked")
    model = keras.Model(ids, layers.Dense(1)(layers.GlobalAveragePooling1D()(inner(ids))))
    plain = model(IDS).numpy()
    with tf.GradientTape() as tape, Outputs(model, "attacked$").seen(tape, {}) as found:
        np.testing.assert_allclose(model(IDS), plain, rtol=1e-6)
    assert [called.value.shape for called in found] == [(16, 5, 4)]


def test_a_pattern_reaches_into_the_name_of_the_layer():
    model = Subclassed()
    model(IDS)

    def named(pattern):
        return [layer.name for layer in Outputs(model, pattern).layers]

    assert named("tower") == ["tower"]
    assert named("tower/attacked") == ["attacked"]
    assert set(named("tower/.")) == {"attacked", model.tower.dense.name}


class Looping(Subclassed):
    def call(self, ids):
        return self.out(tf.map_fn(lambda i: self.tower(self.table(i)), ids[:, :1],
                                  fn_output_signature=tf.float32)[:, 0])  # fmt: skip


def test_errors_say_what_is_there():
    for target, model, message in [
        (outputs_of("none"), functional(), "names no layer .*attacked"),
        (outputs_of("attacked"), Looping(), "inside a loop"),
        (outputs_of("unused"), Unused(), "gave out no floating-point tensor"),
        (outputs_of("flat"), Unused(), "needs outputs of shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            step(wrapped(model, FastGradient(0.1), target=target))
    with pytest.raises(ValueError, match="per must be"):
        outputs_of("attacked", "row")


class Unused(keras.Model):
    def __init__(self):
        super().__init__()
        self.unused, self.out = layers.Identity(name="unused"), layers.Dense(1)
        self.flat = layers.Reshape((), name="flat")

    def call(self, ids):
        return self.flat(self.out(ops.cast(ids, "float32")))[:, None]


def test_outputs_off_the_way_to_the_loss_are_left_out_of_further_steps():
    class Two(Subclassed):
        def call(self, ids):
            self.tower(self.table(ids[:, 2]))
            return super().call(ids)

    results = [losses_at(build, ProjectedGradient(0.4, steps=3)) for build in (Two, Subclassed)]
    np.testing.assert_allclose(*results, rtol=1e-5)
