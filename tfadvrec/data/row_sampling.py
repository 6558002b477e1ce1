"""Samplers of rows of arrays, and of whole histories, for `fit`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.data.checks import DataError
from tfadvrec.data.epochs import Epochs
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.multi_hot import padded
from tfadvrec.data.row_block import RowBlock


def rows(
    tables: Mapping[str, Any],
    *,
    batch_size: int,
    label: str = "",
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """Rows of arrays in an order of its own each epoch, as dictionaries of batches.

    Args:
        tables: Name -> array `(n, ...)`; all have the same number of rows.
        batch_size: Rows in a batch; the last incomplete batch of an epoch is dropped.
        label: The table that is the labels, or an empty text for none.
        seed: What the order is drawn from.
        block: Batches in a `RowBlock`, run in one compiled step; None gives plain batches.

    Returns:
        A dataset of `{name: (batch, ...)}`, of `({name: (batch, ...)}, labels)`, or of blocks; one
        pass is one epoch.

    Raises:
        DataError: The arrays differ in length, a batch has more rows than they, or there is no
            table of labels by that name.

    Example:

    >>> batch = next(iter(rows({"x": np.arange(6.0)}, batch_size=4, seed=0)))
    >>> batch["x"].shape
    TensorShape([4])
    """
    tensors = {name: tf.convert_to_tensor(table) for name, table in tables.items()}
    if label and label not in tensors:
        raise DataError(f"there is no table {label!r} of labels; there are {sorted(tensors)}.")
    return _dataset(tensors, batch_size, seed, block, label=label)


def histories(
    log: Interactions,
    *,
    batch_size: int,
    side: str = "user",
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """Whole histories: which items each user took, or which users took each item.

    Args:
        log: The training interactions.
        batch_size: Users (or items) in a batch; those without interactions are left out, and so is
            an epoch's last incomplete batch.
        side: `"user"` or `"item"`.
        seed: What the order is drawn from.
        block: Batches in a `RowBlock`; None gives plain batches.

    Returns:
        A dataset of `({"user_id": int32 (batch,)}, float32 (batch, n_items))`, or
        `({"item_id": ...}, float32 (batch, n_users))`, or of blocks.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"])
    >>> inputs, taken = next(iter(histories(log, batch_size=2)))
    >>> taken.numpy()[np.argsort(inputs["user_id"])].tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    if side not in ("user", "item"):
        raise ValueError(f"side must be 'user' or 'item'. Received: {side!r}")
    matrix = log.csr() if side == "user" else log.csr().T.tocsr()
    active = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int32)
    tables = {
        f"{side}_id": tf.constant(active),
        "taken": tf.constant(padded(matrix[active])),
    }
    return _dataset(tables, batch_size, seed, block, label="taken", width=matrix.shape[1])


def _dataset(
    tables: Mapping[str, tf.Tensor],
    batch_size: int,
    seed: int,
    block: int | None,
    *,
    label: str = "",
    width: int = 0,
) -> tf.data.Dataset:
    """Blocks of an epoch, one after the other, or the batches that they hold."""
    counts = {name: int(table.shape[0]) for name, table in tables.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"every table must have the same number of rows. Received: {counts}")
    count = next(iter(counts.values()))
    if not 0 < batch_size <= count:
        raise DataError(
            f"batch_size must lie between 1 and the {count} rows (the last incomplete batch is "
            f"dropped). Received: {batch_size}"
        )
    if block is not None and block < 1:
        raise ValueError(f"block must be 1 or more batches. Received: {block}")
    epochs = Epochs(count, batch_size=batch_size, most=block or 1, seed=seed)
    signature = (
        tf.TensorSpec([epochs.size, batch_size], tf.int32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2], tf.int32),
    )
    return epochs.dataset(
        epochs,
        signature,
        lambda chosen, steps, key: RowBlock(
            chosen, steps, key, tables, label=label, width=width, per_epoch=epochs.steps
        ),
        batches=block is None,
    )
