"""How similar the profiles of users are to the nearest ones of another log."""

import numpy as np
from scipy import sparse

_BLOCK = 4_000_000


def nearest_similarity(
    of: sparse.csr_matrix, to: sparse.csr_matrix, *, skip_self: bool = False
) -> np.ndarray:
    """Jaccard similarity of each profile to the most similar one.

    Args:
        of: `(users, items)` of ones.
        to: `(others, items)` of ones.
        skip_self: Whether row r of both is the same user, who does not count.

    Returns:
        float64 `(users,)`: shared items over items of either; 0 where nothing is shared.

    Example:

    >>> a = sparse.csr_matrix([[1, 1, 0], [0, 0, 1]])
    >>> b = sparse.csr_matrix([[1, 1, 1], [1, 0, 0]])
    >>> nearest_similarity(a, b).round(3).tolist()
    [0.667, 0.333]
    """
    if not to.shape[0]:
        raise ValueError("there is no profile to compare with.")
    ones = [sparse.csr_matrix(m, dtype=np.float64) for m in (of, to)]
    sizes = [np.asarray(m.sum(axis=1)).ravel() for m in ones]
    found = np.zeros(of.shape[0])
    step = max(1, _BLOCK // to.shape[0])
    for start in range(0, of.shape[0], step):
        stop = min(start + step, of.shape[0])
        both = (ones[0][start:stop] @ ones[1].T).toarray()
        either = sizes[0][start:stop, None] + sizes[1][None, :] - both
        similar = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
        if skip_self:
            similar[np.arange(stop - start), np.arange(start, stop)] = -1.0
        found[start:stop] = similar.max(axis=1)
    return np.maximum(found, 0.0)
