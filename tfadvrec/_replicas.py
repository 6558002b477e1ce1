"""What a step does where a strategy runs it on several replicas: sums, shares, own copies."""

from typing import Any

import keras
import tensorflow as tf


def count() -> int:
    """How many replicas step together; 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def index() -> tf.Tensor | int:
    """Which of them this is, from 0; 0 outside a replica."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None or count() == 1 else context.replica_id_in_sync_group


def total(value: Any) -> Any:
    """The sum over all replicas, in each of them."""
    if count() == 1:
        return value
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.convert_to_tensor(value))


def gathered(value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | int]:
    """All replicas' rows, one replica's behind another's, and where this one's begin.

    Args:
        value: `(n, ...)`; n may differ from replica to replica.
    """
    if count() == 1:
        return value, 0
    context = tf.distribute.get_replica_context()
    sizes = context.all_gather(tf.shape(value)[:1], axis=0)
    return context.all_gather(value, axis=0), tf.reduce_sum(sizes[: index()])


def drawn_words(shape: Any, seed: tf.Tensor, *, axis: int = 0) -> tf.Tensor:
    """Random words of a batch: each replica has its share of those that one device would have.

    Args:
        shape: The shape; its parts may be tensors.
        seed: int32 `(2,)`.
        axis: Which axis is the batch.

    Returns:
        uint32 of that shape.
    """

    def words(shape: Any) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")

    if count() == 1:
        return words(shape)
    shape = tf.convert_to_tensor(shape)
    rows = shape[axis]
    everywhere = tf.concat([shape[:axis], [rows * count()], shape[axis + 1 :]], axis=0)
    here = index() * rows + tf.range(rows)
    return tf.gather(words(everywhere), here, axis=axis)


def summed(loss: Any) -> Any:
    """A loss that is a sum over the examples of a batch, as `add_loss` wants it.

    Keras divides what `add_loss` is given by the number of replicas, which is right for means.
    """
    return loss if count() == 1 else loss * tf.cast(count(), loss.dtype)


def shared(loss: Any) -> Any:
    """A mean over a replica's examples, as what it adds to the mean over all of them."""
    return loss if count() == 1 else loss / tf.cast(count(), loss.dtype)


def unscaled(loss: Any) -> Any:
    """A loss as one device would have it, from what Keras has divided by the number of replicas."""
    return summed(loss)


def own(variable: keras.Variable | tf.Variable) -> tf.Variable:
    """This replica's copy of a variable: what is assigned to it is not told to the others."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if count() == 1 or not isinstance(value, tf.distribute.DistributedValues):
        return value
    strategy = tf.distribute.get_strategy()
    local = strategy.experimental_local_results(value)
    here = tf.get_static_value(index())
    return local[(0 if here is None else here) % len(local)]
