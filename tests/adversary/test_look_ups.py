"""Shifted look-ups: the same training as moving the rows of the tables in place."""

import keras
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
    ],
)
def test_training_is_that_of_moving_the_table(build, perturbation, whole, monkeypatch):
    monkeypatch.setattr("tfadvrec.optimizers.row_slots.WHOLE_BELOW", whole)
    shifted = trained(build, perturbation)
    monkeypatch.setattr("tfadvrec.adversary.look_ups._plain_embedding", lambda layer: False)
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


def test_layers_that_do_more_than_look_up_are_left_alone():
    class Scaled(keras.layers.Embedding):
        def call(self, inputs):
            return 2 * super().call(inputs)

    frozen = keras.layers.Embedding(12, 4, trainable=False)
    lora = keras.layers.Embedding(12, 4)
    layers = [Scaled(12, 4), frozen, lora]
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(ids, keras.layers.Add()([layer(ids) for layer in layers]))
    lora.enable_lora(2)
    assert LookUps(model).layers == []
