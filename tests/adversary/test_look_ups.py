"""Shifted look-ups: the same training as moving the rows of the tables in place."""

import keras
import keras_rs
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, FastGradient, ProjectedGradient
from tfadvrec.adversary.look_ups import LookUps

IDS = np.random.default_rng(0).integers(0, 12, (40, 3))
LABELS = np.random.default_rng(1).normal(size=(40, 1)).astype(np.float32)


def sequence():
    """One table, looked up twice, negative ids counted from its end."""
    keras.utils.set_random_seed(3)
    ids = keras.Input((3,), dtype="int32")
    table = keras.layers.Embedding(12, 4, name="table")
    pooled = keras.layers.GlobalAveragePooling1D()(table(ids))
    last = table(ids[:, -1] - 12)
    return keras.Model(ids, keras.layers.Dense(1)(keras.layers.Concatenate()([pooled, last])))


class OneTable(keras.Model):
    """A table and an output layer; subclasses say how they read the table."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(3)
        self.table = keras.layers.Embedding(12, 4)
        self.out = keras.layers.Dense(1)


class Tied(OneTable):
    """The table is also the output layer: its gradient is more than its look-ups'."""

    def call(self, ids):
        vectors = keras.ops.mean(self.table(ids), axis=1)
        scores = keras.ops.matmul(vectors, keras.ops.transpose(self.table.embeddings))
        return self.out(keras.ops.tanh(scores))


class InALoop(OneTable):
    """Looks up inside a loop of its own, where nothing can be watched from outside."""

    def call(self, ids):
        vectors = tf.map_fn(self.table, ids, fn_output_signature=tf.float32)
        return self.out(keras.ops.mean(vectors, axis=1))


class Direct(OneTable):
    """Reads the matrix of the layer itself beside the layer's look-ups."""

    def call(self, ids):
        both = self.table(ids) + keras.ops.take(self.table.embeddings, ids, axis=0)
        return self.out(keras.ops.mean(keras.ops.tanh(both), axis=1))


class Scaled(keras.layers.Embedding):
    """Does more than to look up."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def scaled():
    keras.utils.set_random_seed(3)
    pooled = keras.layers.GlobalAveragePooling1D()
    return keras.Sequential([Scaled(12, 4), pooled, keras.layers.Dense(1)])


def reduced(combiner="mean"):
    """keras-rs's layer, which looks up and pools."""
    keras.utils.set_random_seed(3)
    pooled = keras_rs.layers.EmbedReduce(12, 4, combiner=combiner)
    return keras.Sequential([pooled, keras.layers.Dense(1)])


def by_hand(combiner="mean"):
    keras.utils.set_random_seed(3)
    pool = keras.layers.Lambda(lambda x: getattr(keras.ops, combiner)(x, axis=1))
    return keras.Sequential([keras.layers.Embedding(12, 4), pool, keras.layers.Dense(1)])


def trained(build, perturbation, **options):
    model = build()
    robust = AdversarialTraining(model, perturbation, weight=0.7)
    robust.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False, **options)
    history = robust.fit(IDS, LABELS, batch_size=10, epochs=2, shuffle=False, verbose=0).history
    return [*model.get_weights(), history["loss"], history["adversarial_loss"]]


@pytest.mark.parametrize(
    ("build", "perturbation", "whole"),
    [
        (sequence, FastGradient(0.3), float("inf")),
        (sequence, ProjectedGradient(0.3, steps=2), 0.0),
        (Tied, FastGradient(0.3), float("inf")),
        (InALoop, FastGradient(0.3), 0.0),
        (Direct, ProjectedGradient(0.3, steps=2), 0.0),
        (scaled, FastGradient(0.3), 0.0),
        (reduced, ProjectedGradient(0.3, steps=2), 0.0),
    ],
)
def test_training_is_that_of_moving_the_table(build, perturbation, whole, monkeypatch):
    monkeypatch.setattr("tfadvrec.optimizers.row_slots.WHOLE_BELOW", whole)
    shifted = trained(build, perturbation)
    monkeypatch.setattr("tfadvrec.adversary.look_ups._embedding", lambda layer: False)
    for a, b in zip(shifted, trained(build, perturbation, run_eagerly=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_pass_sees_every_look_up_and_leaves_the_layer_as_it_was():
    model = sequence()
    look_ups = LookUps(model)
    (layer,) = look_ups.layers
    shift = tf.ones([8, 4])
    plain = model(IDS[:2]).numpy()
    with tf.GradientTape() as tape, look_ups.seen(tape, {}) as seen:
        same = model(IDS[:2])
    np.testing.assert_array_equal(plain, same)
    (found,) = seen.values()
    assert [rows.numpy().tolist() for rows, _ in found] == [
        IDS[:2].tolist(),
        IDS[:2, -1].tolist(),
    ]
    with (
        tf.GradientTape() as tape,
        look_ups.seen(tape, {id(layer.embeddings): shift}) as seen,
    ):
        model(IDS[:2])
    (moved,) = seen.values()
    for (_, before), (_, after) in zip(found, moved, strict=True):
        np.testing.assert_allclose(after, before + 1, rtol=1e-6)
    assert "call" not in vars(layer)


def test_a_layer_that_looks_up_by_super_is_seen_and_others_are_left_alone():
    frozen = keras.layers.Embedding(12, 4, trainable=False)
    lora = keras.layers.Embedding(12, 4)
    layers = [Scaled(12, 4), frozen, lora]
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(ids, keras.layers.Add()([layer(ids) for layer in layers]))
    lora.enable_lora(2)
    look_ups = LookUps(model)
    assert look_ups.layers == layers[:1]
    plain = model(IDS[:2]).numpy()
    with tf.GradientTape() as tape, look_ups.seen(tape, {}) as seen:
        np.testing.assert_array_equal(plain, model(IDS[:2]))
    ((_, vectors),) = seen[id(layers[0].embeddings)]
    np.testing.assert_array_equal(vectors, layers[0].embeddings.numpy()[IDS[:2]])
    assert "call" not in vars(layers[0])


@pytest.mark.parametrize("combiner", ["mean", "sum"])
def test_pooled_look_ups_train_as_those_that_are_pooled_by_hand(combiner):
    perturbation = ProjectedGradient(0.3, steps=2)
    one = trained(lambda: reduced(combiner), perturbation)
    other = trained(lambda: by_hand(combiner), perturbation)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "ragged", "sparse"])
def test_each_row_of_a_pooled_table_moves_by_epsilon_and_the_others_stay(kind):
    """Against NumPy: a mean of the rows below 8, a dense layer, a mean square."""
    ids, y = IDS[:6] % 8, LABELS[:6]
    x = {
        "dense": ids,
        "ragged": tf.RaggedTensor.from_tensor(ids),
        "sparse": tf.SparseTensor(np.argwhere(ids >= 0), ids.ravel(), ids.shape),
    }[kind]
    model = reduced()
    model.build((None, 3))
    table, kernel, _ = model.get_weights()
    error = table[ids].mean(axis=1) @ kernel - y
    gradient = np.zeros_like(table)
    np.add.at(gradient, ids, (2 / 6 * error * kernel.T / 3)[:, None, :])
    touched = np.isin(np.arange(12), ids)
    assert 4 < touched.sum() <= 8
    norms = np.linalg.norm(gradient[touched], axis=1, keepdims=True)
    moved = table.copy()
    moved[touched] += 0.3 * gradient[touched] / norms
    expected = np.mean((moved[ids].mean(axis=1) @ kernel - y) ** 2)

    robust = AdversarialTraining(model, FastGradient(0.3))
    robust.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    data = tf.data.Dataset.from_tensors((x, y))
    history = robust.fit(data, verbose=0).history
    assert history["loss"][0] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert history["adversarial_loss"][0] == pytest.approx(expected, rel=1e-5)
    after = model.get_weights()[0]
    np.testing.assert_array_equal(after[~touched], table[~touched])
    assert (after[touched] != table[touched]).any(axis=1).all()
