"""What a live model would answer, worked out in NumPy, apart from the graph that is exported."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.serving.graph.factors import mean_vector
from tfadvrec.serving.graph.signatures import MASKED_SCORE
from tfadvrec.serving.ladder.tensors import Tensors, packed, raw_strings, strings, unpacked
from tfadvrec.serving.model_vectors import read_vectors


class LiveAnswers:
    """Answers a servable's calls from the model itself.

    Args:
        model: What `ranking_model` gave; None where `vectors` are all there is.
        users: The users' wire ids, in row order; None where histories ask.
        items: The items' wire ids, in row order.
        width: Length of the lists.
        unknown_user: `"mean"` or `"empty"`.
        history: Width of the input `history`, where that stands for the user.
        vectors: What `read_vectors` gave, where it is at hand.
    """

    def __init__(
        self,
        model: Any,
        *,
        users: Sequence[str] | None,
        items: Sequence[str],
        width: int,
        unknown_user: str,
        history: int | None = None,
        vectors: tuple[np.ndarray | None, np.ndarray] | None = None,
    ) -> None:
        self.model = model
        self.users, self.items = users, items
        self.width, self.unknown_user, self.history = width, unknown_user, history
        count = None if users is None else len(users)
        self.vectors = vectors or read_vectors(model, count, len(items))
        self.user_row = {one: row for row, one in enumerate(users or ())}
        self.item_row = {one: row for row, one in enumerate(items)}

    def answer(self, signature: str, inputs: Tensors) -> Tensors:
        """Answers one call; tensors are `{"dtype", "shape", "values"}` with flat values."""
        if signature == "detect":
            return {"p_fake": packed(self._called("detect", unpacked(inputs["profile"])))}
        if signature == "embed_item":
            return self._embedding(self.vectors[1], self._items(inputs), "known_item")
        if signature == "recommend_examples":
            inputs = {"history" if self.history else "user_id": self._asked(inputs["examples"])}
        askers, known = self.askers(inputs)
        if signature in ("score", "discriminate"):
            return getattr(self, signature)(askers, known, self._items(inputs))
        if signature == "embed_user":
            return self.embed_user(askers, known)
        if signature == "generate":
            return self.generate(askers, known, unpacked(inputs["seed"]))
        return self.listed(askers, known, inputs)

    def askers(self, inputs: Tensors) -> tuple[np.ndarray, np.ndarray]:
        """Looks up who asks: rows, -1 for unknown, and whether each is known."""
        if self.history is None:
            rows = rows_of(inputs["user_id"], self.user_row)
            return rows, rows >= 0
        rows = rows_of(inputs["history"], self.item_row)
        return rows, (rows >= 0).any(axis=1)

    def score(self, askers: np.ndarray, known_user: np.ndarray, items: np.ndarray) -> Tensors:
        """Scores pairs."""
        known = known_user & (items >= 0)
        scores = self.scores(askers, known_user)[np.arange(len(askers)), items]
        return {
            "score": packed(np.where(known, scores, np.float32(MASKED_SCORE))),
            "known_user": packed(known_user),
            "known_item": packed(items >= 0),
        }

    def discriminate(self, askers: np.ndarray, known: np.ndarray, items: np.ndarray) -> Tensors:
        """Says how real pairs are."""
        real = self._called("discriminate", np.maximum(askers, 0), np.maximum(items, 0))
        return {
            "p_real": packed(np.where(known & (items >= 0), real, np.float32(0))),
            "known_user": packed(known),
            "known_item": packed(items >= 0),
        }

    def generate(self, askers: np.ndarray, known: np.ndarray, seeds: np.ndarray) -> Tensors:
        """Generates profiles, one row at a time: the rest of a batch must not matter."""
        made = [
            self._called("generate", np.maximum(askers[row : row + 1], 0), seeds[row : row + 1])
            for row in range(len(askers))
        ]
        shown = known.reshape(-1, *[1] * (made[0].ndim - 1))
        return {
            "profile": packed(np.where(shown, np.concatenate(made), np.float32(0))),
            "known_user": packed(known),
        }

    def embed_user(self, askers: np.ndarray, known: np.ndarray) -> Tensors:
        """Gives the askers' vectors."""
        if self.history is None:
            fallback = mean_vector(self.vectors[0]) if self.unknown_user == "mean" else 0.0
            vectors = np.where(known[:, None], self.vectors[0][askers], fallback)
        else:
            vectors = np.where(known[:, None], self._called("embed_history", askers), 0.0)
        return {"embedding": packed(vectors.astype(np.float32)), "known_user": packed(known)}

    def listed(self, askers: np.ndarray, known: np.ndarray, inputs: Tensors) -> Tensors:
        """Ranks the catalogue, by falling score and then by item row."""
        scores = self.scores(askers, known)
        if "exclude" in inputs:
            for row, items in zip(scores, rows_of(inputs["exclude"], self.item_row), strict=True):
                row[items[items >= 0]] = MASKED_SCORE
        many = np.full(len(askers), self.width)
        if "k" in inputs:
            many = np.minimum(unpacked(inputs["k"]), len(self.items))
        order = best_first(scores, max(int(many.max()), 0))
        best = np.take_along_axis(scores, order, axis=1)
        best[np.arange(order.shape[1]) >= many[:, None]] = MASKED_SCORE
        ids = np.where(best > MASKED_SCORE, np.asarray(self.items, dtype=object)[order], "")
        return {"item_id": packed(ids), "score": packed(best), "known_user": packed(known)}

    def scores(self, askers: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Scores the whole catalogue: float32 `(batch, n_items)`, masked for unknown askers."""
        scores = np.full((len(askers), len(self.items)), MASKED_SCORE, np.float32)
        if known.any():
            scores[known] = self.model_scores(askers[known])
        if self.unknown_user == "mean":
            scores[~known] = mean_vector(self.vectors[0]) @ self.vectors[1].T
        return np.where(np.isfinite(scores), scores, np.float32(MASKED_SCORE))

    def model_scores(self, askers: np.ndarray) -> np.ndarray:
        """Asks the model: its own scores where it has them in float32, else its vectors.

        Scores of less precision would say nothing about a servable that computes in float32.
        """
        scores, method = None, "score_history" if self.history else "score_catalogue"
        if hasattr(self.model, method):
            with suppress(NotImplementedError):
                scores = tf.convert_to_tensor(
                    getattr(self.model, method)(tf.constant(askers, tf.int32))
                )
        if self.vectors is not None and (scores is None or scores.dtype != tf.float32):
            if self.history:
                return self._called("embed_history", askers) @ self.vectors[1].T
            return self.vectors[0][askers] @ self.vectors[1].T
        return tf.cast(scores, tf.float32).numpy()

    def _called(self, method: str, *arrays: np.ndarray) -> np.ndarray:
        """Asks a method of the model, eagerly."""
        answer = getattr(self.model, method)(*(tf.convert_to_tensor(one) for one in arrays))
        return tf.cast(tf.convert_to_tensor(answer), tf.float32).numpy()

    def _items(self, inputs: Tensors) -> np.ndarray:
        return rows_of(inputs["item_id"], self.item_row)

    def _embedding(self, table: np.ndarray, rows: np.ndarray, flag: str) -> Tensors:
        vectors = np.where((rows >= 0)[:, None], table[rows], np.float32(0))
        return {"embedding": packed(vectors), flag: packed(rows >= 0)}

    def _asked(self, examples: dict[str, Any]) -> dict[str, Any]:
        """Reads serialised `tf.Example`s, as what asks."""
        name = "history" if self.history else "user_id"
        rows = []
        for raw in raw_strings(examples):
            feature = tf.train.Example.FromString(raw).features.feature[name].bytes_list.value
            rows.append([one.decode("utf-8") for one in feature])
        if self.history is None:
            return strings([row[0] if row else "" for row in rows])
        padded = [(row[-self.history :] + [""] * self.history)[: self.history] for row in rows]
        shape = [len(rows), self.history]
        return {"dtype": "string", "shape": shape, "values": [one for row in padded for one in row]}


def best_first(scores: np.ndarray, count: int) -> np.ndarray:
    """Ranks the columns of each row by falling score and then by column: `(rows, count)`.

    Example:

    >>> best_first(np.array([[1.0, 3.0, 3.0, 2.0]]), 3).tolist()
    [[1, 2, 3]]
    """
    count = min(count, scores.shape[1])
    order = np.zeros((len(scores), count), np.int64)
    for row, one in enumerate(scores if count else ()):
        least = np.partition(one, len(one) - count)[len(one) - count]
        enough = np.flatnonzero(one >= least)
        order[row] = enough[np.argsort(-one[enough], kind="stable")][:count]
    return order


def rows_of(ids: dict[str, Any], rows: dict[str, int]) -> np.ndarray:
    """Looks ids up, in their shape; -1 for unknown."""
    found = [rows.get(one, -1) for one in ids["values"]]
    return np.array(found, np.int32).reshape(ids["shape"])
