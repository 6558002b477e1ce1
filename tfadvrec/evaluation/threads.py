"""Work on blocks of users in a few threads, with a bounded number of blocks in flight."""

import contextlib
import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

MOST = 16


def thread_count(threads: int | None) -> int:
    """The threads asked for, or as many as this process may use cores, at most 16.

    Raises:
        ValueError: If `threads` is below 1.
    """
    if threads is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return max(1, min(cores or 1, MOST))
    if threads < 1:
        raise ValueError(
            f"threads must be at least 1, or None for the cores at hand, got {threads}"
        )
    return int(threads)


def in_order(work: Callable[[Any], Any], tasks: Iterable[Any], threads: int) -> Iterator[Any]:
    """Yields `work(task)` for each task, in the order of the tasks.

    At most `threads + 1` tasks are held at once: `tasks` is drawn from in the calling thread, only
    as results are taken.
    """
    if threads == 1:
        yield from map(work, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@functools.cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """A context in which NumPy's matrix products use one thread, because the blocks have theirs.

    Products that split themselves over threads that are busy with other blocks wait for each
    other; on shared cores this was several times slower.
    """
    return _libraries().limit(limits=1, user_api="blas")
