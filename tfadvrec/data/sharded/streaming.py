"""Batches and blocks from shards that are read one after the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfadvrec.data.block import Block
from tfadvrec.data.checks import DataError
from tfadvrec.data.epochs import Epochs
from tfadvrec.data.negatives import Negatives, check_choice, rounds_of, share_tables
from tfadvrec.data.sharded.sharded_log import ShardedLog


class ShardEpochs(Epochs):
    """The order of an epoch: the shards in an order of its own, the rows of each likewise.

    A batch lies in one shard, and the last incomplete batch of every shard is dropped, another
    one each epoch. Of one shard, the order is that of `Epochs`.

    Args:
        rows: How many interactions each shard has.
        batch_size: Interactions in a batch.
        most: Batches in a block, at most.
        seed: What the order is drawn from.

    Example:

    >>> epochs = ShardEpochs((5, 4), batch_size=2, most=8, seed=0)
    >>> sorted((shard, int(steps)) for shard, _, steps, _ in epochs())
    [(0, 2), (1, 2)]
    """

    def __init__(self, rows: tuple[int, ...], *, batch_size: int, most: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed, self.epoch = rows, batch_size, seed, 0
        steps = [count // batch_size for count in rows]
        self.steps, self.count = sum(steps), sum(rows)
        self.size = -(-max(steps) // -(-max(steps) // most))
        self.blocks = sum(-(-count // self.size) for count in steps)

    def __call__(self) -> Iterator[tuple[int, np.ndarray, np.int32, np.ndarray]]:
        """Yields a shard, positions in it, how many batches of them are real, and a key."""
        epoch, number, first, key = self.epoch, 0, 0, None
        random = np.random.default_rng([self.seed, epoch])
        for shard in np.random.default_rng([self.seed, epoch, 1]).permutation(len(self.rows)):
            order = random.permutation(np.arange(self.rows[shard], dtype=np.int32))
            if key is None:
                key = random.integers(0, 2**31 - 1, dtype=np.int32)
            left = len(order) // self.batch_size
            for start in range(0, left, self.size):
                steps = min(self.size, left - start)
                chosen = np.zeros((self.size, self.batch_size), np.int32)
                rows = order[start * self.batch_size : (start + steps) * self.batch_size]
                chosen.reshape(-1)[: len(rows)] = rows
                number += 1
                if number == self.blocks:
                    self.epoch = epoch + 1
                yield int(shard), chosen, np.int32(steps), np.array([key, first], np.int32)
                first += steps


class _Positives:
    """What of a log its negatives must not be: tables for one shard at a time, of one shape."""

    def __init__(self, log: ShardedLog, count: int, strategy: str) -> None:
        check_choice(count, strategy)
        most, fullest = log.fullest()
        if count and most >= log.n_items:
            raise DataError(
                f"the user with id {log.user_ids[fullest].item()!r} has interacted with all "
                f"{log.n_items} items, so no negative exists. Drop such users or train with "
                "negatives=0."
            )
        self.log, self.rounds = log, rounds_of(max(1, most))
        self.users, self.most = -(-log.n_users // log.shards), max(log.rows)
        self.fixed = {"n_items": log.n_items, "count": count, "strategy": strategy}
        self.share = share_tables(log.popularity() / max(len(log), 1), strategy)
        self.signature = (
            tf.TensorSpec([self.users + 1], tf.int32),
            tf.TensorSpec([self.most + 1], tf.int32),
        )

    def tables(self, user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the positives of each user of a shard begin, and all of them; see `Negatives`."""
        place = (user // self.log.shards, item)
        seen = sparse.csr_matrix((np.ones(len(user), bool), place), (self.users, self.log.n_items))
        seen.sum_duplicates()
        items = np.zeros(self.most + 1, np.int32)
        items[: seen.nnz] = seen.indices
        return seen.indptr.astype(np.int32), items

    def negatives(self, start: tf.Tensor, items: tf.Tensor) -> Negatives:
        """How negatives are drawn for the users of a shard."""
        return Negatives(
            start=start,
            items=items,
            bits=tf.zeros([0], tf.uint32),
            words=0,
            rounds=self.rounds,
            stride=self.log.shards,
            **self.share,
            **self.fixed,
        )


def streamed(
    log: ShardedLog,
    kind: str,
    *,
    rated: bool,
    negatives: int,
    strategy: str,
    batch_size: int,
    seed: int,
    block: int | None,
) -> tf.data.Dataset:
    """Blocks of an epoch, shard after shard, or the batches that they hold.

    Args:
        log: The training part.
        kind: `"pairs"`, `"points"` or `"in_batch"`.
        rated: Whether a positive's label is its rating.
        negatives, strategy, batch_size, seed, block: As in `tfadvrec.data.pairs`.

    Raises:
        DataError: No shard holds a batch, or a user has all items.
    """
    if not 0 < batch_size <= max(log.rows):
        raise DataError(
            f"batch_size must lie between 1 and the {max(log.rows):,} interactions of the largest "
            "shard: a batch is of one shard (prepare with a larger shard_rows for larger batches). "
            f"Received: {batch_size}"
        )
    epochs = ShardEpochs(log.rows, batch_size=batch_size, most=block or 1, seed=seed)
    positives = _Positives(log, negatives, strategy)
    rows = tf.TensorSpec([epochs.size, batch_size], tf.int32)
    without = np.zeros((0, 0), np.float32)

    def blocks() -> Iterator[tuple[Any, ...]]:
        open_shard, columns, tables = None, {}, ()
        for shard, chosen, steps, key in epochs():
            if shard != open_shard:
                columns, open_shard = log.shard(shard), shard
                tables = positives.tables(columns["user"], columns["item"])
            label = columns["rating"][chosen] if rated else without
            yield columns["user"][chosen], columns["item"][chosen], label, steps, key, *tables

    signature = (
        rows,
        rows,
        tf.TensorSpec(rows.shape if rated else [0, 0], tf.float32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2], tf.int32),
        *positives.signature,
    )
    no_weight, no_class = tf.zeros([0, 0]), tf.zeros([0])
    return epochs.dataset(
        blocks,
        signature,
        lambda user, item, label, steps, key, start, items: Block(
            user,
            item,
            label,
            no_weight,
            no_class,
            steps,
            key,
            negatives=positives.negatives(start, items),
            kind=kind,
            per_epoch=epochs.steps,
        ),
        batches=block is None,
    )
