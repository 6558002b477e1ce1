"""Merged gradients: repeated rows are one row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.optimizers import SparseSGD
from tfadvrec.training import add_gradients, merge_rows, ready


def sparse(values, rows):
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([5, 2]))


def dense(gradient):
    return tf.convert_to_tensor(gradient).numpy()


FIRST = sparse([[1.0, 0], [2, 0], [0, 3]], [4, 1, 4])
SECOND = sparse([[10.0, 0], [0, 20]], [4, 0])


@pytest.mark.parametrize("as_dense", [True, False])
def test_repeated_rows_are_summed(as_dense):
    merged = merge_rows(FIRST, dense=as_dense)
    assert isinstance(merged, tf.Tensor) == as_dense
    np.testing.assert_array_equal(dense(merged), [[0, 0], [2, 0], [0, 0], [0, 0], [1, 3]])
    if not as_dense:
        assert sorted(merged.indices.numpy().tolist()) == [1, 4]


@pytest.mark.parametrize("as_dense", [True, False])
def test_a_weighted_sum_is_merged_like_any_gradient(as_dense):
    total = merge_rows(add_gradients(FIRST, SECOND, weight=2.0), dense=as_dense)
    np.testing.assert_array_equal(dense(total), [[0, 40], [2, 0], [0, 0], [0, 0], [21, 3]])
    if not as_dense:
        assert len(set(total.indices.numpy().tolist())) == len(total.indices)


def test_look_ups_of_the_same_rows_are_added_slice_by_slice():
    again = tf.IndexedSlices(10 * FIRST.values, FIRST.indices, FIRST.dense_shape)
    total = add_gradients(FIRST, again, weight=0.5)
    np.testing.assert_array_equal(total.values, 6 * FIRST.values)
    assert total.indices is FIRST.indices


def test_dense_sparse_and_missing_gradients_mix():
    ones = tf.ones([5, 2])
    np.testing.assert_array_equal(add_gradients(ones, SECOND), 1 + dense(SECOND))
    assert add_gradients(ones, None, weight=2.0) is ones
    np.testing.assert_array_equal(add_gradients(None, ones, weight=2.0), 2 * ones)
    assert add_gradients(None, None, weight=2.0) is None
    np.testing.assert_array_equal(dense(add_gradients(None, SECOND, weight=2.0)), 2 * dense(SECOND))


def test_row_sparse_optimizers_are_given_the_slices_and_others_merged_rows():
    assert ready(FIRST, SparseSGD(), compiled=True) is FIRST
    scaled = keras.optimizers.LossScaleOptimizer(SparseSGD())
    assert ready(FIRST, scaled, compiled=True) is FIRST
    assert isinstance(ready(FIRST, keras.optimizers.SGD(), compiled=True), tf.Tensor)
    assert len(ready(FIRST, keras.optimizers.SGD(), compiled=False).indices) == 2
