"""Two towers: users and items become vectors of one space, from ids and from features."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import keras_rs
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.models.feature_column import FeatureColumn
from tfadvrec.models.feature_columns import Features, Wanted, as_columns, learn_columns
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.tower import Tower
from tfadvrec.presets import register

SMALLEST_PROBABILITY = 1e-12  # keras-rs clips at 1e-6, above the share of an item seen once in 10⁷


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class TwoTower(Recommender):
    """Ranks by the inner product or cosine of two learned vectors, divided by a temperature.

    Each side has a tower over a vector of the row's id and its features: numbers, categories,
    several values, hashed text. Feature values are encoded once, outside the model's graph, into
    tables that are weights of the model (`encode_features`), so that it is called with rows only.

    For in-batch training (`data.in_batch` with `losses.InBatchSoftmax`) the scores of candidates
    c are lowered by ln Q(c) wherever the inputs have a `"sampling_probability"` Q: frequent items
    are candidates more often and would be pushed down too much. Inputs without it, as in
    `recommend`, evaluation and serving, give the plain scores. Accidental hits are labelled -1 by
    the sampler and left out by the loss.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        dimension: Width of the two vectors.
        user_features: The users' `FeatureColumn`s, or dictionaries of them.
        item_features: The items' ones.
        user_id_dimension: Width of a user's own vector; None is `dimension`, 0 none at all.
        item_id_dimension: The same for items; with 0 an item is what its features say, and a new
            one ranks at once.
        hidden: Widths of each tower's hidden layers; none makes the towers linear.
        activation: Name of the hidden layers' activation.
        similarity: `"cosine"` or `"dot"`.
        temperature: Divides the scores, in training and after.
        dropout: Share of a tower's inputs that is dropped in training.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the model.

    Raises:
        ValueError: If an argument is out of range.

    Shapes: see `Recommender`; `"sampling_probability"` is shaped like `"item_id"`.

    Example:

    >>> model = TwoTower(n_users=3, n_items=5, dimension=4, seed=0)
    >>> model({"user_id": np.array([0, 2]), "item_id": np.array([[1, 4], [0, 3]])}).shape
    TensorShape([2, 2])

    Reference: Yi et al., Sampling-bias-corrected neural modeling for large corpus item
    recommendations (RecSys 2019), section 3.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 64,
        user_features: Features = (),
        item_features: Features = (),
        user_id_dimension: int | None = None,
        item_id_dimension: int | None = None,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        similarity: str = "cosine",
        temperature: float = 0.1,
        dropout: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if similarity not in ("cosine", "dot"):
            raise ValueError(f"similarity is 'cosine' or 'dot', got {similarity!r}.")
        if not temperature > 0 or not 0 <= dropout < 1:
            raise ValueError(
                f"temperature is above 0 and dropout from 0 to below 1, got {temperature!r} "
                f"and {dropout!r}."
            )
        own = [width for width in (user_id_dimension, item_id_dimension) if width is not None]
        if min(dimension, 1, *hidden) < 1 or min(own, default=0) < 0:
            raise ValueError(
                f"dimension and hidden widths are at least 1 and id dimensions at least 0, got "
                f"dimension={dimension!r}, hidden={hidden!r} and {own!r}."
            )
        self.dimension, self.hidden, self.activation = dimension, tuple(hidden), activation
        self.similarity, self.temperature = similarity, float(temperature)
        self.dropout_rate, self.seed = float(dropout), seed
        self.user_id_dimension, self.item_id_dimension = user_id_dimension, item_id_dimension
        self.user_features, self.item_features = (
            as_columns(user_features),
            as_columns(item_features),
        )
        self.user_tower = self._tower("user", n_users, self.user_features, user_id_dimension)
        self.item_tower = self._tower("item", n_items, self.item_features, item_id_dimension)
        self.correction = keras_rs.layers.SamplingProbabilityCorrection(
            epsilon=SMALLEST_PROBABILITY, name="log_q"
        )
        self.built = True

    def _tower(
        self, side: str, rows: int, columns: tuple[FeatureColumn, ...], id_dimension: int | None
    ) -> Tower:
        tower = Tower(
            rows=rows,
            dimension=self.dimension,
            columns=columns,
            id_dimension=self.dimension if id_dimension is None else id_dimension,
            hidden=self.hidden,
            activation=self.activation,
            dropout=self.dropout_rate,
            seed=self.seed,
            name=f"{side}_tower",
        )
        tower.build()
        return tower

    # -- features -------------------------------------------------------------------------

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        user_features: Wanted = None,
        item_features: Wanted = None,
        **config: Any,
    ) -> Self:
        """Makes a model for a log: learns its features' vocabularies, encodes them, takes its ids.

        Only users and items that the log interacts with are learned from; the features of all
        rows are encoded. Give the training part of a split.

        Args:
            log: The training interactions.
            user_features: Names of the users' features to use; or name -> kind (see
                `FeatureColumn`), or name -> fields such as `{"kind": "text", "buckets": 4096}`;
                None for none. Kinds that are not given are guessed.
            item_features: The same for items.
            **config: Further arguments of the constructor.

        Returns:
            The model, bound to the log.

        Raises:
            ValueError: If the log has no feature of that name.
        """
        columns = {
            "user_features": learn_columns(
                "user", log.user_features, np.unique(log.user), user_features
            ),
            "item_features": learn_columns(
                "item", log.item_features, np.unique(log.item), item_features
            ),
        }
        return cls(n_users=log.n_users, n_items=log.n_items, **columns, **config).bind(log)

    def bind(self, log: Interactions) -> Self:
        """Takes a log's ids and, where the log has all features of a side, encodes them.

        A log without them leaves the tables as they are: those of a preset, or empty. Use
        `encode_features` to insist.

        Args:
            log: Interactions whose vocabularies have this model's rows.

        Returns:
            The model itself.
        """
        super().bind(log)
        for tower, features in (
            (self.user_tower, log.user_features),
            (self.item_tower, log.item_features),
        ):
            if all(column.name in features for column in tower.columns):
                tower.encode(features)
        return self

    def encode_features(self, log: Interactions) -> dict[str, dict[str, float]]:
        """Fills the feature tables from a log, this model's own or that of another catalogue.

        The vocabularies stay those that were learned: values that they do not have become the
        unknown one, whose vector is zero until it is trained. `bind` does the same, after
        `from_preset` with new users or items too, but asks for nothing and reports nothing.

        Args:
            log: A log with the features that the model was made with.

        Returns:
            `{"user": {...}, "item": {...}}`: for each feature the share of rows about which it
            says something.

        Raises:
            ValueError: If the log lacks a feature or has other numbers of rows.
        """
        return {
            "user": self.user_tower.encode(log.user_features),
            "item": self.item_tower.encode(log.item_features),
        }

    # -- scores ---------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores candidates; see the class."""
        users = self._user_vectors(inputs["user_id"], training)
        items = self._item_vectors(inputs["item_id"], training)
        shared = len(items.shape) == 2  # the same candidates for every user
        if shared:
            scores = ops.matmul(users, ops.transpose(items))
        else:
            scores = row_sums(users[:, None, :] * items)[..., 0]
        if "sampling_probability" not in inputs:
            return scores
        probability = ops.cast(inputs["sampling_probability"], scores.dtype)
        return self.correction(scores, probability[None, :] if shared else probability)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users, divided by the temperature, `(batch, dimension)`."""
        return self._user_vectors(check_rows(rows, self.n_users, "user"), False)

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, dimension)`."""
        return self._item_vectors(check_rows(rows, self.n_items, "item"), False)

    def _user_vectors(self, rows: Any, training: bool | None) -> tf.Tensor:
        return self._normal(self.user_tower(rows, training=training)) / self.temperature

    def _item_vectors(self, rows: Any, training: bool | None) -> tf.Tensor:
        return self._normal(self.item_tower(rows, training=training))

    def _normal(self, vectors: tf.Tensor) -> tf.Tensor:
        vectors = ops.cast(vectors, "float32")
        return ops.normalize(vectors, axis=-1) if self.similarity == "cosine" else vectors

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The id vectors and the encoded features: a row a user or an item."""
        weights = {}
        for side, tower in (("user", self.user_tower), ("item", self.item_tower)):
            own = [] if tower.identity is None else [tower.identity.embeddings]
            weights |= {weight.path: (side, 0) for weight in (*own, *tower.tables)}
        return weights

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, JSON-able."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "user_features": [column.to_dict() for column in self.user_features],
            "item_features": [column.to_dict() for column in self.item_features],
            "user_id_dimension": self.user_id_dimension,
            "item_id_dimension": self.item_id_dimension,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "similarity": self.similarity,
            "temperature": self.temperature,
            "dropout": self.dropout_rate,
            "seed": self.seed,
            "name": self.name,
        }
