"""Who and what a log knows little about: cold users and the long tail of items."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.evaluation.list_metrics import long_tail

COLD = 0.25
TARGETS = ("all", "cold", "tail")

POLICY = (
    f"Cold users: profile lengths up to the {COLD:.0%} quantile of those with interactions. Tail "
    "items: those outside the most popular ones that together hold 80% of the interactions."
)


def cold_users(log: Interactions) -> np.ndarray:
    """Marks the users with interactions whose profiles are shortest.

    Args:
        log: The training interactions.

    Returns:
        A mask `(n_users,)`: profile length at least 1 and at most the 25% quantile.

    Example:

    >>> log = Interactions.from_arrays([1, 2, 2, 3, 3, 4, 4], [7, 7, 8, 7, 8, 7, 8])
    >>> cold_users(log).tolist()
    [True, False, False, False]
    """
    lengths = np.bincount(log.user, minlength=log.n_users)
    edge = np.quantile(lengths[lengths > 0], COLD)
    return (lengths > 0) & (lengths <= edge)


def tail_items(log: Interactions) -> np.ndarray:
    """Marks the items outside the short head, `(n_items,)`; without interactions too.

    Args:
        log: The training interactions.
    """
    return long_tail(log.popularity())


def check_target(to: str) -> None:
    """Refuses a target that is unknown.

    Raises:
        ValueError: It is not one of `"all"`, `"cold"`, `"tail"`.
    """
    if to not in TARGETS:
        raise ValueError(f"to: expected one of {', '.join(TARGETS)}, got {to!r}.")
