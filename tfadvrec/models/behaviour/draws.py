"""Uniform numbers with a seed a row, in NumPy: a row never depends on its neighbours."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, rows: np.ndarray, width: int, *, stream: int = 0) -> np.ndarray:
    """Numbers in (0, 1) that are a function of seed, stream, row and place alone.

    Args:
        seed: The sample's seed.
        rows: Integer `(n,)`: which rows, as they are numbered in the sample.
        width: Numbers a row.
        stream: Tells apart what the numbers are for.

    Returns:
        float32 `(n, width)`.

    Example:

    >>> both = uniform(7, np.array([0, 5]), 3)
    >>> bool((both[1] == uniform(7, np.array([5]), 3)[0]).all())
    True

    Reference: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        key = _mix(np.uint64(seed % 2**63) * np.uint64(2) + np.uint64(1))
        key = _mix(key ^ _mix(np.uint64(stream) + _GOLDEN))
        key = _mix(key ^ _mix(np.asarray(rows).astype(np.uint64) * _GOLDEN + _GOLDEN))
        places = (np.arange(width, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        bits = _mix(key[:, None] + places)
    return ((bits >> np.uint64(41)).astype(np.float32) + 0.5) / np.float32(1 << 23)


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
