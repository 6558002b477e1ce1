"""Where items stand in a block of costs: pessimistic positions and recommended lists.

A cost is a score with its sign changed, NaN where an item is not a candidate.
"""

import numpy as np

# Above this many held-out items of a user, sorting the row once beats counting for each item.
_SORT_FROM = 8
# So many flags of one bit can be added in a byte.
_BYTE = 255


def positions(cost: np.ndarray, starts: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Zero-based pessimistic position of each user's items.

    The position is the number of *other* candidates whose score is at least the item's, so equal
    scores count against the model.

    Args:
        cost: `(users, items)` costs, NaN where an item is not a candidate.
        starts: `(users + 1,)`: user `u` owns `item[starts[u]:starts[u + 1]]`.
        item: `(pairs,)`, candidates only.

    Returns:
        int64 `(pairs,)`.

    Example:

    >>> positions(-np.array([[3.0, 1.0, 1.0, np.nan]]), np.array([0, 2]), np.array([0, 1]))
    array([0, 2])
    """
    count = np.diff(starts)
    own = cost[np.repeat(np.arange(len(cost)), count), item]
    found = np.empty(len(item), np.int64)
    for user in np.flatnonzero(count > _SORT_FROM):
        pairs = slice(starts[user], starts[user + 1])
        found[pairs] = np.searchsorted(np.sort(cost[user]), own[pairs], side="right")
    for turn in range(min(_SORT_FROM, int(count.max(initial=0)))):
        users = np.flatnonzero((count > turn) & (count <= _SORT_FROM))
        pairs = starts[users] + turn
        rows = cost if len(users) == len(cost) else cost[users]
        found[pairs] = count_up_to(rows, own[pairs])
    return found - 1


def count_up_to(cost: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """How many costs of each row are at most the row's limit; NaN never is.

    The comparison's flags are added eight at a time, as the bytes of 64-bit words, which is several
    times faster than `count_nonzero` along an axis.

    Args:
        cost: `(rows, items)`.
        limit: `(rows,)`.

    Returns:
        int64 `(rows,)`.

    Example:

    >>> count_up_to(np.array([[1.0, 2.0, np.nan], [5.0, 5.0, 5.0]]), np.array([1.5, 5.0]))
    array([1, 3])
    """
    rows, items = cost.shape
    flags = np.zeros((rows, -(-items // 8) * 8), bool)
    np.less_equal(cost, limit[:, None], out=flags[:, :items])
    words = flags.view(np.uint64)
    total = np.zeros(rows, np.int64)
    for start in range(0, words.shape[1], _BYTE):
        added = np.add.reduce(words[:, start : start + _BYTE], axis=1)
        total += added.view(np.uint8).reshape(rows, 8).sum(axis=1, dtype=np.int64)
    return total


def top(cost: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The items whose pessimistic position is below `k`, best first.

    Items that tie across the cut are all left out, so a list may be shorter than `k`, a constant
    scorer recommends nothing, and the outcome does not depend on the order of the items. The list
    of a smaller cut is the part of this one whose positions are below that cut: always its start.

    Args:
        cost: float32 `(users, items)`, NaN where an item is not a candidate.
        k: Longest list wanted.

    Returns:
        `(items, positions)`, int32 and int64, both `(users, k)`; where there is no such item, -1
        and `k`.
    """
    rows, width = cost.shape
    if k < width:
        # What ties with the (k + 1)-th best cannot be in the list, so it is what beats it.
        cut = np.partition(cost, k, axis=1)[:, k]
        member = cost < cut[:, None]
        fewer = np.flatnonzero(np.isnan(cut))
        member[fewer] = ~np.isnan(cost[fewer])
    else:
        member = ~np.isnan(cost)
    flat = np.flatnonzero(member)
    begin = np.searchsorted(flat, np.arange(rows + 1) * width)
    length = np.diff(begin)
    row = np.repeat(np.arange(rows), length)
    # One integer orders a member by its cost, then by its item.
    key = (_in_order_as_integers(cost.reshape(-1)[flat]) << 32) | (flat - row * width)
    keys = np.full((rows, k), np.iinfo(np.int64).max)
    keys[row, np.arange(len(flat)) - begin[row]] = key
    keys.sort(axis=1)
    items = (keys & 0xFFFFFFFF).astype(np.int32)  # the filling becomes -1
    place = np.where(items < 0, k, np.arange(k))
    tied = (keys[:, 1:] >> 32) == (keys[:, :-1] >> 32)
    if tied.any():
        for j in range(k - 2, -1, -1):
            place[:, j] = np.where(tied[:, j], place[:, j + 1], place[:, j])
    return items, place


def _in_order_as_integers(cost: np.ndarray) -> np.ndarray:
    """float32 to int64 of 32 bits that compare in the same way; both zeros are one number."""
    bits = (cost + np.float32(0.0)).view(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
