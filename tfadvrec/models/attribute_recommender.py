"""Vectors out of attributes: what has no interactions yet is ranked at once."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.models.baselines import PureSVD
from tfadvrec.models.feature_columns import Features, Wanted, as_columns, learn_columns
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.tower import Tower
from tfadvrec.models.vector_alignment import aligned, trained_vectors
from tfadvrec.models.vector_generator import VectorGenerator
from tfadvrec.presets import register

SIDES = ("user", "item")
WARM = ("own", "generated")


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class AttributeRecommender(Recommender):
    """Ranks by vectors of a trained recommender, and generates those that it could not learn.

    Users and items have the vectors that a factorised model gave them (`for_log`). Rows of one
    side that had no interactions have none: a network makes theirs from their attributes. It is
    trained on the rows that have both, by `games.ColdStartGame` or by Keras's own `fit` on
    `(rows, vectors)` of `generated`. With noise, a generator can make many vectors for the same
    attributes; ranking takes the one of noise zero.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        dimension: Width of the vectors.
        features: The `FeatureColumn`s (or dictionaries of them) that vectors are made from.
        side: Whose vectors are made, `"item"` or `"user"`.
        code_dimension: Width of the attributes' code, before noise joins it.
        noise_dimension: Width of the noise; 0 for none.
        hidden: Widths of the hidden layers between code and vector.
        activation: Name of the activation of the code and of the hidden layers.
        dropout: Share of the attributes' vectors and of hidden values that training drops.
        warm: Which vector ranks a row that has one of its own: `"own"`, or `"generated"` as for
            all others, so that scores of new and old rows are of one kind.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the model.

    Raises:
        ValueError: If an argument is out of range, or there is no feature.

    Shapes: see `Recommender`.

    Example:

    >>> from tfadvrec.models import PureSVD
    >>> log = Interactions.from_arrays([1, 1, 2, 2, 3], ["jam", "tea", "jam", "tea", "wine"])
    >>> log = log.replace(item_features={"kind": np.array(["food", "drink", "drink"])})
    >>> known = PureSVD(n_users=3, n_items=3, rank=2).fit(log)
    >>> model = AttributeRecommender.for_log(log, known, features=["kind"], hidden=[8], seed=0)
    >>> bool(np.allclose(model.score_catalogue([0]), known.score_catalogue([0]), atol=1e-5))
    True
    >>> model.generated([0, 1, 2]).shape
    TensorShape([3, 2])

    Reference: Sun et al., LARA: Attribute-to-feature adversarial learning for new-item
    recommendation (WSDM 2020), the generator; Gantner et al., Learning attribute-to-feature
    mappings for cold-start recommendations (ICDM 2010), the mapping without a game.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int,
        features: Features,
        side: str = "item",
        code_dimension: int = 128,
        noise_dimension: int = 0,
        hidden: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        warm: str = "own",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if side not in SIDES or warm not in WARM:
            raise ValueError(
                f"side is one of {SIDES} and warm one of {WARM}, got {side!r} and {warm!r}."
            )
        if min(dimension, code_dimension, *hidden) < 1 or noise_dimension < 0:
            raise ValueError(
                "dimension, code_dimension and hidden widths are at least 1 and noise_dimension "
                f"at least 0, got {dimension!r}, {code_dimension!r}, {hidden!r} and "
                f"{noise_dimension!r}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is from 0 to below 1, got {dropout!r}.")
        self.dimension, self.features = dimension, as_columns(features)
        self.side, self.warm, self.seed = side, warm, seed
        self.code_dimension, self.noise_dimension = code_dimension, noise_dimension
        self.hidden, self.activation, self.dropout_rate = tuple(hidden), activation, float(dropout)
        rows = {"user": n_users, "item": n_items}
        self.user_vectors, self.item_vectors = (
            self._table(f"{one}_vectors", (rows[one], dimension)) for one in SIDES
        )
        self.has_vector = self._table("has_vector", (rows[side],))
        self.generator = VectorGenerator(
            rows=rows[side],
            dimension=dimension,
            columns=self.features,
            code_dimension=code_dimension,
            noise_dimension=noise_dimension,
            hidden=self.hidden,
            activation=activation,
            dropout=self.dropout_rate,
            seed=seed,
            name="generator",
        )
        self.built = True

    def _table(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

    # -- vectors --------------------------------------------------------------------------

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        model: Any = None,
        *,
        features: Wanted = None,
        side: str = "item",
        dimension: int | None = None,
        align: bool = True,
        **config: Any,
    ) -> Self:
        """Makes a model for a log out of a factorised one that was trained on it.

        The vocabularies of the features are learned from the rows with interactions, and only
        these rows have vectors of their own, whatever the trained model holds for the others.

        Args:
            log: The training interactions.
            model: A trained model with `embed_users` and `embed_items` for the log's rows; where
                None, a `PureSVD` of rank `dimension` is fitted.
            features: The features to make vectors from, as in `TwoTower.for_log`; None for all
                that the log has on that side.
            side: Whose vectors are made from attributes.
            dimension: Width of the vectors: the trained model's, or 64 where there is none.
            align: Whether the space is turned so that a distance of two vectors is the distance
                of their scores (`vector_alignment.aligned`); no score changes.
            **config: Further arguments of the constructor.

        Returns:
            The model, bound to the log; its generator is not trained yet.

        Raises:
            ValueError: If the log lacks a feature, or the model has no vectors for its rows.
        """
        if side not in SIDES:
            raise ValueError(f"side is one of {SIDES}, got {side!r}.")
        known = {
            "user": np.bincount(log.user, minlength=log.n_users) > 0,
            "item": log.popularity() > 0,
        }
        available = log.item_features if side == "item" else log.user_features
        wanted = tuple(available) if features is None else features
        columns = learn_columns(side, available, np.flatnonzero(known[side]), wanted)
        if model is None:
            sizes = {"n_users": log.n_users, "n_items": log.n_items}
            rank = min(dimension or 64, *sizes.values())
            model = PureSVD(**sizes, rank=rank, seed=config.get("seed") or 0).fit(log)
        vectors = trained_vectors(model, log)
        width = vectors["user"].shape[1]
        if dimension not in (None, width):
            raise ValueError(f"the trained model has vectors of {width}, got {dimension=}.")
        if align:
            vectors = aligned(vectors, known, side=side)
        vectors[side] *= known[side][:, None]
        made = cls(
            n_users=log.n_users,
            n_items=log.n_items,
            dimension=width,
            features=columns,
            side=side,
            **config,
        )
        made.user_vectors.assign(vectors["user"])
        made.item_vectors.assign(vectors["item"])
        made.has_vector.assign(known[side].astype(np.float32))
        return made.bind(log)

    @property
    def attributes(self) -> Tower:
        """The tower that holds the encoded attributes."""
        return self.generator.attributes

    @property
    def own_vectors(self) -> keras.Variable:
        """The table of the side whose vectors can be generated; zeros where there is none."""
        return self.item_vectors if self.side == "item" else self.user_vectors

    @property
    def other_vectors(self) -> keras.Variable:
        """The table of the other side."""
        return self.user_vectors if self.side == "item" else self.item_vectors

    def bind(self, log: Interactions) -> Self:
        """Takes a log's ids and, where the log has all the features, encodes them.

        After `from_preset` with other items this is what gives the new ones their attributes.
        """
        super().bind(log)
        given = log.item_features if self.side == "item" else log.user_features
        if all(column.name in given for column in self.features):
            self.attributes.encode(given)
        return self

    def encode_features(self, log: Interactions) -> dict[str, float]:
        """Fills the attribute tables from a log, and insists on finding every feature.

        Args:
            log: A log with this model's rows and features.

        Returns:
            Name -> share of the rows about which the feature says something.

        Raises:
            ValueError: If the log lacks a feature or has another number of rows.
        """
        return self.attributes.encode(
            log.item_features if self.side == "item" else log.user_features
        )

    def generated(self, rows: Any, noise: Any = None, training: bool | None = None) -> tf.Tensor:
        """Makes vectors from the attributes of rows.

        Args:
            rows: int rows `(...,)` of the side whose vectors are made.
            noise: `(..., noise_dimension)`, or None for zeros.
            training: Whether to drop out.

        Returns:
            `(..., dimension)`.
        """
        return self.generator(ops.convert_to_tensor(rows), noise, training=training)

    def _ranked(self, side: str, rows: Any, training: bool | None = None) -> tf.Tensor:
        """The vectors that rank: own ones, or generated ones."""
        table = self.user_vectors if side == "user" else self.item_vectors
        if side != self.side:
            return ops.take(table, rows, axis=0)
        made = self.generated(rows, training=training)
        if self.warm == "generated":
            return made
        own = ops.take(self.has_vector, rows, axis=0)[..., None] > 0
        return ops.where(own, ops.take(table, rows, axis=0), made)

    # -- scores ---------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; shapes as for every `Recommender`."""
        users = self._ranked("user", inputs["user_id"], training)
        items = self._ranked("item", inputs["item_id"], training)
        if len(items.shape) == 2:
            return ops.matmul(users, ops.transpose(items))
        return row_sums(users[:, None, :] * items)[..., 0]

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users, `(batch, dimension)`: trained ones, or generated ones."""
        return self._ranked("user", check_rows(rows, self.n_users, "user"))

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, dimension)`: trained ones, or generated ones."""
        return self._ranked("item", check_rows(rows, self.n_items, "item"))

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """Both tables of vectors, the mark of who has one, and the encoded attributes."""
        mine = [self.has_vector, *self.attributes.tables]
        return {
            self.user_vectors.path: ("user", 0),
            self.item_vectors.path: ("item", 0),
            **{weight.path: (self.side, 0) for weight in mine},
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, JSON-able."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "features": [column.to_dict() for column in self.features],
            "side": self.side,
            "code_dimension": self.code_dimension,
            "noise_dimension": self.noise_dimension,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "dropout": self.dropout_rate,
            "warm": self.warm,
            "seed": self.seed,
            "name": self.name,
        }
