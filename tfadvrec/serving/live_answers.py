"""What a live model would answer, worked out in NumPy, apart from the graph that is exported."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.serving.factors import mean_vector
from tfadvrec.serving.model_vectors import read_vectors
from tfadvrec.serving.signatures import MASKED_SCORE

Tensors = dict[str, dict[str, Any]]


class LiveAnswers:
    """Answers a servable's calls from the model itself.

    Args:
        model: What `ranking_model` gave.
        users: The users' wire ids, in row order.
        items: The items' wire ids, in row order.
        width: Length of the lists.
        unknown_user: `"mean"` or `"empty"`.
        vectors: What `read_vectors` gave, where it is at hand.
    """

    def __init__(
        self,
        model: Any,
        *,
        users: Sequence[str],
        items: Sequence[str],
        width: int,
        unknown_user: str,
        vectors: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.model = model
        self.users, self.items = users, items
        self.width, self.unknown_user = width, unknown_user
        self.vectors = vectors or read_vectors(model, len(users), len(items))
        self.user_row = {one: row for row, one in enumerate(users)}
        self.item_row = {one: row for row, one in enumerate(items)}

    def answer(self, signature: str, inputs: Tensors) -> Tensors:
        """Answers one call; tensors are `{"dtype", "shape", "values"}` with flat values."""
        rows = {
            "user_id": rows_of(inputs.get("user_id"), self.user_row),
            "item_id": rows_of(inputs.get("item_id"), self.item_row),
        }
        if signature == "score":
            return self.pairs(**rows)
        if signature == "embed_user":
            fallback = np.zeros_like(self.vectors[0][0])
            if self.unknown_user == "mean":
                fallback = mean_vector(self.vectors[0])
            return embedding(self.vectors[0], rows["user_id"], fallback, "known_user")
        if signature == "embed_item":
            fallback = np.zeros_like(self.vectors[1][0])
            return embedding(self.vectors[1], rows["item_id"], fallback, "known_item")
        return self.listed(rows["user_id"], inputs.get("exclude"))

    def pairs(self, user_id: np.ndarray, item_id: np.ndarray) -> Tensors:
        """Scores pairs."""
        known_user, known_item = user_id >= 0, item_id >= 0
        scores = self.scores(user_id)[np.arange(len(user_id)), item_id]
        scores = np.where(known_user & known_item, scores, np.float32(MASKED_SCORE))
        return {
            "score": packed(scores),
            "known_user": packed(known_user),
            "known_item": packed(known_item),
        }

    def listed(self, user_id: np.ndarray, exclude: dict[str, Any] | None) -> Tensors:
        """Ranks the catalogue, by falling score and then by item row."""
        scores = self.scores(user_id)
        if exclude is not None:
            unwanted = rows_of(exclude, self.item_row).reshape(exclude["shape"])
            for row, items in zip(scores, unwanted, strict=True):
                row[items[items >= 0]] = MASKED_SCORE
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.width]
        best = np.take_along_axis(scores, order, axis=1)
        ids = np.where(best > MASKED_SCORE, np.asarray(self.items, dtype=object)[order], "")
        return {"item_id": packed(ids), "score": packed(best), "known_user": packed(user_id >= 0)}

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Scores the whole catalogue for user rows, -1 for unknown: float32 `(batch, n_items)`."""
        scores = np.full((len(rows), len(self.items)), MASKED_SCORE, np.float32)
        known = rows >= 0
        if known.any():
            scores[known] = self.model_scores(rows[known])
        if self.unknown_user == "mean":
            scores[~known] = mean_vector(self.vectors[0]) @ self.vectors[1].T
        return np.where(np.isfinite(scores), scores, np.float32(MASKED_SCORE))

    def model_scores(self, rows: np.ndarray) -> np.ndarray:
        """Asks the model: its own `score_catalogue` where it has one in float32, else its vectors.

        Scores of less precision would say nothing about a servable that computes in float32.
        """
        scores = None
        if hasattr(self.model, "score_catalogue"):
            with suppress(NotImplementedError):
                scores = tf.convert_to_tensor(
                    self.model.score_catalogue(tf.constant(rows, tf.int32))
                )
        if self.vectors is not None and (scores is None or scores.dtype != tf.float32):
            return self.vectors[0][rows] @ self.vectors[1].T
        return tf.cast(scores, tf.float32).numpy()


def rows_of(ids: dict[str, Any] | None, rows: dict[str, int]) -> np.ndarray:
    """Looks the flat values up; -1 for unknown."""
    return np.array([rows.get(one, -1) for one in (ids["values"] if ids else ())], np.int64)


def embedding(table: np.ndarray, rows: np.ndarray, fallback: np.ndarray, flag: str) -> Tensors:
    """Gives the vectors of rows, the fallback for -1."""
    vectors = np.where((rows >= 0)[:, None], table[rows], fallback)
    return {"embedding": packed(vectors), flag: packed(rows >= 0)}


def packed(array: np.ndarray) -> dict[str, Any]:
    """Turns an array into `{"dtype", "shape", "values"}`."""
    dtype = "string" if array.dtype == object else array.dtype.name
    return {"dtype": dtype, "shape": list(array.shape), "values": array.ravel().tolist()}
