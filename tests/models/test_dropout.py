"""Dropout: rates, scale, seeds, and the same masks compiled and uncompiled."""

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.models.dropout import Dropout


def test_it_drops_its_rate_scales_the_rest_and_does_nothing_outside_training():
    ones, layer = np.ones((200, 50), np.float32), Dropout(0.2, seed=1)
    np.testing.assert_array_equal(layer(ones), ones)
    dropped = layer(ones, training=True).numpy()
    assert abs((dropped == 0).mean() - 0.2) < 0.02
    np.testing.assert_allclose(dropped[dropped > 0], 1.25)
    assert (layer(ones, training=True).numpy() != dropped).any()  # each call its own mask
    np.testing.assert_array_equal(Dropout(0.2, seed=1)(ones, training=True), dropped)


def test_compiled_and_uncompiled_masks_are_the_same():
    ones = tf.ones((64, 33))
    masks = []
    for compiled in (False, True):
        layer = Dropout(0.5, seed=3)
        step = tf.function(lambda x, layer=layer: layer(x, training=True), jit_compile=compiled)
        masks.append([step(ones).numpy() for _ in range(2)])
    np.testing.assert_array_equal(*masks)


def test_the_gradient_is_the_mask_and_the_layer_is_saved():
    layer = Dropout(0.5, seed=0)
    values = tf.Variable(tf.ones((4, 8)))
    with tf.GradientTape() as tape:
        dropped = layer(values, training=True)
    np.testing.assert_array_equal(tape.gradient(dropped, values), dropped)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(again, Dropout)
    assert (again.rate, again.seed) == (0.5, 0)
