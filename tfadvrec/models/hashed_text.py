"""Text as vectors of a fixed width: hashed n-grams of words and characters."""

import collections
import functools
import zlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from tfadvrec.models.feature_values import WORD


def hashed_counts(
    texts: Sequence[str], width: int, *, words: int = 1, characters: Sequence[int] = ()
) -> csr_matrix:
    """Counts the n-grams of texts in hash buckets.

    A bucket is the CRC-32 of the lower-case n-gram modulo `width`: the same in every process and
    version. A count c weighs 1 + ln c.

    Args:
        texts: The texts.
        width: Number of buckets.
        words: Words of the longest n-gram; 0 for no words.
        characters: Lengths of the n-grams of characters, counted inside a word and its two ends.

    Returns:
        float32 `(texts, width)`.

    Example:

    >>> hashed_counts(["Toy", ""], 8).toarray().sum(axis=1).tolist()
    [1.0, 0.0]
    """

    @functools.cache
    def bucket(gram: str) -> int:
        return zlib.crc32(gram.encode()) % width

    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        counts = collections.Counter(map(bucket, grams(text, words=words, characters=characters)))
        rows += [row] * len(counts)
        columns += counts.keys()
        values += counts.values()
    weights = 1 + np.log(np.asarray(values, np.float32))
    return csr_matrix((weights, (rows, columns)), shape=(len(texts), width), dtype=np.float32)


def grams(text: str, *, words: int = 1, characters: Sequence[int] = ()) -> list[str]:
    """The n-grams of a text; those of characters begin with a tab, which no word has.

    Example:

    >>> grams("The Piano", words=2)
    ['the', 'piano', 'the piano']
    """
    found = WORD.findall(text.lower())
    every = []
    for size in range(1, words + 1):
        every += [" ".join(found[i : i + size]) for i in range(len(found) - size + 1)]
    for size in characters:
        for word in found:
            marked = f" {word} "
            every += ["\t" + marked[i : i + size] for i in range(len(marked) - size + 1)]
    return every


def rarity(counts: csr_matrix) -> np.ndarray:
    """How rare each column is, ln((n + 1) / rows that have it); 0 for a column that none has.

    Args:
        counts: `(n, width)`; only which entries are stored matters.

    Returns:
        float64 `(width,)`.
    """
    rows = np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1])
    return np.log((counts.shape[0] + 1) / np.where(rows > 0, rows, counts.shape[0] + 1))


def unit_rows(matrix: csr_matrix) -> np.ndarray:
    """The rows of a matrix brought to length 1, dense float32; rows of zeros stay."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    factor = np.where(length > 0, 1 / np.maximum(length, 1e-12), 0)
    return matrix.multiply(factor[:, None]).toarray().astype(np.float32)
