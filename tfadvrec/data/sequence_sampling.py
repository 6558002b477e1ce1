"""Samplers of sequences: at every event, what came next."""

import numpy as np
import tensorflow as tf

from tfadvrec.data.checks import DataError
from tfadvrec.data.epochs import Epochs
from tfadvrec.data.event_windows import UserEvents
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.negatives import Negatives
from tfadvrec.data.sequence_block import SequenceBlock

CANDIDATES = ("own", "shared", "catalogue")


def sequences(
    log: Interactions,
    *,
    batch_size: int,
    length: int = 50,
    negatives: int = 1,
    candidates: str = "own",
    strategy: str = "uniform",
    windows: int | None = 1,
    seed: int = 0,
    block: int | None = None,
) -> tf.data.Dataset:
    """Users' events in time order; the target of each is the user's next event.

    Args:
        log: The training interactions; in the order of their rows where it has no times.
        batch_size: Sequences in a batch; users with one event have none, and an epoch's last
            incomplete batch is dropped.
        length: Events in a sequence; shorter ones have -1 in front.
        negatives: With `"own"`, negatives of each position, outside its user's items; with
            `"shared"`, negatives of the whole batch (those that a user took are labelled -1).
        candidates: What a target is told from: `"own"` negatives of each position, `"shared"` ones,
            which cost least, or the whole `"catalogue"`, with as many scores a position as items.
        strategy: `"uniform"`, or `"popularity"` in proportion to the items' training counts. With
            shared popular ones, the batch has the probabilities that a corrected softmax needs.
        windows: How many sequences a long history gives at most, the last first (each event is a
            target once); None for all.
        seed: What order and negatives are drawn from.
        block: Batches in a `SequenceBlock`; None gives plain batches.

    Returns:
        A dataset of `(inputs, labels)` or of blocks. The inputs: `"history"` int32 `(batch,
        length)`; `"history_gap"`, the same shape, where the log has times (see
        `tfadvrec.data.event_windows.gap_buckets`); `"item_id"` `(batch, length, 1 + negatives)`
        with the target in column 0, or `(1, 1, n_items)`, or `(batch, length, 1)` beside
        `"shared_id"` `(negatives,)`, with their probabilities `"sampling_probability"` and
        `"shared_probability"`. The labels: float32 `(batch * length, scores a position)`, -1
        throughout where there was no event.

    Raises:
        DataError: More sequences are asked for than there are, or a user has taken everything.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 1], ["tea", "jam", "oats"], time=[30, 10, 20])
    >>> inputs, labels = next(iter(sequences(log, batch_size=1, length=3, candidates="catalogue")))
    >>> log.item_ids[inputs["history"][0, 1:]].tolist(), labels.numpy()[:2].tolist()
    (['jam', 'oats'], [[-1.0, -1.0, -1.0], [0.0, 1.0, 0.0]])
    """
    _check(candidates, strategy, {"length": length, "negatives": negatives, "windows": windows})
    user, events, gaps = _tables(log, length, windows)
    if not 0 < batch_size <= len(user):
        raise DataError(
            f"batch_size must lie between 1 and the {len(user)} sequences of the log (users with "
            f"one event have none, the last incomplete batch is dropped). Received: {batch_size}"
        )
    if block is not None and block < 1:
        raise ValueError(f"block must be 1 or more batches. Received: {block}")
    own, shared = _negatives(log, candidates, strategy, negatives, length)
    tables = [tf.constant(table) for table in (user, events, gaps)]
    epochs = Epochs(len(user), batch_size=batch_size, most=block or 1, seed=seed)
    signature = (
        tf.TensorSpec([epochs.size, batch_size], tf.int32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2], tf.int32),
    )
    return epochs.dataset(
        epochs,
        signature,
        lambda chosen, steps, key: SequenceBlock(
            chosen,
            steps,
            key,
            *tables,
            own=own,
            shared=shared,
            candidates=candidates,
            per_epoch=epochs.steps,
        ),
        batches=block is None,
    )


def sequence_count(log: Interactions, *, length: int = 50, windows: int | None = 1) -> int:
    """How many sequences `sequences` makes of a log, whatever the size of the batches.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 1, 2], ["tea", "jam", "oats", "tea"])
    >>> sequence_count(log, length=1), sequence_count(log, length=1, windows=None)
    (1, 2)
    """
    return int(_each(np.bincount(log.user, minlength=log.n_users), length, windows).sum())


def _each(counts: np.ndarray, length: int, windows: int | None) -> np.ndarray:
    """How many sequences each user gives."""
    each = -(-np.maximum(counts - 1, 0) // length)
    return each if windows is None else np.minimum(each, windows)


def _check(candidates: str, strategy: str, sizes: dict[str, int | None]) -> None:
    if candidates not in CANDIDATES:
        raise ValueError(f"candidates must be one of {CANDIDATES}. Received: {candidates!r}")
    if candidates == "own" and strategy != "uniform":
        raise ValueError(
            "a position's own negatives are uniform; strategy='popularity' is for "
            f"candidates='shared'. Received: {strategy!r}"
        )
    small = {name: size for name, size in sizes.items() if size is not None and size < 1}
    if small:
        raise ValueError(f"length, negatives and windows must be 1 or more. Received: {small}")


def _tables(
    log: Interactions, length: int, windows: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whose each sequence is, its `length + 1` events, and the gaps before the first `length`."""
    every = UserEvents(log)
    counts = np.diff(every.starts)
    each = _each(counts, length, windows)
    user = np.repeat(np.arange(log.n_users), each)
    number = np.arange(len(user)) - np.repeat(np.cumsum(each) - each, each)
    events, gaps = every.rows(user, counts[user] - number * length, length + 1)
    gaps = np.zeros((0, 0), np.int32) if log.time is None else gaps[:, :-1]
    return user.astype(np.int32), events, gaps


def _negatives(
    log: Interactions, candidates: str, strategy: str, count: int, length: int
) -> tuple[Negatives, Negatives]:
    """What draws a position's own negatives, and what draws those of a batch."""
    own = Negatives.of(log, count=count * length if candidates == "own" else 0)
    few = count if candidates == "shared" else 0
    one = Interactions(
        user=np.zeros(len(log), np.int32), item=log.item, user_ids=[0], item_ids=log.item_ids
    )
    drawn = Negatives.of(one.take(np.zeros(0, int)), count=few)
    if strategy == "uniform":
        return own, drawn
    popular = Negatives.of(one, count=0, strategy=strategy)
    fields = {name: getattr(drawn, name) for name in Negatives.__annotations__}
    copied = {name: getattr(popular, name) for name in ("share", "keep", "alias")}
    return own, Negatives(**{**fields, **copied, "strategy": strategy})
