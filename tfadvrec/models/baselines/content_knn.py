"""What is like what you took: nearest neighbours by attributes."""

from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.models.attribute_vectors import attribute_matrix
from tfadvrec.models.baselines.fitting import check_size
from tfadvrec.models.baselines.neighbour_recommender import NeighbourRecommender, nearest
from tfadvrec.models.feature_columns import Wanted, learn_columns
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ContentKNN(NeighbourRecommender):
    """Scores an item by how many of the items with the most similar attributes the user took.

    The neighbours of any item, new ones too, are the `neighbours` items with interactions whose
    attribute vectors have the largest cosine with its own (`attribute_vectors`). A user's score is
    the sum of those cosines over the neighbours that they took, and with `average=True` divided by
    the sum over all neighbours.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        neighbours: How many count; more than there are keeps all.
        average: Whether scores are shares of the neighbours instead of sums.
        name: Name of the model.

    Raises:
        ValueError: If `neighbours` is below 1.

    Example:

    >>> kinds = {"item": ["jam", "tea", "coffee"], "kind": ["food", "drink", "drink"]}
    >>> log = Interactions.from_arrays([1, 2, 3], kinds["item"]).with_features(items=kinds)
    >>> model = ContentKNN(n_users=3, n_items=3, neighbours=1).fit(log.take([0, 1]))
    >>> model.score_catalogue([1]).numpy().tolist()  # coffee, jam, tea
    [[1.0, 0.0, 0.0]]

    Reference: Lops, de Gemmis and Semeraro, Content-based recommender systems (Recommender Systems
    Handbook, 2011).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        neighbours: int = 50,
        average: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, neighbours=neighbours, name=name)
        self.average = bool(average)

    def fit(
        self,
        log: Interactions,
        features: Wanted = None,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> Self:
        """Finds every item's neighbours and remembers the log as the users' history.

        Args:
            log: The interactions to learn from, with item features; this is not Keras's `fit`.
            features: Which of them, as in `TwoTower.for_log`; None for all.
            weights: Name -> weight of a feature.

        Returns:
            The model itself.

        Raises:
            ValueError: If the log lacks a feature, or has other numbers of rows.
        """
        check_size(self, log)
        self.bind(log)
        known = log.popularity() > 0
        wanted = tuple(log.item_features) if features is None else features
        columns = learn_columns("item", log.item_features, np.flatnonzero(known), wanted)
        if not columns:
            raise ValueError(
                f"the log {log.name!r} has no item features. Add some with log.with_features(...)."
            )
        vectors = attribute_matrix(columns, log.item_features, known, weights=weights)
        to_known = vectors.multiply(known[:, None]).T.tocsc()
        rows, values = nearest(
            lambda items: vectors[items] @ to_known, self.n_items, self.neighbours
        )
        if self.average:
            values = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
        self._store(rows, values)
        return self

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "neighbours": self.neighbours,
            "average": self.average,
            "name": self.name,
        }
