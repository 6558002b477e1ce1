"""Gradients of embedding tables: repeated rows of a batch are one row."""

import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None


def merge_rows(gradient: Gradient, *, dense: bool) -> Gradient:
    """Sums the repeated rows of a sparse gradient.

    TensorFlow's gradient of a look-up keeps one slice for every occurrence. Adaptive optimizers
    that square the slices, and perturbations that normalise them, are wrong until the slices of
    a row are summed: (a + b)^2 is not a^2 + b^2.

    Args:
        gradient: A dense gradient or None, returned as it is, or an `IndexedSlices`.
        dense: Give a dense tensor (the only form that XLA can make); else an `IndexedSlices`
            with unique, sorted rows.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if dense:
        return tf.convert_to_tensor(gradient)
    rows, slot = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, slot, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def add_gradients(first: Gradient, second: Gradient, *, weight: float, dense: bool) -> Gradient:
    """`first + weight * second`, with repeated rows merged.

    Args:
        first: A gradient, or None where the loss does not depend on the variable.
        second: Another gradient of the same variable, or None.
        weight: The factor of `second`.
        dense: As in `merge_rows`.
    """
    if second is None:
        return merge_rows(first, dense=dense)
    if first is None:
        return merge_rows(_scale(second, weight), dense=dense)
    if isinstance(first, tf.IndexedSlices) and isinstance(second, tf.IndexedSlices):
        both = tf.IndexedSlices(
            tf.concat([first.values, weight * second.values], axis=0),
            tf.concat([first.indices, second.indices], axis=0),
            first.dense_shape,
        )
        return merge_rows(both, dense=dense)
    return tf.convert_to_tensor(first) + weight * tf.convert_to_tensor(second)


def _scale(gradient: Gradient, weight: float) -> Gradient:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(weight * gradient.values, gradient.indices, gradient.dense_shape)
    return weight * gradient
