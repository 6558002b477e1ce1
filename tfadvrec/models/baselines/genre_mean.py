"""How much of each genre a user takes, averaged over an item's genres."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.feature_column import FeatureColumn
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class GenreMean(Recommender):
    """Gives an item the mean of its genres, and a genre the mean of its items with interactions.

    A user's score of a genre is the share of its items that they took; of an item the mean over its
    genres. It ranks new items, and is the least that a model of attributes has to beat.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        n_genres: Number of genres.
        name: Name of the model.

    Example:

    >>> kinds = {"item": ["jam", "tea", "coffee"], "kind": ["food", "drink", "drink"]}
    >>> log = Interactions.from_arrays([1, 2, 3], kinds["item"]).with_features(items=kinds)
    >>> model = GenreMean.for_log(log.take([0, 1]), "kind")
    >>> model.score_catalogue([1]).numpy().tolist()  # coffee, jam, tea
    [[1.0, 0.0, 1.0]]
    """

    def __init__(
        self, *, n_users: int, n_items: int, n_genres: int, name: str | None = None
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if n_genres < 1:
            raise ValueError(f"GenreMean expects n_genres >= 1, got {n_genres!r}.")
        self.n_genres = int(n_genres)
        self.shares, self.genres = (
            self.add_weight(
                shape=(rows, n_genres), initializer="zeros", trainable=False, name=label
            )
            for rows, label in ((n_users, "shares"), (n_items, "genres"))
        )
        self.built = True

    @classmethod
    def for_log(cls, log: Interactions, feature: str = "genre", **config: Any) -> Self:
        """Makes and fits a model.

        Args:
            log: The interactions to learn from.
            feature: The item feature: text, or tuples of text.
            **config: Further arguments of the constructor.

        Returns:
            The model, bound to the log.

        Raises:
            ValueError: If the log has no such feature, or it is of another kind.
        """
        column = _column(log, feature)
        sizes = {"n_users": log.n_users, "n_items": log.n_items}
        return cls(**sizes, n_genres=len(column.vocabulary), **config).fit(log, feature)

    def fit(self, log: Interactions, feature: str = "genre") -> Self:
        """Counts which shares of the genres each user took; arguments as in `for_log`."""
        check_size(self, log)
        column = _column(log, feature)
        if len(column.vocabulary) != self.n_genres:
            raise ValueError(
                f"this model was made for {self.n_genres} genres, and the items with interactions "
                f"have {len(column.vocabulary)}. Use GenreMean.for_log(log, {feature!r})."
            )
        self.bind(log)
        encoded = column.encode(log.item_features[feature])
        row, place = np.nonzero((encoded >= 0) & (encoded < self.n_genres))
        marks = np.zeros((log.n_items, self.n_genres), np.float32)
        marks[row, encoded[row, place]] = 1.0
        items_of = marks[log.popularity() > 0].sum(axis=0)
        self.shares.assign((log.csr() @ marks) / np.maximum(items_of, 1.0))
        self.genres.assign(marks / np.maximum(marks.sum(axis=1, keepdims=True), 1.0))
        return self

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; shapes as for every `Recommender`."""
        users = ops.take(self.shares, inputs["user_id"], axis=0)
        items = ops.take(self.genres, inputs["item_id"], axis=0)
        if len(items.shape) == 2:
            return ops.matmul(users, ops.transpose(items))
        return ops.einsum("bd,bcd->bc", users, items)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """The users' shares of the genres, `(batch, n_genres)`."""
        return ops.take(self.shares, check_rows(rows, self.n_users, "user"), axis=0)

    def embed_items(self, rows: Any) -> tf.Tensor:
        """The items' genres, each item's adding up to 1, `(batch, n_genres)`."""
        return ops.take(self.genres, check_rows(rows, self.n_items, "item"), axis=0)

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """Both tables: a row a user, a row an item."""
        return {self.shares.path: ("user", 0), self.genres.path: ("item", 0)}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "n_genres": self.n_genres,
            "name": self.name,
        }


def _column(log: Interactions, feature: str) -> FeatureColumn:
    """Learns the genres of the items with interactions."""
    if feature not in log.item_features:
        raise ValueError(
            f"the log has no item feature {feature!r}; it has {sorted(log.item_features)}. Add it "
            "with log.with_features(...)."
        )
    values = log.item_features[feature]
    kind = "multi" if isinstance(values[0], tuple | list) else "categorical"
    known = np.flatnonzero(log.popularity() > 0)
    if values.dtype.kind == "f":
        raise ValueError(f"feature {feature!r} holds numbers; genres are text or tuples of text.")
    if kind == "categorical":
        return FeatureColumn.learn(feature, values[known], kind=kind)
    longest = max(1, *(len(value) for value in values))  # of new items too
    return FeatureColumn.learn(feature, values[known], kind=kind, length=longest)
