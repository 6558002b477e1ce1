"""What the models share that score the catalogue from what a user took."""

from typing import Any, Self

import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.data.multi_hot import multi_hot
from tfadvrec.models.baselines.fitting import bound, pick
from tfadvrec.models.history import History
from tfadvrec.models.recommender import Recommender, check_rows


class HistoryRecommender(Recommender):
    """A recommender without weights of users: a concrete one implements `summed`."""

    _taken: History | None = None

    def summed(self, taken: tf.Tensor) -> tf.Tensor:
        """Scores of all items for histories of ones and zeros, `(batch, n_items)` both."""
        raise NotImplementedError

    def bind(self, log: Interactions) -> Self:
        """Takes the log's ids, and its interactions as the users' history."""
        super().bind(log)
        self._taken = History(log.csr())
        return self

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; shapes as for every `Recommender`."""
        scores = self.score_catalogue(tf.convert_to_tensor(inputs["user_id"]))
        return pick(scores, tf.convert_to_tensor(inputs["item_id"]))

    def score_catalogue(self, users: tf.Tensor) -> tf.Tensor:
        """Returns each user's scores of all items, `(batch, n_items)`."""
        rows = check_rows(users, self.n_users, "user")
        return self.summed(bound(self._taken, self).dense(rows))

    def score_history(self, history: tf.Tensor) -> tf.Tensor:
        """Scores the catalogue for users who are known by what they took.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Returns:
            `(batch, n_items)`.
        """
        return self.summed(multi_hot(history, self.n_items))

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """None: rows and columns both are items, so another catalogue is fitted anew."""
        return {}
