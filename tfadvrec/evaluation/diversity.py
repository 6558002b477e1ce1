"""How alike the items of a list are: sums of cosines over the pairs of a list.

Three ways with the same result: given item vectors are added up along the list; items as sets of
training users are looked up in a table of their cosines, while it is small; and where lists hold
too many different items for a table, the sets themselves are added up.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from tfadvrec.evaluation.threads import in_order, one_blas_thread, thread_count

# Different items in all lists up to which their common users are held in a table: 134 MB, twice
# that where an item has 2^16 users.
TABLE_ITEMS = 8_192
# Numbers that a thread holds at once.
_HELD = 2_000_000
# Seconds of one multiplication and addition, in a dense product and in scipy's sparse one.
_DENSE, _SPARSE = 2.5e-11, 6e-9


class CoOccurrence:
    """Cosines of items as sets of training users: n_ij / sqrt(n_i n_j).

    They are computed for the items that are asked for and kept for the next model.

    Args:
        by_user: Binary `(users, items)` matrix of the training interactions.

    Example:

    >>> pairs = CoOccurrence(sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 1]])))
    >>> pairs.along(np.array([[0, 1, 2]]), [3]).round(3).tolist()  # 0 + 1/sqrt(2) + 1/sqrt(2)
    [[1.414]]
    """

    def __init__(self, by_user: sparse.csr_matrix):
        count = np.bincount(by_user.indices, minlength=by_user.shape[1])
        self._scale = (1.0 / np.sqrt(np.maximum(count, 1))).astype(np.float32)
        self._count = count
        self._by_user = by_user
        self._by_item: sparse.csr_matrix | None = None
        self._items = np.empty(0, np.int64)
        # Common users are whole numbers, and a table half as large is gathered faster.
        kind = np.uint16 if count.max(initial=0) < 1 << 16 else np.uint32
        self._table = np.empty((0, 0), kind)

    def along(
        self, lists: np.ndarray, cuts: Sequence[int] | np.ndarray, *, threads: int | None = None
    ) -> np.ndarray:
        """Sums of the cosines of all pairs in the first `cuts[c]` items of each list.

        Args:
            lists: `(users, k)` items, -1 as padding at the end.
            cuts: `(cuts,)`, the same for all lists, or `(users, cuts)` lengths, ascending.
            threads: Threads; by default the cores at hand.

        Returns:
            float64 `(users, cuts)`.
        """
        threads = thread_count(threads)
        lengths = np.broadcast_to(cuts, (len(lists), np.shape(cuts)[-1]))
        shown = np.zeros(len(self._scale) + 1, bool)
        shown[lists] = True  # the padding is the last one
        listed = np.flatnonzero(shown[:-1])
        if not len(listed):
            return np.zeros(lengths.shape)
        if len(np.union1d(listed, self._items)) <= TABLE_ITEMS:
            self._extend(np.setdiff1d(listed, self._items), threads)
        elif len(listed) <= TABLE_ITEMS:
            self._items, self._table = self._items[:0], self._table[:0, :0]
            self._extend(listed, threads)
        else:
            return self._without_table(lists, lengths, threads)
        slot = np.zeros(len(self._scale), np.int64)
        slot[self._items] = np.arange(len(self._items))
        flat, width = self._table.reshape(-1), len(self._items)

        def of_block(start: int) -> np.ndarray:
            own = lists[start : start + size]
            column, scale = slot[own], self._scale[own]
            row = column * width
            gained = np.zeros(column.shape, np.float32)
            for j in range(1, column.shape[1]):
                common = flat.take(row[:, j : j + 1] + column[:, :j], mode="clip")
                gained[:, j] = np.einsum("uk,uk->u", common, scale[:, :j])
            return at_lengths(gained * scale, lengths[start : start + size])

        size = max(1, min(512, _HELD // lists.shape[1]))
        return np.concatenate(list(in_order(of_block, range(0, len(lists), size), threads)))

    def _extend(self, fresh: np.ndarray, threads: int) -> None:
        """Adds the rows and columns of `fresh` items to the table of common users."""
        if not len(fresh):
            return
        # Popular items side by side: most pairs of a list then lie in few lines of cache.
        fresh = fresh[np.argsort(-self._count[fresh], kind="stable")]
        items = np.concatenate([self._items, fresh])
        old = len(self._items)
        table = np.empty((len(items), len(items)), self._table.dtype)
        table[:old, :old] = self._table
        chosen = sparse.csr_matrix(self._by_user[:, items], dtype=np.float32)
        each = np.diff(chosen.indptr)
        dense = _DENSE * len(items) * len(fresh) * np.count_nonzero(each) / threads
        if dense < _SPARSE * float((each.astype(np.float64) ** 2).sum()):
            _common_dense(chosen[each > 0], table, old, threads)
        else:
            table[:, old:] = (chosen.T @ chosen[:, old:]).toarray()
            table[old:, :old] = table[:old, old:].T
        self._items, self._table = items, table

    def _without_table(self, lists: np.ndarray, lengths: np.ndarray, threads: int) -> np.ndarray:
        """From |v_1 + ... + v_n|^2 = n + 2 (sum over pairs), with sparse sums of sparse v."""
        if self._by_item is None:
            by_item = sparse.csr_matrix(self._by_user.T, dtype=np.float32)
            by_item.data = np.repeat(self._scale, np.diff(by_item.indptr))
            self._by_item = by_item
        known = self._count > 0
        sizes = np.where(lists >= 0, self._count[lists], 0).sum(axis=1)
        block = np.cumsum(sizes) // _HELD
        edges = np.flatnonzero(np.diff(block, prepend=-1, append=block[-1] + 1))

        def of_block(edge: tuple[int, int]) -> np.ndarray:
            part, many = lists[slice(*edge)], lengths[slice(*edge)]
            found = np.empty(many.shape)
            for c in range(many.shape[1]):
                member = np.arange(part.shape[1]) < many[:, c : c + 1]
                own = part[member]
                starts = np.concatenate([[0], np.cumsum(many[:, c])])
                ones = np.ones(len(own), np.float32)
                chosen = sparse.csr_matrix((ones, own, starts), (len(part), len(known)))
                added = chosen @ self._by_item
                square = np.concatenate([[0.0], np.cumsum(added.data.astype(np.float64) ** 2)])
                found[:, c] = np.diff(square[added.indptr])
                found[:, c] -= (known[part] & member).sum(axis=1)
            return found / 2.0

        pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        return np.concatenate(list(in_order(of_block, pairs, threads)))


def along_vectors(
    vectors: np.ndarray,
    lists: np.ndarray,
    cuts: Sequence[int] | np.ndarray,
    *,
    threads: int | None = None,
) -> np.ndarray:
    """The same sums for items that have dense vectors.

    Args:
        vectors: `(items, d)`.
        lists: `(users, k)` items, -1 as padding at the end.
        cuts: `(cuts,)` or `(users, cuts)` lengths.
        threads: Threads; by default the cores at hand.

    Returns:
        float64 `(users, cuts)`.

    Example:

    >>> along_vectors(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), np.array([[0, 1, 2]]), [2, 3])
    array([[1., 1.]])
    """
    lengths = np.broadcast_to(cuts, (len(lists), np.shape(cuts)[-1]))
    vectors = np.asarray(vectors, np.float32)
    scale = 1.0 / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    size = max(1, _HELD // (lists.shape[1] * max(vectors.shape[1], 1)))

    def of_block(start: int) -> np.ndarray:
        own = lists[start : start + size]
        unit = vectors[own] * scale[own][:, :, None].astype(np.float32)
        before = np.cumsum(unit[:, :-1], axis=1)
        gained = np.zeros(own.shape, np.float32)
        gained[:, 1:] = np.einsum("ukd,ukd->uk", before, unit[:, 1:])
        return at_lengths(gained, lengths[start : start + size])

    blocks = range(0, len(lists), size)
    return np.concatenate(list(in_order(of_block, blocks, thread_count(threads))))


def at_lengths(along: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums of the first `lengths` values of each row, float64 `(rows, cuts)`."""
    if not along.shape[1]:
        return np.zeros(lengths.shape)
    sums = np.cumsum(along, axis=1, dtype=np.float64)
    found = np.take_along_axis(sums, np.maximum(lengths - 1, 0), axis=1)
    return np.where(lengths > 0, found, 0.0)


def _common_dense(chosen: sparse.csr_matrix, table: np.ndarray, old: int, threads: int) -> None:
    """Fills the rows and columns of `table` from `old` on with `chosen.T @ chosen`.

    Through products of dense blocks of users, whose sums are exact below 2^24; only the upper
    triangle is multiplied.
    """
    width = chosen.shape[1]
    rows, tile = max(64, 2 * _HELD // width), -(-(width - old) // (4 * threads))
    table[:, old:] = 0
    for start in range(0, chosen.shape[0], rows):
        dense = chosen[start : start + rows].toarray()

        def add(left: int, dense: np.ndarray = dense) -> None:
            right = min(left + tile, width)
            upper = table[:right, left:right]
            more = dense[:, :right].T @ dense[:, left:right]
            np.add(upper, more, out=upper, casting="unsafe")

        with one_blas_thread():
            list(in_order(add, range(old, width, tile), threads))
    for left in range(old, width, tile):
        columns = slice(left, left + tile)
        table[columns, :left] = table[:left, columns].T
