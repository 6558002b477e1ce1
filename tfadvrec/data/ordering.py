"""Stable sorts of whole numbers, several times faster than `argsort`."""

import numpy as np

_BLOCK = 1 << 20


def stable_sort(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts whole numbers; equal ones keep their order.

    Key and position are packed into one 64-bit number where they fit, because sorting numbers is
    much faster than sorting positions.

    Args:
        keys: Integers of shape `(n,)`.

    Returns:
        The sorted keys and the position in `keys` of each, both int64 of shape `(n,)`.

    Example:
        >>> stable_sort(np.array([7, -1, 7, 0]))
        (array([-1,  0,  7,  7]), array([1, 3, 0, 2]))
    """
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    low, bits = int(keys.min()), np.uint64(max(1, (len(keys) - 1).bit_length()))
    if (int(keys.max()) - low).bit_length() + int(bits) > 64:
        order = np.argsort(keys, kind="stable")
        return keys[order].astype(np.int64, copy=False), order
    packed = np.subtract(keys, low, dtype=np.int64).view(np.uint64)
    del keys  # many callers hold no other reference
    packed <<= bits
    for start in range(0, len(packed), _BLOCK):
        part = packed[start : start + _BLOCK]
        part |= np.arange(start, start + len(part), dtype=np.uint64)
    packed.sort()
    values = (packed >> bits).view(np.int64)
    values += low
    packed &= (np.uint64(1) << bits) - np.uint64(1)
    return values, packed.view(np.int64)


def taken(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns `table[rows]` without widening all of `rows` to 64 bits at once.

    Args:
        table: Values of shape `(size,)`.
        rows: Positions of shape `(n,)`; negative ones count from the end.

    Returns:
        Values of shape `(n,)`.
    """
    out = np.empty(len(rows), table.dtype)
    for start in range(0, len(rows), _BLOCK):
        out[start : start + _BLOCK] = table[rows[start : start + _BLOCK]]
    return out


def used_rows(rows: np.ndarray, size: int) -> np.ndarray:
    """Marks the rows that occur.

    Args:
        rows: Positions of shape `(n,)`; negative ones count from the end.
        size: How many rows there are.

    Returns:
        A mask of shape `(size,)`.
    """
    used = np.zeros(size, bool)
    for start in range(0, len(rows), _BLOCK):
        used[rows[start : start + _BLOCK]] = True
    return used
