"""Signals of a generator's health: a generated sample beside an equally large real one."""

import itertools
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.games.health.observation import Observation

_DECIMALS = 4  # numbers that agree so far are one value when duplicates are looked for


def measure(fake: Observation, real: Observation, *, seed: int = 0) -> dict[str, float]:
    """All signals that both observations have the parts for.

    The larger of two parts is cut down to the size of the smaller one by a seeded draw without
    replacement, because coverage, entropy, Gini and duplicates all depend on the sample's size.

    Args:
        fake: What the generator made.
        real: The real sample.
        seed: Seed of the cuts.

    Returns:
        Signal -> value: `coverage` and `entropy` (fake / real), `gini` (fake - real), each also
        as `coverage_fake` and so on; `duplicates` (rate fake - real) with `duplicates_fake` and
        `duplicates_real`; `distance_<column>` and their maximum `column_distance`.

    Example:
        >>> fake = Observation(items=np.array([0, 0, 0, 0]), n_items=4)
        >>> real = Observation(items=np.array([0, 1, 2, 3]), n_items=4)
        >>> found = measure(fake, real)
        >>> found["coverage"], found["gini"], found["entropy"]
        (0.25, 0.75, 0.0)
    """
    rng = np.random.default_rng(seed)
    found: dict[str, float] = {}
    if fake.counts is not None and real.counts is not None:
        found |= _of_items(fake.counts, real.counts, rng)
    found |= _of_rows(fake, real, rng)
    found |= _of_columns(fake, real)
    return found


def gini(counts: np.ndarray) -> float:
    """How unequally items occur: 0 all alike, towards 1 a single one.

    `G = 2 sum_i i x_(i) / (n sum x) - (n + 1) / n` with `x_(i)` ascending.

    Args:
        counts: Occurrences `(n_items,)`, not all zero.

    Example:
        >>> gini(np.array([1, 1, 1, 1])), gini(np.array([0, 0, 0, 4]))
        (0.0, 0.75)
    """
    ordered = np.sort(np.asarray(counts, np.float64))
    n = len(ordered)
    return float(2.0 * (np.arange(1, n + 1) @ ordered) / (n * ordered.sum()) - (n + 1) / n)


def entropy(counts: np.ndarray) -> float:
    """Shannon entropy in nats of the distribution that counts give; 0 where there is nothing.

    Example:
        >>> round(entropy(np.array([5, 5])), 4)  # ln 2
        0.6931
    """
    share = np.asarray(counts, np.float64)
    share = share[share > 0] / max(share.sum(), 1.0)
    return float(-(share @ np.log(share))) + 0.0


def duplicate_rate(rows: Any) -> float:
    """Share of rows that repeat an earlier row.

    Args:
        rows: `(rows, width)`, an array of any kind or a CSR matrix.

    Example:
        >>> duplicate_rate(np.array([[1, 0], [1, 0], [0, 1], [1, 0]]))
        0.5
    """
    if rows.shape[0] == 0:
        return 0.0
    if sparse.issparse(rows):
        keys = _sparse_keys(rows)
        return 1.0 - len(set(keys)) / len(keys)
    rows = np.round(rows, _DECIMALS) + 0.0 if rows.dtype.kind == "f" else rows
    return 1.0 - len(np.unique(rows, axis=0)) / len(rows)


def category_distance(fake: np.ndarray, real: np.ndarray) -> float:
    """Jensen-Shannon distance of two columns of categories: root of the divergence in bits, 0 to 1.

    Example:
        >>> category_distance(np.array(["a", "a"]), np.array(["b", "b"]))
        1.0
    """
    sizes = len(fake), len(real)
    _, codes = np.unique(np.concatenate([fake, real]), return_inverse=True)
    width = codes.max() + 1
    p = np.bincount(codes[: sizes[0]], minlength=width) / sizes[0]
    q = np.bincount(codes[sizes[0] :], minlength=width) / sizes[1]
    middle = (p + q) / 2
    bits = sum(_kullback(part, middle) for part in (p, q)) / 2
    return float(np.sqrt(min(max(bits, 0.0), 1.0)))


def number_distance(fake: np.ndarray, real: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of two columns of numbers: the largest gap of their CDFs.

    Example:
        >>> number_distance(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
        0.5
    """
    fake, real = np.sort(fake), np.sort(real)
    both = np.concatenate([fake, real])
    gap = [np.searchsorted(part, both, side="right") / len(part) for part in (fake, real)]
    return float(np.abs(gap[0] - gap[1]).max())


def _of_items(fake: np.ndarray, real: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    if not real.any():
        return {}
    if not fake.any():  # a generator that makes nothing covers nothing
        return {"coverage": 0.0, "entropy": 0.0}
    size = int(min(fake.sum(), real.sum()))
    cut = [_cut_counts(counts, size, rng) for counts in (fake, real)]
    shares = [float(np.count_nonzero(counts)) / len(counts) for counts in cut]
    unequal = [gini(counts) for counts in cut]
    bits = [entropy(counts) for counts in cut]
    found = {"coverage": shares[0] / shares[1], "gini": unequal[0] - unequal[1]}
    if bits[1] > 0:
        found["entropy"] = bits[0] / bits[1]
    for name, pair in (("coverage", shares), ("gini", unequal), ("entropy", bits)):
        found |= {f"{name}_fake": pair[0], f"{name}_real": pair[1]}
    return found


def _cut_counts(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return counts if counts.sum() == size else rng.multivariate_hypergeometric(counts, size)


def _of_rows(fake: Observation, real: Observation, rng: np.random.Generator) -> dict[str, float]:
    """Duplicates among profiles; where there are none, among the rows of all shared columns."""
    pair = [_rows(fake, real), _rows(real, fake)]
    if pair[0] is None or pair[1] is None:
        return {}
    size = min(rows.shape[0] for rows in pair)
    rates = [
        duplicate_rate(
            rows
            if rows.shape[0] == size
            else rows[np.sort(rng.choice(rows.shape[0], size, replace=False))]
        )
        for rows in pair
    ]
    return {
        "duplicates": rates[0] - rates[1],
        "duplicates_fake": rates[0],
        "duplicates_real": rates[1],
    }


def _rows(one: Observation, other: Observation) -> Any:
    if one.profiles is not None and other.profiles is not None:
        return one.profiles
    shared = sorted(set(one.columns) & set(other.columns))
    if not shared or one.profiles is not None or other.profiles is not None:
        return None
    # codes over both samples, so that values of any kind are compared as whole numbers
    return np.stack([_codes(one.columns[name]) for name in shared], axis=1)


def _codes(values: np.ndarray) -> np.ndarray:
    values = np.round(values, _DECIMALS) if values.dtype.kind == "f" else _plain(values)
    return np.unique(values, return_inverse=True)[1]


def _plain(values: np.ndarray) -> np.ndarray:
    """Tuples of text, say, as text."""
    return values.astype(str) if values.dtype.kind == "O" else values


def _of_columns(fake: Observation, real: Observation) -> dict[str, float]:
    found = {}
    for name in fake.columns:
        if name not in real.columns:
            continue
        pair = tuple(_plain(side.columns[name]) for side in (fake, real))
        if not all(len(values) for values in pair):
            continue
        kinds = {values.dtype.kind for values in pair}
        if "f" in kinds and not kinds <= set("fiub"):
            raise ValueError(f"column {name!r} holds numbers on one side and text on the other")
        distance = number_distance if "f" in kinds else category_distance
        found[f"distance_{name}"] = distance(*pair)
    if found:
        found["column_distance"] = max(found.values())
    return found


def _kullback(p: np.ndarray, q: np.ndarray) -> float:
    held = p > 0
    return float(p[held] @ np.log2(p[held] / q[held]))


def _sparse_keys(rows: sparse.csr_matrix) -> list[tuple[bytes, bytes]]:
    rows = rows.copy()
    rows.eliminate_zeros()
    rows.sort_indices()
    data = np.round(rows.data, _DECIMALS) + 0.0 if rows.data.dtype.kind == "f" else rows.data
    edges = rows.indptr
    return [
        (rows.indices[start:stop].tobytes(), data[start:stop].tobytes())
        for start, stop in itertools.pairwise(edges)
    ]
