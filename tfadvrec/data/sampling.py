"""Samplers: a training log becomes batches, or compiled blocks of batches, for `fit`."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfadvrec.data.block import Block
from tfadvrec.data.checks import DataError
from tfadvrec.data.epochs import Epochs
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.negatives import Negatives
from tfadvrec.data.sharded.sharded_log import ShardedLog
from tfadvrec.data.sharded.streaming import streamed

Log = Interactions | ShardedLog


def pairs(
    log: Log,
    *,
    batch_size: int,
    negatives: int = 1,
    strategy: str = "uniform",
    weight: np.ndarray | None = None,
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """Each positive beside negatives of its user, for pairwise and listwise losses.

    One pass over the dataset is one epoch: every interaction once, in an order of its own,
    with fresh negatives. The last incomplete batch of an epoch is dropped. The same seed gives
    the same batches, whether blocks are used or not. A `ShardedLog` is read shard by shard, in an
    order of its own each epoch: a batch is of one shard, and of every shard the last incomplete
    batch is dropped.

    Args:
        log: The training interactions, in memory or prepared.
        batch_size: Positives in a batch.
        negatives: Negatives for each positive.
        strategy: `"uniform"` over the items that the user has not seen, or `"popularity"`:
            in proportion to the items' training counts, unseen items only.
        weight: `(len(log),)`, how much each interaction's loss counts; it becomes Keras's
            `sample_weight`, the third part of a batch. None gives no third part. Not for a
            `ShardedLog`.
        seed: What order and negatives are drawn from.
        block: Batches in a `Block` (at most an epoch); None gives plain batches.

    Returns:
        A dataset of `({"user_id": int32 (batch,), "item_id": int32 (batch, 1 + negatives)},
        labels float32 (batch, 1 + negatives))` with the positive in column 0, or of blocks.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.Interactions.from_arrays(user=[7, 7, 8, 8], item=["a", "b", "b", "c"])
    >>> inputs, labels = next(iter(tar.data.pairs(log, batch_size=2, seed=0)))
    >>> inputs["item_id"].shape, labels.numpy().tolist()
    (TensorShape([2, 2]), [[1.0, 0.0], [1.0, 0.0]])
    """
    return _dataset(log, "pairs", False, weight, (negatives, strategy), batch_size, seed, block)


def points(
    log: Log,
    *,
    batch_size: int,
    negatives: int = 1,
    strategy: str = "uniform",
    target: str = "implicit",
    weight: np.ndarray | None = None,
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """One candidate a row, for pointwise losses.

    Args:
        log: The training interactions.
        batch_size: Positives in a batch; a batch has `batch_size * (1 + negatives)` rows.
        negatives: Negatives for each positive, each a row with label 0.
        strategy: `"uniform"` or `"popularity"`; see `pairs`.
        target: `"implicit"` labels positives 1; `"rating"` labels them with their rating.
        weight: As in `pairs`; a positive's negatives have its weight.
        seed: What order and negatives are drawn from.
        block: Batches in a `Block`; None gives plain batches.

    Returns:
        A dataset of `({"user_id": int32 (rows,), "item_id": int32 (rows, 1)},
        labels float32 (rows, 1))`, or of blocks.

    Raises:
        DataError: `target="rating"` and the log has no ratings.
    """
    if target not in ("implicit", "rating"):
        raise ValueError(f"target must be 'implicit' or 'rating'. Received: {target!r}")
    rated, drawn = target == "rating", (negatives, strategy)
    if rated and not _has_ratings(log):
        raise DataError("target='rating' needs a log with ratings; this log has none.")
    return _dataset(log, "points", rated, weight, drawn, batch_size, seed, block)


def in_batch(
    log: Log,
    *,
    batch_size: int,
    weight: np.ndarray | None = None,
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """Every item of the batch is a candidate of every user, for the in-batch softmax.

    Args:
        log: The training interactions.
        batch_size: Positives in a batch.
        weight: As in `pairs`.
        seed: What the order is drawn from.
        block: Batches in a `Block`; None gives plain batches.

    Returns:
        A dataset of `({"user_id": int32 (batch,), "item_id": int32 (batch,),
        "sampling_probability": float32 (batch,)}, labels float32 (batch, batch))`, or of
        blocks. Labels are 1 on the diagonal, 0 for negatives and -1 (ignored by the losses) for
        accidental hits: candidates that are positives of that user. `sampling_probability` is
        the item's share of the training interactions, for the logQ correction.
    """
    return _dataset(log, "in_batch", False, weight, (0, "uniform"), batch_size, seed, block)


def _has_ratings(log: Log) -> bool:
    return "rating" in log.columns if isinstance(log, ShardedLog) else log.rating is not None


def _dataset(
    log: Log,
    kind: str,
    rated: bool,
    weight: np.ndarray | None,
    drawn: tuple[int, str],
    batch_size: int,
    seed: int,
    block: int | None,
) -> tf.data.Dataset:
    """Blocks of an epoch, one after the other, or the batches that they hold."""
    if block is not None and block < 1:
        raise ValueError(f"block must be 1 or more batches. Received: {block}")
    if not isinstance(log, ShardedLog):
        negatives = Negatives.of(log, count=drawn[0], strategy=drawn[1])
        return _in_memory(log, kind, rated, weight, negatives, batch_size, seed, block)
    if weight is not None:
        raise ValueError(
            "weight: a ShardedLog takes no array of weights, which would be as long as the log. "
            "Load the part into memory (log.load()), or train without weights."
        )
    return streamed(
        log,
        kind,
        rated=rated,
        negatives=drawn[0],
        strategy=drawn[1],
        batch_size=batch_size,
        seed=seed,
        block=block,
    )


def _in_memory(
    log: Interactions,
    kind: str,
    rated: bool,
    weight: np.ndarray | None,
    negatives: Negatives,
    batch_size: int,
    seed: int,
    block: int | None,
) -> tf.data.Dataset:
    if not 0 < batch_size <= len(log):
        raise DataError(
            f"batch_size must lie between 1 and the {len(log)} interactions of the log "
            f"(the last incomplete batch is dropped). Received: {batch_size}"
        )
    label = log.rating if rated else None
    parts = [None if part is None else np.asarray(part, np.float32) for part in (label, weight)]
    if weight is not None and parts[1].shape != (len(log),):
        raise ValueError(
            f"weight must have one value for each of the {len(log)} interactions. Received an "
            f"array of shape {parts[1].shape}"
        )
    epochs = Epochs(len(log), batch_size=batch_size, most=block or 1, seed=seed)
    rows = tf.TensorSpec([epochs.size, batch_size], tf.int32)
    without = np.zeros((0, 0), np.float32)

    def blocks() -> Iterator[tuple[np.ndarray, ...]]:
        for chosen, steps, key in epochs():
            others = (without if part is None else part[chosen] for part in parts)
            yield log.user[chosen], log.item[chosen], *others, steps, key

    signature = (
        rows,
        rows,
        *(tf.TensorSpec([0, 0] if p is None else rows.shape, tf.float32) for p in parts),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2], tf.int32),
    )
    none = tf.zeros([0])
    return epochs.dataset(
        blocks,
        signature,
        lambda user, item, label, weight, steps, key: Block(
            user,
            item,
            label,
            weight,
            none,
            steps,
            key,
            negatives=negatives,
            kind=kind,
            per_epoch=epochs.steps,
        ),
        batches=block is None,
    )
