"""Two towers without ids: an item is its content, a user the items that they took."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec.data import Interactions
from tfadvrec.models.fusion_tower import FusionTower
from tfadvrec.models.history import probe_histories
from tfadvrec.models.history_pooling import HistoryPooling, last_items, without
from tfadvrec.models.item_modalities import ItemModalities
from tfadvrec.models.modalities import Modalities, Vectors, as_modalities
from tfadvrec.models.modality_table import ModalityTable
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.vector_scores import VectorScores
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ContentTwoTower(ItemModalities, Recommender):
    """Ranks items by their content for users who are known by what they took last.

    No weight belongs to one item or one user, so a model that is trained on one catalogue ranks
    another (`transferred`). A user's vector is c + W sum_j w_j v_j over the last items j of their
    history, w a softmax over a . v_j and a learned weight of how long ago; v_j are the items'
    vectors (`FusionTower` without ids), c a vector of all users. In training, candidates that are
    in the user's history (the positives) take no part in it.

    Args:
        n_users: Number of users whose histories may be bound.
        n_items: Number of items.
        modalities: The items' `Modality`s, or dictionaries of them.
        dimension: Width of the vectors.
        length: How many items of a history count, the last ones.
        hidden: Widths of hidden layers behind the fusion of an item's modalities.
        activation: Name of the hidden layers' activation.
        fusion: `"gated"`, or `"mean"`.
        modality_dropout: Share of present modalities that training drops.
        similarity: `"dot"` or `"cosine"`.
        temperature: Divides the scores.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the model.

    Raises:
        ValueError: If an argument is out of range.

    Shapes: see `Recommender`; `"history"`, int `(batch, any)` with -1 as padding and the newest
    item last, may stand for `"user_id"`.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "wine"], time=[1, 2, 3])
    >>> log = log.replace(item_features={"title": np.array(["Red jam", "Green tea", "Red wine"])})
    >>> model = ContentTwoTower.for_log(log, {"title": "text"}, dimension=4, seed=0)
    >>> model.score_history([[0, -1, -1], [2, 1, 0]]).shape
    TensorShape([2, 3])

    Reference: Ding et al., Zero-Shot Recommender Systems (ZESRec, 2021), item vectors from content
    and users from histories; Covington et al., Deep Neural Networks for YouTube Recommendations
    (RecSys 2016), the pooled history.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        modalities: Modalities,
        dimension: int = 64,
        length: int = 20,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        fusion: str = "gated",
        modality_dropout: float = 0.3,
        similarity: str = "cosine",
        temperature: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if min(dimension, length, *hidden) < 1:
            raise ValueError(
                "dimension, length and hidden widths are at least 1, got "
                f"{dimension!r}, {length!r}, {hidden!r}."
            )
        self.modalities, self.dimension, self.length = as_modalities(modalities), dimension, length
        self.hidden_widths, self.activation, self.fusion = tuple(hidden), activation, fusion
        self.modality_dropout = float(modality_dropout)
        self.seed = seed
        self.item_tower = FusionTower(
            rows=n_items,
            dimension=dimension,
            modalities=self.modalities,
            ids=False,
            hidden=self.hidden_widths,
            activation=activation,
            fusion=fusion,
            modality_dropout=self.modality_dropout,
            seed=seed,
            name="item_tower",
        )
        self.pooling = HistoryPooling(dimension, length, seed=seed, name="history")
        self.scores = VectorScores(similarity, temperature, name="scores")
        self._histories: tf.Tensor | None = None
        self.built = True

    # -- catalogues -----------------------------------------------------------------------

    @property
    def modality_tables(self) -> list[ModalityTable]:
        """The items' features, a table a modality."""
        return self.item_tower.tables

    def transferred(
        self, log: Interactions, vectors: Vectors | None = None, *, extended: bool = False
    ) -> Self:
        """Makes a model of the same weights for another catalogue.

        Args:
            log: Its items' features, and the histories of its users.
            vectors: Name -> given vectors of its items.
            extended: Whether words that the first catalogue did not have get a weight, to be
                trained; without training they are noise. Tags that it did not have stay unknown.

        Returns:
            The model, bound to the log.

        Raises:
            ValueError: If the log lacks a feature.
        """
        config = self.get_config() | {"n_users": log.n_users, "n_items": log.n_items}
        if extended:
            given, known = {**log.item_features, **(vectors or {})}, np.unique(log.item)
            config["modalities"] = [
                one.extended(np.asarray(given[one.name])[known]).to_dict()
                for one in self.modalities
            ]
        other = type(self)(**config)
        for old, new in zip(self.trainable_weights, other.trainable_weights, strict=True):
            new.assign(old)
        other.bind(log)
        other.encode_features(log, vectors)
        return other

    def bind(self, log: Interactions) -> Self:
        """Takes a log's ids, its users' last items, and the features that it has."""
        super().bind(log)
        self._histories = tf.constant(last_items(log, self.length))
        return self

    # -- scores ---------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        rows = ops.convert_to_tensor(inputs["item_id"])
        history = inputs["history"] if "history" in inputs else self._taken(inputs["user_id"])
        history = ops.convert_to_tensor(history)
        if training:
            history = without(history, rows)
        catalogue = self.item_tower(ops.arange(self.n_items), training=training)
        users = self.pooling(history, catalogue)
        return self.scores(users, ops.take(catalogue, rows, axis=0), inputs)

    def _taken(self, users: Any) -> tf.Tensor:
        if self._histories is None:
            raise ValueError(
                f"{type(self).__name__} knows users by their histories: bind it to a log, "
                "model.bind(log), or give inputs a 'history'."
            )
        return tf.gather(self._histories, users)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users of the bound log, divided by the temperature, `(batch, dimension)`."""
        return self.embed_history(self._taken(check_rows(rows, self.n_users, "user")))

    def embed_history(self, history: Any) -> tf.Tensor:
        """Vectors of users who are known by what they took.

        Args:
            history: int item rows `(batch, any)`, -1 as padding, the newest item last.

        Returns:
            `(batch, dimension)`.
        """
        catalogue = self.item_tower(ops.arange(self.n_items))
        return self.scores.of_users(self.pooling(ops.convert_to_tensor(history), catalogue))

    def score_history(self, history: Any) -> tf.Tensor:
        """Scores of every item, `(batch, n_items)`; arguments as for `embed_history`."""
        return ops.matmul(
            self.embed_history(history), ops.transpose(self.embed_items(tf.range(self.n_items)))
        )

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, dimension)`."""
        return self.scores.of_items(self.item_tower(check_rows(rows, self.n_items, "item")))

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The items' features and what they have."""
        return {weight.path: ("item", 0) for weight in self.item_tower.row_weights()}

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """A few histories and candidates, as a preset's probe asks for."""
        return probe_histories(self.n_items)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "modalities": [modality.to_dict() for modality in self.modalities],
            "dimension": self.dimension,
            "length": self.length,
            "hidden": list(self.hidden_widths),
            "activation": self.activation,
            "fusion": self.fusion,
            "modality_dropout": self.modality_dropout,
            "similarity": self.scores.similarity,
            "temperature": self.scores.temperature,
            "seed": self.seed,
            "name": self.name,
        }
