"""Merged gradients: repeated rows are one row."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.training import add_gradients, merge_rows


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
def test_a_weighted_sum_has_unique_rows(as_dense):
    total = add_gradients(FIRST, SECOND, weight=2.0, dense=as_dense)
    np.testing.assert_array_equal(dense(total), [[0, 40], [2, 0], [0, 0], [0, 0], [21, 3]])
    if not as_dense:
        assert len(set(total.indices.numpy().tolist())) == len(total.indices)


def test_dense_sparse_and_missing_gradients_mix():
    ones = tf.ones([5, 2])
    np.testing.assert_array_equal(
        add_gradients(ones, SECOND, weight=1.0, dense=False), 1 + dense(SECOND)
    )
    assert add_gradients(ones, None, weight=2.0, dense=True) is ones
    np.testing.assert_array_equal(add_gradients(None, ones, weight=2.0, dense=True), 2 * ones)
    assert add_gradients(None, None, weight=2.0, dense=True) is None
    np.testing.assert_array_equal(
        dense(add_gradients(None, SECOND, weight=2.0, dense=False)), 2 * dense(SECOND)
    )
