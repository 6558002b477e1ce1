"""Gradients of embedding tables: repeated rows of a batch are one row."""

from typing import Any

import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.optimizers.row_sparse import RowSparse

Gradient = tf.Tensor | tf.IndexedSlices | None


def merge_rows(gradient: Gradient, *, dense: bool) -> Gradient:
    """Sums the repeated rows of a sparse gradient.

    TensorFlow's gradient of a look-up keeps one slice for every occurrence. Adaptive optimizers
    that square the slices, and perturbations that normalise them, are wrong until the slices of
    a row are summed: (a + b)^2 is not a^2 + b^2.

    Args:
        gradient: A dense gradient or None, returned as it is, or an `IndexedSlices`.
        dense: Give a dense tensor (the only form that XLA can make); else an `IndexedSlices`
            with unique rows.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if dense:
        return tf.convert_to_tensor(gradient)
    rows, slot = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, slot, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def add_gradients(first: Gradient, second: Gradient, *, weight: float = 1.0) -> Gradient:
    """`first + weight * second`; sparse gradients stay sparse, with repeated rows.

    Args:
        first: A gradient, or None where the loss does not depend on the variable.
        second: Another gradient of the same variable, or None.
        weight: The factor of `second`.
    """
    if second is None:
        return first
    scaled = _scale(second, weight)
    if first is None:
        return scaled
    if isinstance(first, tf.IndexedSlices) and isinstance(second, tf.IndexedSlices):
        if first.indices is second.indices:
            return tf.IndexedSlices(first.values + scaled.values, first.indices, first.dense_shape)
        return tf.IndexedSlices(
            tf.concat([first.values, scaled.values], axis=0),
            tf.concat([first.indices, tf.cast(second.indices, first.indices.dtype)], axis=0),
            first.dense_shape,
        )
    return tf.convert_to_tensor(first) + tf.convert_to_tensor(scaled)


def _scale(gradient: Gradient, weight: float) -> Gradient:
    if weight == 1.0:
        return gradient
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(weight * gradient.values, gradient.indices, gradient.dense_shape)
    return weight * gradient


def ready(gradient: Gradient, optimizer: Any, *, compiled: bool) -> Gradient:
    """A gradient as an optimizer must be given it: row-sparse ones sum repeated rows themselves.

    On several replicas the others are given dense gradients: slices of one row would come from
    each replica, and be squared one by one.

    Args:
        gradient: A gradient as the tape gives it.
        optimizer: Any Keras optimizer.
        compiled: Whether XLA compiles the step.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(inner, RowSparse):
        return gradient
    return merge_rows(gradient, dense=compiled or _replicas.count() > 1)
