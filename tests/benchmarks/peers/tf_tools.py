"""What the workers on TensorFlow share: threads, a plain input pipeline, an honest warm-up."""

import tensorflow as tf


def use_threads(threads):
    """Limits TensorFlow's pools."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def pipeline(log, batch, lay_out):
    """The pipeline of the tutorials: shuffle elements, batch, map, prefetch.

    Args:
        log: The log's arrays.
        batch: Interactions in a batch; the incomplete one is dropped.
        lay_out: `(user, item) -> (inputs, labels)`.
    """
    user, item = log["train_user"].astype("int32"), log["train_item"].astype("int32")
    data = tf.data.Dataset.from_tensor_slices((user, item)).shuffle(len(user))
    data = data.batch(batch, drop_remainder=True)
    return data.map(lay_out, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def part(data, fraction):
    """The first part of an epoch, and which part that is."""
    steps = int(data.cardinality())
    wanted = max(1, round(steps * fraction))
    return (data, 1.0) if wanted == steps else (data.take(wanted), wanted / steps)


def warm_up(model, data, variables):
    """Traces and compiles on two batches, then puts all values back."""
    kept = [variable.numpy() for variable in variables]
    model.fit(data.take(2), epochs=1, verbose=0)
    for variable, value in zip(variables, kept):  # noqa: B905
        variable.assign(value)
