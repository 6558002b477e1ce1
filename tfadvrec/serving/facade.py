"""The object that is saved: ids in, ids out, core operations between."""

from collections.abc import Callable, Iterable
from pathlib import Path

import tensorflow as tf

from tfadvrec.serving.catalogue import Catalogue
from tfadvrec.serving.factors import Factors
from tfadvrec.serving.signatures import MASKED_SCORE, interface

Outputs = dict[str, tf.Tensor]


class Facade(tf.Module):
    """Looks ids up, asks the ranker for rows and turns them back into ids.

    It holds raw variables and file tables and no Keras object, so that the saved graph needs
    TensorFlow only.

    Args:
        ranker: What scores rows.
        users: Vocabulary file of the users. Its path must be new to this process: two tables over
            one path share their contents.
        items: Vocabulary file of the items, likewise.
        n_items: Number of items.
        k: Length of the lists where the catalogue is that long.
        max_exclude: Width of `exclude`.
        mask_unknown: Whether an unknown user gets masked slots, not the ranker's fallback row.
    """

    def __init__(
        self,
        ranker: Factors | Catalogue,
        users: Path,
        *,
        items: Path,
        n_items: int,
        k: int,
        max_exclude: int,
        mask_unknown: bool,
    ) -> None:
        super().__init__(name="tfadvrec_servable")
        self.ranker = ranker
        self.user_rows = rows_by_id(users)
        self.item_rows = rows_by_id(items)
        self.item_ids = ids_by_row(items)
        self.width = min(k, n_items)
        self.candidates = min(self.width + max_exclude, n_items)
        self.mask_unknown = mask_unknown
        self.interface = interface(
            width=self.width, max_exclude=max_exclude, dimension=ranker.dimension
        )

    def recommend(self, user_id: tf.Tensor) -> Outputs:
        """Ranks the catalogue for each user."""
        rows, known = self.users(user_id)
        scores, found = self.ranker.top(rows, self.width)
        return self.listed(scores, found, known)

    def recommend_excluding(self, user_id: tf.Tensor, exclude: tf.Tensor) -> Outputs:
        """Ranks the catalogue without each user's excluded items."""
        rows, known = self.users(user_id)
        scores, found = self.ranker.top(rows, self.candidates)
        unwanted = tf.cast(self.item_rows.lookup(exclude), tf.int32)
        hit = tf.reduce_any(found[:, :, None] == unwanted[:, None, :], axis=2)
        scores, order = tf.math.top_k(tf.where(hit, MASKED_SCORE, scores), self.width)
        return self.listed(scores, tf.gather(found, order, batch_dims=1), known)

    def score(self, user_id: tf.Tensor, item_id: tf.Tensor) -> Outputs:
        """Scores pairs; a pair with an unknown id is masked."""
        users, known_user = self.users(user_id)
        items, known_item = self.items(item_id)
        scores = tf.where(known_user & known_item, self.ranker.pairs(users, items), MASKED_SCORE)
        return {"score": scores, "known_user": known_user, "known_item": known_item}

    def embed_user(self, user_id: tf.Tensor) -> Outputs:
        """Gives the users' vectors; an unknown user has the fallback row."""
        rows, known = self.users(user_id)
        return {"embedding": self.ranker.user_vectors(rows), "known_user": known}

    def embed_item(self, item_id: tf.Tensor) -> Outputs:
        """Gives the items' vectors; an unknown item has zeros."""
        rows, known = self.items(item_id)
        vectors = self.ranker.item_vectors(rows)
        return {"embedding": tf.where(known[:, None], vectors, 0.0), "known_item": known}

    def users(self, user_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks users up: int32 rows (the fallback row for unknown ones) and whether known."""
        rows = tf.cast(self.user_rows.lookup(user_id), tf.int32)
        return tf.where(rows >= 0, rows, self.ranker.fallback_row), rows >= 0

    def items(self, item_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks items up: int32 rows (0 for unknown ones) and whether known."""
        rows = tf.cast(self.item_rows.lookup(item_id), tf.int32)
        return tf.maximum(rows, 0), rows >= 0

    def listed(self, scores: tf.Tensor, rows: tf.Tensor, known: tf.Tensor) -> Outputs:
        """Turns scores and item rows into the answer; masked slots get the id `""`."""
        if self.mask_unknown:
            scores = tf.where(known[:, None], scores, MASKED_SCORE)
        rows = tf.where(scores > MASKED_SCORE, tf.cast(rows, tf.int64), -1)
        return {"item_id": self.item_ids.lookup(rows), "score": scores, "known_user": known}

    def functions(self, names: Iterable[str]) -> dict[str, Callable[..., Outputs]]:
        """Makes the signatures' functions, with every input named.

        Args:
            names: Signatures out of `self.interface`.

        Returns:
            Name -> a `tf.function` with a fixed input signature.
        """
        made = {}
        for name in names:
            specs = [
                tf.TensorSpec([None, *one["shape"][1:]], one["dtype"], name=argument)
                for argument, one in self.interface[name]["inputs"].items()
            ]
            method = self.recommend if name == "serving_default" else getattr(self, name)
            made[name] = tf.function(method, input_signature=specs)
        return made


def rows_by_id(path: Path) -> tf.lookup.StaticHashTable:
    """Makes the table id -> row over a vocabulary file; -1 for an unknown id."""
    lines = tf.lookup.TextFileInitializer(
        str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    return tf.lookup.StaticHashTable(lines, default_value=-1)


def ids_by_row(path: Path) -> tf.lookup.StaticHashTable:
    """Makes the table row -> id over a vocabulary file; `""` for row -1."""
    lines = tf.lookup.TextFileInitializer(
        str(path), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
    )  # fmt: skip
    return tf.lookup.StaticHashTable(lines, default_value="")
