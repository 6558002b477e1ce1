"""Scores of the whole catalogue, block of users by block, and what must not be in them."""

import queue
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.evaluation.threads import in_order, one_blas_thread, thread_count

# Scores in one block by default: 4 MB, so that a block stays in cache from its product to its
# count. A block has 16 users where that fits in the 64 MB of all blocks (a product of fewer is
# bound by reading the items), and at least one.
_BLOCK, _LEAST_USERS, _ALL_BLOCKS = 1_000_000, 16, 16_000_000
# Users whose vectors are held at once, and those that are not worth a second thread.
_PIECE, _WORTH_A_THREAD = 65_536, 64


def check_same_catalogue(train: Any, others: Sequence[tuple[str, Any]], model: Any = None) -> None:
    """Raises `ValueError` unless all logs (and the model) count the same users and items."""
    wanted = (train.n_users, train.n_items)
    for label, log in others:
        found = (log.n_users, log.n_items)
        same = found == wanted and all(
            getattr(log, ids) is getattr(train, ids)
            or np.array_equal(getattr(log, ids), getattr(train, ids))
            for ids in ("user_ids", "item_ids")
        )
        if not same:
            raise ValueError(
                f"{label} does not share the vocabulary of train: train has {wanted[0]} users and "
                f"{wanted[1]} items, {label} has {found[0]} and {found[1]} (equal numbers of other "
                "ids count as different). Split one log with data.leave_last_out, by_time, "
                "by_ratio or published_split, so that row r means the same id in every part."
            )
    sizes = (getattr(model, "n_users", wanted[0]), getattr(model, "n_items", wanted[1]))
    if sizes != wanted:
        raise ValueError(
            f"the model was built for {sizes[0]} users and {sizes[1]} items, the logs have "
            f"{wanted[0]} and {wanted[1]}. Build it with n_users=train.n_users and "
            "n_items=train.n_items, or load the preset with the log's own ids."
        )


def pair_matrix(logs: Sequence[Any]) -> sparse.csr_matrix:
    """Binary matrix `(users, items)` of the pairs in the logs, items in order, none twice."""
    user = np.concatenate([log.user for log in logs])
    item = np.concatenate([log.item for log in logs])
    shape = (logs[0].n_users, logs[0].n_items)
    counted = sparse.coo_matrix((np.ones(len(user), np.int8), (user, item)), shape).tocsr()
    return sparse.csr_matrix((np.ones(counted.nnz, bool), counted.indices, counted.indptr), shape)


def block_users(n_items: int, threads: int) -> int:
    """How many users are scored at once by default, so that all blocks hold 64 MB of scores.

    Example:

    >>> block_users(3_706, 2), block_users(100_000, 2), block_users(10**6, 2), block_users(10**8, 2)
    (269, 16, 8, 1)
    """
    most = _ALL_BLOCKS // (n_items * threads)
    return max(1, min(max(_BLOCK // n_items, _LEAST_USERS), most))


def each_block(
    model: Any,
    users: np.ndarray,
    masked: sparse.csr_matrix,
    work: Callable[[int, np.ndarray], Any],
    *,
    chunk: int | None = None,
    threads: int | None = None,
) -> Iterator[Any]:
    """Yields `work(start, cost)` for consecutive blocks of users, in order.

    `cost` has shape `(users in the block, items)`, float32: the scores with their sign changed, so
    that the best come first, and NaN exactly where the user has seen the item: every comparison
    with NaN is false and every sort puts it last, so a masked item never counts. It is valid
    during the call only. Blocks run in threads.

    A model that scores by `Recommender.score_catalogue` is asked once for its item vectors, and
    the products are made here; any other is asked for its scores, a block at a time and never from
    two threads.

    Args:
        model: Anything with `score_catalogue(users) -> (users, items)`.
        users: Rows.
        masked: `(len(users), items)` items never ranked.
        work: Called from several threads, each with a block of its own.
        chunk: Users in a block; by default `block_users`.
        threads: Threads; by default the cores at hand.

    Raises:
        TypeError: If the model has no `score_catalogue`.
        ValueError: If the model returns another shape, or a NaN score.
    """
    if not hasattr(model, "score_catalogue"):
        raise TypeError(
            f"a {type(model).__name__} cannot be ranked: it has no score_catalogue(users). A Keras "
            "model gets one from tfadvrec.models.KerasRecommender(model, n_users, n_items, "
            "inputs=lambda users, items: ...)."
        )
    if not len(users):
        return
    threads = thread_count(threads)
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1 user, or None, got {chunk}")
    size = chunk or block_users(masked.shape[1], threads)
    if chunk is None:
        size = min(size, max(_WORTH_A_THREAD, -(-len(users) // threads)))
    threads = min(threads, -(-len(users) // size))
    vectors = inner_products(model)
    blocks = _scored(model, users, size) if vectors is None else _embedded(vectors, users, size)
    spare: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def done(block: tuple[int, np.ndarray]) -> Any:
        start, given = block
        try:
            whole = spare.get_nowait()
        except queue.Empty:
            whole = np.empty((size, masked.shape[1]), np.float32)
        cost = whole[: len(given)]
        with np.errstate(all="ignore"):
            if vectors is None:
                _check_shape(given, cost.shape)
                np.negative(given, out=cost)
            else:
                np.matmul(np.negative(given), vectors[1].T, out=cost)
        if np.isnan(cost.min(initial=np.inf)):
            raise _nan_scores(cost, users[start:])
        low, high = masked.indptr[start], masked.indptr[start + len(cost)]
        seen = np.diff(masked.indptr[start : start + len(cost) + 1])
        first = np.arange(len(cost)) * cost.shape[1]
        cost.reshape(-1)[np.repeat(first, seen) + masked.indices[low:high]] = np.nan
        result = work(start, cost)
        spare.put(whole)
        return result

    with nullcontext() if vectors is None else one_blas_thread():
        yield from in_order(done, blocks, threads)


def inner_products(model: Any) -> tuple[Callable[[np.ndarray], Any], np.ndarray] | None:
    """The model's `embed_users` and its item vectors, where its scores are their inner products.

    Only where `score_catalogue` is the one of `Recommender`, which says so: a subclass or an
    instance with its own may add anything to the product. Who has that method has loaded its
    module, so nothing is imported here.
    """
    module = sys.modules.get("tfadvrec.models.recommender")
    own = getattr(getattr(model, "score_catalogue", None), "__func__", None)
    if module is None or own is not module.Recommender.score_catalogue:
        return None
    items = model.embed_items(np.arange(model.n_items, dtype=np.int32))
    return model.embed_users, _float32(items)


def _embedded(
    vectors: tuple[Callable[[np.ndarray], Any], np.ndarray], users: np.ndarray, size: int
) -> Iterator[tuple[int, np.ndarray]]:
    piece = size * max(1, _PIECE // size)
    for outer in range(0, len(users), piece):
        embedded = _float32(vectors[0](users[outer : outer + piece].astype(np.int32)))
        for start in range(0, len(embedded), size):
            yield outer + start, embedded[start : start + size]


def _scored(model: Any, users: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(users), size):
        yield start, _float32(model.score_catalogue(users[start : start + size].astype(np.int32)))


def _float32(values: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32, copy=False)


def _check_shape(scores: np.ndarray, wanted: tuple[int, int]) -> None:
    if scores.shape != wanted:
        raise ValueError(
            f"score_catalogue({wanted[0]} users) returned shape {scores.shape}, expected "
            f"{wanted}: one score for every item of the catalogue."
        )


def _nan_scores(cost: np.ndarray, users: np.ndarray) -> ValueError:
    where = np.argwhere(np.isnan(cost))
    first = ", ".join(f"(user row {users[r]}, item row {i})" for r, i in where[:3])
    return ValueError(
        f"{len(where)} scores are NaN, first at {first}. A model with NaN scores cannot be "
        "ranked: look for a diverged training run (lower the learning rate, clip the "
        "gradients) or for missing values in the features."
    )
