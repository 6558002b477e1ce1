"""The index: every request scores the whole catalogue."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadvrec.serving.index.block_table import BlockTable
from tfadvrec.serving.index.quantised_table import QuantisedTable
from tfadvrec.serving.index.top_of_blocks import BLOCK
from tfadvrec.serving.vocabulary import is_integer

DTYPES = ("float32", "float16", "int8")
CHUNK = 65_536
RESCORE = 50
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, kw_only=True)
class BruteForce:
    """Searches by one product with the whole item table; float32 is exact.

    The smaller types buy memory, not speed. A table takes `4 * n_items * dimension` bytes in
    float32 and half of that in float16; in int8 a quarter, `4 * n_items` of scales, and a float16
    copy that is read for the candidates only. A request in flight adds 16 MiB for its scores; with
    chunks `4 * chunk * batch`, and `4 * chunk * dimension` for the float32 copy of a smaller type.

    Args:
        dtype: `"float32"`, `"float16"` or `"int8"`: how the vectors are stored. Products are
            always float32.
        chunk: Rows that are scored at a time, a multiple of 64. Where None, float32 takes as many
            as have 16 MiB of scores, so fewer for a larger batch; the smaller types take 65,536.
        rescore: How many candidates beyond the wanted ones int8 ranks again by the float16 copy;
            50 where None. The other types rank by what they store: it must be None for them.
        recall_floor: The least mean recall, against the exact lists of users, with which an export
            is published.

    Raises:
        ValueError: If the arguments do not fit together.

    Example:

    >>> index = BruteForce(dtype="int8").build(np.eye(3, dtype="float32"))
    >>> scores, rows = index.top(np.array([[0.1, 0.3, 0.2]], "float32"), 2)
    >>> rows.numpy().tolist()
    [[1, 2]]
    """

    dtype: str = "float32"
    chunk: int | None = None
    rescore: int | None = None
    recall_floor: float = 0.99

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"BruteForce expects dtype to be one of {DTYPES}, got {self.dtype!r}.")
        smaller = self.dtype != "float32"
        if self.chunk is None and smaller:
            object.__setattr__(self, "chunk", CHUNK)
        chunk = self.chunk
        if chunk is not None and not (is_integer(chunk) and chunk >= BLOCK and chunk % BLOCK == 0):
            raise ValueError(
                f"BruteForce expects chunk to be a multiple of {BLOCK}, such as {CHUNK}, or None, "
                f"got {chunk!r}."
            )
        self._check_rescore()
        floor = self.recall_floor
        if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 <= floor <= 1:
            raise ValueError(
                f"BruteForce expects recall_floor to be a number from 0 to 1, got {floor!r}."
            )

    def _check_rescore(self) -> None:
        if self.dtype != "int8":
            if self.rescore is not None:
                raise ValueError(
                    f"BruteForce expects rescore with dtype='int8' only, got rescore="
                    f"{self.rescore!r} with dtype={self.dtype!r}, which ranks by what it stores."
                )
            return
        if self.rescore is None:
            object.__setattr__(self, "rescore", RESCORE)
        if not is_integer(self.rescore) or self.rescore < 1:
            raise ValueError(
                "BruteForce expects rescore to be an integer >= 1 with dtype='int8', whose own "
                f"order is too coarse, got {self.rescore!r}."
            )

    def build(self, item_vectors: np.ndarray) -> BlockTable | QuantisedTable:
        """Makes the table.

        Args:
            item_vectors: float32 `(n_items, dimension)`.

        Returns:
            A `tf.Module` that answers `top`, `pairs` and `vectors`, and knows `n_bytes`, what a
            search reads, and `held_bytes`, what it holds.

        Raises:
            ValueError: If float16 cannot hold the vectors.
        """
        largest = float(np.abs(item_vectors).max())
        if self.dtype != "float32" and largest > LARGEST_HALF:
            raise ValueError(
                f"dtype={self.dtype!r} stores item vectors in float16, which ends at "
                f"{LARGEST_HALF:.0f}; the largest value is {largest:.3g}. Take dtype='float32'."
            )
        if self.dtype == "int8":
            return QuantisedTable(item_vectors, chunk=self.chunk, rescore=self.rescore)
        return BlockTable(item_vectors, dtype=self.dtype, chunk=self.chunk)

    def describe(self) -> dict[str, Any]:
        """Returns what the contract file says about the index."""
        return {
            "kind": "brute_force",
            "dtype": self.dtype,
            "chunk": self.chunk,
            "rescore": self.rescore,
            "recall_floor": self.recall_floor,
            "exact": self.dtype == "float32",
        }
