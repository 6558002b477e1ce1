"""One global batch shared out among replicas: rows are cut, candidates of all rows are not."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

ALWAYS_WHOLE = ("shared_id", "shared_probability")
CANDIDATES = ("item_id", "sampling_probability")
SUPPORTED = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_strategy(strategy: tf.distribute.Strategy) -> None:
    """Refuses strategies whose variables live elsewhere than where they are used.

    Raises:
        ValueError: It is none of one device, `MirroredStrategy`, `MultiWorkerMirroredStrategy`.
    """
    name = type(strategy).__name__
    if not isinstance(strategy, SUPPORTED) and name not in (
        "_DefaultDistributionStrategy",
        "OneDeviceStrategy",
    ):
        raise ValueError(
            f"{name} is not supported: neither are TPUs and parameter servers. Use "
            "MirroredStrategy, or MultiWorkerMirroredStrategy with DistributedTrainer."
        )


def plain_batches(data: tf.data.Dataset, *, skip: int = 0) -> tuple[tf.data.Dataset, int]:
    """A sampler's batches one by one, over and over, and how many of them are an epoch.

    Args:
        data: Batches, or blocks of them.
        skip: Epochs that are passed over.
    """
    steps = getattr(data.element_spec, "per_epoch", None)
    in_order = data.repeat().skip(skip * int(data.cardinality()))
    if steps is None:
        return in_order, int(data.cardinality())

    def batches(block: Any) -> tf.data.Dataset:
        drawn = block.draw()
        numbers = tf.data.Dataset.range(tf.cast(block.steps, tf.int64))
        return numbers.map(lambda step: block.batch(tf.cast(step, tf.int32), drawn))

    return in_order.flat_map(tf.autograph.experimental.do_not_convert(batches)), steps


def shared_out(
    batches: tf.data.Dataset, strategy: tf.distribute.Strategy
) -> tf.distribute.DistributedDataset:
    """Gives each replica its share of every batch: as many rows as any other, in order.

    What all rows of a batch have in common goes to every replica: the items of an in-batch
    softmax, negatives that a batch shares, the catalogue. The sum of the replicas' losses is then
    the loss of the batch, to the last negative.

    Args:
        batches: Batches as `tfadvrec.data`'s samplers give them, over and over.
        strategy: The strategy of the model.

    Raises:
        ValueError: The replicas do not divide the rows of a batch.
    """
    replicas = strategy.num_replicas_in_sync
    parts = keras.tree.flatten_with_path(batches.element_spec)
    common = _in_common(batches.element_spec)
    kept = [bool(path) and path[-1] in common for path, _ in parts]
    for (_, spec), whole in zip(parts, kept, strict=True):
        rows = spec.shape[0]
        if not whole and rows is not None and rows % replicas:
            raise ValueError(
                f"a batch of {rows} rows cannot be shared out evenly among {replicas} replicas. "
                f"Give a batch_size that {replicas} divides: it is that of all replicas together."
            )

    def dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = local * context.input_pipeline_id

        def shares(*batch: Any) -> tf.data.Dataset:
            batch = batch[0] if len(batch) == 1 else batch
            parts = [
                tf.tile(part[None], [local] + [1] * part.shape.rank)
                if whole
                else _cut(part, replicas)[first : first + local]
                for part, whole in zip(tf.nest.flatten(batch), kept, strict=True)
            ]
            return tf.data.Dataset.from_tensor_slices(tf.nest.pack_sequence_as(batch, parts))

        shared = batches.flat_map(tf.autograph.experimental.do_not_convert(shares))
        endless = tf.data.experimental.INFINITE_CARDINALITY
        return shared.apply(tf.data.experimental.assert_cardinality(endless))

    return strategy.distribute_datasets_from_function(dataset)


def can_be_shared(data: Any) -> bool:
    """Whether data are blocks, or plain batches of one known size, known to end."""
    if not isinstance(data, tf.data.Dataset):
        return False
    if hasattr(data.element_spec, "per_epoch"):
        return True
    parts = tf.nest.flatten(data.element_spec)
    known = all(isinstance(part, tf.TensorSpec) and part.shape.rank for part in parts)
    return known and all(part.shape[0] for part in parts) and int(data.cardinality()) > 0


def _in_common(spec: Any) -> tuple[str, ...]:
    """The inputs that belong to all rows of a batch."""
    inputs = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(inputs, Mapping):
        return ()
    items = inputs.get("item_id")
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    if items is not None and _every_row_has_all(items, labels):
        return (*ALWAYS_WHOLE, *CANDIDATES)
    catalogue = items is not None and "history" in inputs and items.shape[0] == 1
    return (*ALWAYS_WHOLE, "item_id") if catalogue else ALWAYS_WHOLE


def _every_row_has_all(items: tf.TensorSpec, labels: Any) -> bool:
    """Whether the items of the batch are the candidates of each of its rows."""
    if items.shape.rank != 1 or not isinstance(labels, tf.TensorSpec):
        return False
    return labels.shape.rank == 2 and labels.shape[0] == labels.shape[1] == items.shape[0]


def _cut(part: tf.Tensor, replicas: int) -> tf.Tensor:
    rows = tf.shape(part)[0]
    with tf.control_dependencies([tf.debugging.assert_equal(rows % replicas, 0)]):
        shape = [replicas, rows // replicas, *tf.unstack(tf.shape(part)[1:])]
    cut = tf.reshape(part, shape)
    each = None if part.shape[0] is None else part.shape[0] // replicas
    return tf.ensure_shape(cut, [replicas, each, *part.shape[1:]])


def zeros(spec: tf.TensorSpec) -> tf.Tensor:
    """A tensor of a dataset's shapes, 1 where they are open."""
    return tf.zeros([1 if size is None else size for size in spec.shape], spec.dtype)
