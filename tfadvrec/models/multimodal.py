"""Two towers whose items are known by an id and by any set of modalities."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models.feature_columns import Features, as_columns, learn_columns
from tfadvrec.models.feature_columns import Wanted as WantedColumns
from tfadvrec.models.fusion_tower import FusionTower
from tfadvrec.models.item_modalities import ItemModalities
from tfadvrec.models.modalities import Modalities, Wanted, as_modalities
from tfadvrec.models.modality_table import ModalityTable
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.tower import Tower
from tfadvrec.models.vector_scores import VectorScores
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class Multimodal(ItemModalities, Recommender):
    """Ranks by users' vectors against items' fused vectors of id, text, tags, numbers, images.

    An item's vector is its id's plus the gated mean of what its modalities say (`FusionTower`).
    Training drops modalities at random, so that the fusion ranks when one is missing. An adversary
    may move the features of the positive and of the negative items alike:
    `adversary.outputs_of("modality_", per="vector")`; they have a median length of 1.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        modalities: The items' `Modality`s, or dictionaries of them.
        dimension: Width of the vectors.
        user_features: The users' `FeatureColumn`s, or dictionaries of them.
        item_ids: Whether each item has a vector of its own; without, new items rank at once.
        hidden: Widths of hidden layers behind the fusion.
        activation: Name of the hidden layers' activation.
        fusion: `"gated"`, or `"mean"`.
        modality_dropout: Share of present modalities that training drops.
        similarity: `"dot"` or `"cosine"`.
        temperature: Divides the scores.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the model.

    Raises:
        ValueError: If an argument is out of range.

    Shapes: see `Recommender`; `"sampling_probability"` as for `TwoTower`.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "wine"])
    >>> log = log.replace(item_features={"title": np.array(["Red jam", "Green tea", "Red wine"])})
    >>> model = Multimodal.for_log(log, {"title": "text"}, dimension=4, similarity="dot", seed=0)
    >>> with model.hidden("title", [0, 1, 2]):
    ...     by_id_alone = model.embed_items([0, 1, 2])
    >>> bool(np.allclose(by_id_alone, model.item_tower.identity.embeddings))
    True

    Reference: He and McAuley, VBPR (AAAI 2016); Tang et al., Adversarial training towards robust
    multimedia recommender systems (TKDE 2019); Volkovs et al., DropoutNet (NeurIPS 2017).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        modalities: Modalities,
        dimension: int = 64,
        user_features: Features = (),
        item_ids: bool = True,
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
        if min(dimension, *hidden, 1) < 1:
            raise ValueError(
                f"dimension and hidden widths are at least 1, got {dimension!r}, {hidden!r}."
            )
        self.dimension, self.hidden_widths = dimension, tuple(hidden)
        self.modalities, self.user_features = as_modalities(modalities), as_columns(user_features)
        self.has_item_ids, self.activation, self.fusion = bool(item_ids), activation, fusion
        self.modality_dropout = float(modality_dropout)
        self.seed = seed
        self.user_tower = Tower(
            rows=n_users,
            dimension=dimension,
            columns=self.user_features,
            id_dimension=dimension,
            seed=seed,
            name="user_tower",
        )
        self.user_tower.build()
        self.item_tower = FusionTower(
            rows=n_items,
            dimension=dimension,
            modalities=self.modalities,
            ids=self.has_item_ids,
            hidden=self.hidden_widths,
            activation=activation,
            fusion=fusion,
            modality_dropout=self.modality_dropout,
            seed=seed,
            name="item_tower",
        )
        self.scores = VectorScores(similarity, temperature, name="scores")
        self.built = True

    @property
    def modality_tables(self) -> list[ModalityTable]:
        """The items' features, a table a modality."""
        return self.item_tower.tables

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        modalities: Wanted = None,
        *,
        user_features: WantedColumns = None,
        **config: Any,
    ) -> Self:
        """Makes a model for a log; see `ItemModalities.for_log` and, for users, `TwoTower.for_log`.

        Args:
            log: The training part of a split.
            modalities: Names of item features, or name -> kind or fields of a `Modality`; None for
                all features of the log.
            user_features: Names of the users' features; None for none.
            **config: `vectors`, and further arguments of the constructor.
        """
        columns = learn_columns("user", log.user_features, np.unique(log.user), user_features)
        return super().for_log(log, modalities, user_features=columns, **config)

    def bind(self, log: Interactions) -> Self:
        """Takes a log's ids, and encodes the features that it has; others stay as they are."""
        super().bind(log)
        if all(column.name in log.user_features for column in self.user_tower.columns):
            self.user_tower.encode(log.user_features)
        return self

    # -- scores ---------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        users = self.user_tower(inputs["user_id"], training=training)
        items = self.item_tower(inputs["item_id"], training=training)
        return self.scores(users, items, inputs)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users, divided by the temperature, `(batch, dimension)`."""
        return self.scores.of_users(self.user_tower(check_rows(rows, self.n_users, "user")))

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Fused vectors of items, `(batch, dimension)`."""
        return self.scores.of_items(self.item_tower(check_rows(rows, self.n_items, "item")))

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The id vectors, the items' features and what they have, the users' features."""
        users = [self.user_tower.identity.embeddings, *self.user_tower.tables]
        return {
            **{weight.path: ("user", 0) for weight in users},
            **{weight.path: ("item", 0) for weight in self.item_tower.row_weights()},
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "modalities": [modality.to_dict() for modality in self.modalities],
            "dimension": self.dimension,
            "user_features": [column.to_dict() for column in self.user_features],
            "item_ids": self.has_item_ids,
            "hidden": list(self.hidden_widths),
            "activation": self.activation,
            "fusion": self.fusion,
            "modality_dropout": self.modality_dropout,
            "similarity": self.scores.similarity,
            "temperature": self.scores.temperature,
            "seed": self.seed,
            "name": self.name,
        }
