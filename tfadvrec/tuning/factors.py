"""Vectors of users and items that another library has learned."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, eq=False)
class Factors:
    """Vectors, and maybe biases and ids, of users and items: what `warm_start` starts from.

    The library that made them need not be installed. Everything is checked when it is made.

    Args:
        user_factors: `(users, width)` numbers, or None.
        item_factors: `(items, width)` numbers of the same width, or None.
        user_biases: `(users,)` or `(users, 1)`, or None.
        item_biases: `(items,)` or `(items, 1)`, or None.
        user_ids: `(users,)` the id of each row, all different, or None where the rows are the
            model's own, in its order.
        item_ids: `(items,)`, likewise.

    Raises:
        ValueError: A shape does not fit, a value is NaN or infinite, an id is repeated, or nothing
            is given.

    Example:

    >>> factors = Factors(np.ones((3, 2)), np.ones((4, 2)), item_ids=["a", "b", "c", "d"])
    >>> factors
    Factors(3 users, 4 items, width 2)
    """

    user_factors: Any = None
    item_factors: Any = None
    user_biases: Any = None
    item_biases: Any = None
    user_ids: Any = None
    item_ids: Any = None

    def __post_init__(self) -> None:
        given = {}
        for side in ("user", "item"):
            vectors = _checked(f"{side}_factors", getattr(self, f"{side}_factors"))
            biases = _checked(f"{side}_biases", getattr(self, f"{side}_biases"))
            ids = getattr(self, f"{side}_ids")
            given |= {f"{side}_factors": vectors, f"{side}_biases": biases}
            if vectors is None:
                if biases is not None or ids is not None:
                    raise ValueError(f"{side}_biases and {side}_ids need {side}_factors.")
                continue
            if vectors.ndim != 2 or 0 in vectors.shape:
                raise ValueError(
                    f"{side}_factors is (rows, width), one vector a row. Received: {vectors.shape}"
                )
            if biases is not None:
                if biases.shape not in ((len(vectors),), (len(vectors), 1)):
                    raise ValueError(
                        f"{side}_biases has one number for each of the {len(vectors):,} rows of "
                        f"{side}_factors. Received: {biases.shape}"
                    )
                given[f"{side}_biases"] = biases.reshape(-1)
            given[f"{side}_ids"] = _ids(side, ids, len(vectors))
        vectors = [given[f"{side}_factors"] for side in ("user", "item")]
        vectors = [part for part in vectors if part is not None]
        if not vectors:
            raise ValueError("Factors needs user_factors, item_factors or both.")
        if len({part.shape[1] for part in vectors}) > 1:
            raise ValueError(
                "users and items need vectors of one width for their inner product. Received: "
                f"{[part.shape for part in vectors]}"
            )
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def width(self) -> int:
        """The length of a vector."""
        vectors = self.user_factors if self.user_factors is not None else self.item_factors
        return vectors.shape[1]

    @classmethod
    def from_implicit(cls, model: Any, *, user_ids: Any = None, item_ids: Any = None) -> Self:
        """The vectors of a fitted matrix factorisation of `implicit`.

        Its score is the inner product of the vectors, whatever the class: BPR and logistic
        factorisation keep their biases in further coordinates, which make the width `factors + 1`
        and `factors + 2`.

        Args:
            model: Anything with `user_factors` and `item_factors`, on a GPU or not.
            user_ids: The id of each row of the matrix that it was fitted on.
            item_ids: The id of each column.

        Raises:
            ValueError: The attributes are missing or empty: the model is not fitted.

        Reference: implicit 0.7, `implicit.cpu.matrix_factorization_base`.
        """
        found = [getattr(model, name, None) for name in ("user_factors", "item_factors")]
        if any(part is None for part in found):
            raise ValueError(
                f"{type(model).__name__} has no user_factors and item_factors yet: fit it first. "
                "Neighbourhood models have none at all."
            )
        return cls(*found, user_ids=user_ids, item_ids=item_ids)

    @classmethod
    def from_lightfm(
        cls,
        model: Any,
        *,
        user_features: Any = None,
        item_features: Any = None,
        user_ids: Any = None,
        item_ids: Any = None,
    ) -> Self:
        """The representations and biases of a fitted LightFM model.

        Its score is the inner product plus both biases.

        Args:
            model: Anything with LightFM's `get_user_representations(features)` and
                `get_item_representations(features)`, which give `(biases, vectors)`.
            user_features: The feature matrix that it was fitted with, if there was one.
            item_features: Likewise.
            user_ids: The id of each row: the keys of LightFM's `Dataset` mapping in its order.
            item_ids: Likewise.

        Reference: LightFM 1.17, `LightFM.get_item_representations`.
        """
        user_biases, users = model.get_user_representations(user_features)
        item_biases, items = model.get_item_representations(item_features)
        return cls(users, items, user_biases, item_biases, user_ids, item_ids)

    @classmethod
    def from_state_dict(
        cls,
        state: Any,
        *,
        user: str = "user_embedding.weight",
        item: str = "item_embedding.weight",
        user_bias: str | None = None,
        item_bias: str | None = None,
        user_ids: Any = None,
        item_ids: Any = None,
    ) -> Self:
        """Tables of a PyTorch model, by the names they have in its state; RecBole's by default.

        RecBole's row 0 stands for padding: pass `dataset.field2id_token["user_id"]` as `user_ids`
        (and so for items); the token `[PAD]` is nobody's id and matches nothing.

        Args:
            state: A mapping of names to tensors or arrays, or a module with `state_dict()`.
            user: Name of the users' table; None leaves users out.
            item: Name of the items' table; None leaves items out.
            user_bias: Name of the users' biases, if there are any.
            item_bias: Name of the items' biases, if there are any.
            user_ids: The id of each row.
            item_ids: The id of each row.

        Raises:
            ValueError: A name is not in the state; says which are.

        Reference: RecBole 1.2, `recbole.model.general_recommender.bpr`.
        """
        found = state if isinstance(state, Mapping) else state.state_dict()

        def named(name: str | None) -> Any:
            if name is not None and name not in found:
                near = difflib.get_close_matches(name, list(found), 1)
                raise ValueError(
                    f"the state has no {name!r}"
                    + (f"; did you mean {near[0]!r}?" if near else ".")
                    + f" It has {list(found)[:20]}. Name the tables: user=, item=."
                )
            return None if name is None else found[name]

        tables = (named(user), named(item), named(user_bias), named(item_bias))
        return cls(*tables, user_ids, item_ids)

    def reduced(self, width: int) -> Self:
        """Shorter vectors whose inner products are as near as any of that width can come.

        The matrix of all inner products is replaced by the nearest one of rank `width` (in the sum
        of squared differences), without ever being made: it is the singular value decomposition
        of the product of the two triangular factors. Both sides get the root of each singular
        value. Biases stay.

        Args:
            width: The new width, from 1 to below the present one.

        Returns:
            New factors.

        Raises:
            ValueError: The width is out of range, or one side is missing.

        Reference: Eckart and Young, The approximation of one matrix by another of lower rank,
        Psychometrika 1, 1936.
        """
        if not 1 <= width < self.width:
            raise ValueError(f"width is from 1 to below {self.width}. Received: {width!r}")
        if self.user_factors is None or self.item_factors is None:
            raise ValueError("inner products need the vectors of both sides; one is missing.")
        (users, left), (items, right) = (
            np.linalg.qr(part.astype(np.float64)) for part in (self.user_factors, self.item_factors)
        )
        own, values, other = np.linalg.svd(left @ right.T)
        count = min(width, len(values))
        roots = np.zeros(width)
        roots[:count] = np.sqrt(values[:count])
        made = [
            np.pad(basis @ turn[:, :count], [(0, 0), (0, width - count)]) * roots
            for basis, turn in ((users, own), (items, other.T))
        ]
        return replace(self, user_factors=made[0], item_factors=made[1])

    def __repr__(self) -> str:
        parts = [
            f"{len(part):,} {side}s"
            for side, part in (("user", self.user_factors), ("item", self.item_factors))
            if part is not None
        ]
        biased = self.user_biases is not None or self.item_biases is not None
        return f"Factors({', '.join(parts)}, width {self.width}{', biases' if biased else ''})"


def _checked(name: str, values: Any) -> np.ndarray | None:
    """An array of floats from NumPy, a GPU matrix of implicit or a tensor of PyTorch."""
    if values is None:
        return None
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds numbers. Received: an array of {array.dtype}")
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        array = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} holds NaN or infinity in {len(bad):,} rows, the first {bad[:5].tolist()}."
        )
    return array


def _ids(side: str, ids: Sequence[Any] | None, rows: int) -> np.ndarray | None:
    """One id a row, all different."""
    if ids is None:
        return None
    array = np.asarray(ids)
    if array.shape != (rows,):
        raise ValueError(
            f"{side}_ids has one id for each of the {rows:,} rows of {side}_factors. Received: "
            f"{array.shape}"
        )
    listed = array.tolist()
    if len(set(listed)) < rows:
        seen: set[Any] = set()
        twice = [i for i in listed if i in seen or seen.add(i)]
        raise ValueError(f"{side}_ids repeats {twice[:5]}: which row is meant cannot be told.")
    return array
