"""Metrics of the recommended lists themselves: spread, popularity, novelty, diversity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

LIST_METRICS = ("coverage", "gini", "novelty", "popularity", "aplt", "ild")
HEAD_SHARE = 0.8


def long_tail(popularity: np.ndarray) -> np.ndarray:
    """Marks the items outside the short head.

    The short head are the most popular items that together hold 80% of the training interactions;
    items as popular as its last one belong to it too.

    Args:
        popularity: `(items,)` training interactions of each item.

    Returns:
        bool `(items,)`.

    Example:

    >>> long_tail(np.array([8, 1, 1]))
    array([False,  True,  True])
    """
    ordered = np.sort(popularity)[::-1]
    reached = np.searchsorted(np.cumsum(ordered), HEAD_SHARE * popularity.sum())
    return popularity < ordered[min(reached, len(ordered) - 1)]


def gini(exposure: np.ndarray) -> float:
    """Gini index of how often each item is recommended: 0 all equal, towards 1 few items only.

    Example:

    >>> round(gini(np.array([0, 0, 0, 5])), 2), gini(np.array([2, 2]))
    (0.75, 0.0)
    """
    total, count = exposure.sum(), len(exposure)
    if total == 0:
        return float("nan")
    weight = 2.0 * np.arange(1, count + 1) - count - 1.0
    return float((weight * np.sort(exposure)).sum() / (count * total))


class ListMetrics:
    """Collects recommended lists chunk by chunk and turns them into metrics.

    `popularity@k` is the mean number of training interactions of the recommended items,
    `novelty@k` the mean of -log2(popularity / users) (an item without interactions counts as one),
    `aplt@k` the share of long-tail items, `ild@k` the mean cosine distance of all pairs in a list.
    `coverage@k` (share of the catalogue in at least one list) and `gini@k` belong to the whole
    set of lists, not to a user. A user with an empty list has no value (NaN).

    Args:
        train: The training `Interactions`.
        k: Cuts.
        metrics: Names out of `LIST_METRICS`.
        item_vectors: `(items, d)` vectors for `ild`; by default an item is the set of its training
            users, so that two items' similarity is n_ij / sqrt(n_i n_j).
    """

    def __init__(
        self,
        train: Any,
        k: Sequence[int],
        *,
        metrics: Sequence[str],
        item_vectors: np.ndarray | None = None,
    ):
        self.train, self.k, self.metrics = train, tuple(k), tuple(metrics)
        self.item_vectors = item_vectors
        popularity = np.asarray(train.popularity(), np.float64)
        self._of_item = {
            "popularity": popularity,
            "novelty": -np.log2(np.maximum(popularity, 1.0) / max(train.n_users, 1)),
            "aplt": long_tail(popularity).astype(np.float64),
        }
        self._exposure = {cut: np.zeros(train.n_items, np.int64) for cut in self.k}
        self._parts: dict[str, list[np.ndarray]] = {}
        self._lists: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, items: np.ndarray, place: np.ndarray) -> None:
        """Takes the lists of the next users: items and their positions, `(users, max k)` each."""
        for cut in self.k:
            member = place[:, :cut] < cut
            chosen = items[:, :cut]
            self._exposure[cut] += np.bincount(chosen[member], minlength=self.train.n_items)
            length = member.sum(axis=1)
            for name in self._of_item.keys() & set(self.metrics):
                total = (self._of_item[name][chosen] * member).sum(axis=1)
                value = np.where(length > 0, total / np.maximum(length, 1), np.nan)
                self._parts.setdefault(f"{name}@{cut}", []).append(value)
        if "ild" in self.metrics:
            self._lists.append((items, place))

    def per_user(self) -> dict[str, np.ndarray]:
        """Values per user, float64, in the order in which the users were added."""
        values = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        if "ild" in self.metrics and self._lists:
            values |= self._diversity()
        return values

    def overall(self) -> dict[str, float]:
        """Coverage and Gini index of all lists together."""
        values: dict[str, float] = {}
        for cut, exposure in self._exposure.items():
            if "coverage" in self.metrics:
                values[f"coverage@{cut}"] = float(np.mean(exposure > 0))
            if "gini" in self.metrics:
                values[f"gini@{cut}"] = gini(exposure)
        return values

    def recommended(self) -> dict[str, int]:
        """Total recommended items for each cut, to tell how short the lists are."""
        return {f"@{cut}": int(e.sum()) for cut, e in self._exposure.items()}

    def _diversity(self) -> dict[str, np.ndarray]:
        items = np.concatenate([part[0] for part in self._lists])
        place = np.concatenate([part[1] for part in self._lists])
        listed, column = np.unique(items, return_inverse=True)
        similar = self._similarity(listed)
        column = column.reshape(items.shape)
        values: dict[str, list[np.ndarray]] = {f"ild@{cut}": [] for cut in self.k if cut > 1}
        block = max(1, 4_000_000 // items.shape[1] ** 2)
        for start in range(0, len(items), block):
            for cut in (cut for cut in self.k if cut > 1):
                chosen = column[start : start + block, :cut]
                member = (place[start : start + block, :cut] < cut).astype(np.float32)
                pairs = similar[chosen[:, :, None], chosen[:, None, :]]
                total = np.einsum("uij,ui,uj->u", pairs, member, member, optimize=False)
                count = member.sum(axis=1)
                ordered = np.maximum(count * (count - 1), 1)
                values[f"ild@{cut}"].append(np.where(count > 1, 1.0 - total / ordered, np.nan))
        return {name: np.concatenate(parts).astype(np.float64) for name, parts in values.items()}

    def _similarity(self, listed: np.ndarray) -> np.ndarray:
        """Cosine of every two listed items, zero diagonal; row of the padding item -1 unused."""
        rows = np.maximum(listed, 0)
        if self.item_vectors is None:
            vectors = sparse.csc_matrix(self.train.csr())[:, rows].T.astype(np.float32).tocsr()
            length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
            scale = sparse.diags(1.0 / np.maximum(length, 1e-12)).astype(np.float32)
            vectors = (scale @ vectors).tocsr()
            similar = (vectors @ vectors.T).toarray()
        else:
            vectors = np.asarray(self.item_vectors, np.float32)[rows]
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            similar = vectors @ vectors.T
        np.fill_diagonal(similar, 0.0)
        return similar
