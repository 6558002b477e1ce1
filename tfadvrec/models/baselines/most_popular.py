"""The same list for everybody: what most people took."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class MostPopular(Recommender):
    """Ranks items by how many distinct users took them; every user gets the same scores.

    Equal counts are equal scores: `recommend` lists them by item row, and an evaluation with
    pessimistic ties counts them against the model.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        name: Name of the model.

    Example:

    >>> log = Interactions.from_arrays(["a", "b", "b"], ["jam", "jam", "tea"])
    >>> model = MostPopular(n_users=2, n_items=2).fit(log)
    >>> model.score_catalogue([0, 1]).numpy().tolist()
    [[2.0, 1.0], [2.0, 1.0]]
    """

    def __init__(self, *, n_users: int, n_items: int, name: str | None = None) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        self.popularity = self.add_weight(
            shape=(n_items,), initializer="zeros", trainable=False, name="popularity"
        )
        self.built = True

    def fit(self, log: Interactions) -> Self:
        """Counts each item's distinct users.

        Args:
            log: The interactions to learn from; this is not Keras's `fit(x, y)`.

        Returns:
            The model itself.
        """
        check_size(self, log)
        self.bind(log)
        self.popularity.assign(np.asarray(log.csr().sum(axis=0)).ravel())
        return self

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; shapes as for every `Recommender`."""
        users = self.embed_users(tf.convert_to_tensor(inputs["user_id"]))
        items = self.embed_items(tf.convert_to_tensor(inputs["item_id"]))
        if items.shape.rank == 2:
            return tf.matmul(users, items, transpose_b=True)
        return tf.einsum("bd,bcd->bc", users, items)

    def embed_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns ones `(batch, 1)`."""
        return tf.ones((tf.shape(check_rows(users, self.n_users, "user"))[0], 1))

    def embed_items(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the items' counts `(..., 1)`."""
        return tf.gather(self.popularity.value, check_rows(items, self.n_items, "item"))[..., None]

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The counts: a row an item."""
        return {self.popularity.path: ("item", 0)}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"n_users": self.n_users, "n_items": self.n_items, "name": self.name}
