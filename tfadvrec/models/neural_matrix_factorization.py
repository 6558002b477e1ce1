"""Neural matrix factorisation of ratings: products and a perceptron of a user's and an item's."""

import zlib
from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from tfadvrec import _replicas
from tfadvrec.data.interactions import Interactions
from tfadvrec.models.biased_matrix_factorization import mean_rating
from tfadvrec.models.perceptron import Perceptron
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class NeuralMatrixFactorization(Recommender):
    """Predicts a rating from weighted products of two vectors, a perceptron over both, and biases.

    rating = mean + user's bias + item's bias + w . (p * q) + perceptron([p, q]). The perceptron's
    first layer is a sum of what the user and the item add to it, so that a whole catalogue costs
    one such product a user. One vector serves both parts (the paper has two of each).

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        hidden: Widths of the perceptron's hidden layers, at least one.
        mean: What every rating starts from; `for_log` takes the log's mean.
        regularization: As in `BiasedMatrixFactorization`, of the vectors.
        activation: Name of the hidden layers' activation.
        dropout: Share of each further hidden layer's values that is dropped in training.
        initial_scale: Standard deviation of the truncated normal that the vectors start from.
        seed: Seed of the initial values and of dropout, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; scores are ratings.

    Reference: He et al., Neural Collaborative Filtering, WWW 2017, equation 12, on squared error.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 32,
        hidden: Sequence[int] = (32, 16),
        mean: float = 0.0,
        regularization: float = 0.0,
        activation: str = "relu",
        dropout: float = 0.0,
        initial_scale: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if dimension < 1 or not hidden or regularization < 0 or initial_scale <= 0:
            raise ValueError(
                "dimension must be 1 or more, hidden one or more widths, regularization 0 or more "
                f"and initial_scale above 0. Received: dimension={dimension}, "
                f"hidden={list(hidden)!r}, regularization={regularization}, "
                f"initial_scale={initial_scale}"
            )
        self.dimension, self.hidden, self.mean, self.seed = dimension, list(hidden), mean, seed
        self.regularization, self.activation = float(regularization), activation
        self.dropout_rate, self.initial_scale = float(dropout), float(initial_scale)
        self.user_embedding = self._table("user_embedding", n_users)
        self.item_embedding = self._table("item_embedding", n_items)
        self.user_bias = self.add_weight(shape=(n_users,), initializer="zeros", name="user_rows")
        self.item_bias = self.add_weight(shape=(n_items,), initializer="zeros", name="item_rows")
        self.products = self.add_weight(shape=(dimension, 1), initializer="ones", name="products")
        self.of_user, self.of_item = (self._dense(f"of_{side}") for side in ("user", "item"))
        self.nonlinear = keras.activations.get(activation)
        self.perceptron = Perceptron(
            given=hidden[0],
            hidden=hidden[1:],
            units=1,
            activation=activation,
            dropout=dropout,
            seed=seed,
            name="deep",
        )
        self.built = True

    def _seed(self, label: str) -> int | None:
        return None if self.seed is None else zlib.crc32(f"{self.seed}/{label}".encode())

    def _table(self, name: str, rows: int) -> keras.layers.Embedding:
        start = keras.initializers.TruncatedNormal(stddev=self.initial_scale, seed=self._seed(name))
        table = keras.layers.Embedding(
            rows, self.dimension, embeddings_initializer=start, name=name
        )
        table.build(())
        return table

    def _dense(self, name: str) -> keras.layers.Dense:
        start = keras.initializers.GlorotUniform(seed=self._seed(name))
        layer = keras.layers.Dense(self.hidden[0], kernel_initializer=start, name=name)
        layer.build((None, self.dimension))
        return layer

    @classmethod
    def for_log(cls, log: Interactions, **config: Any) -> Self:
        """Makes a model for a log of ratings: its rows, its ids and its mean.

        Raises:
            DataError: The log has no ratings.
        """
        config.setdefault("mean", mean_rating(log))
        return cls(n_users=log.n_users, n_items=log.n_items, **config).bind(log)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Ratings of candidates; see `Recommender`."""
        users, rows = (ops.convert_to_tensor(inputs[key]) for key in ("user_id", "item_id"))
        mine, theirs = self.user_embedding(users), self.item_embedding(rows)
        if training and self.regularization:
            squares = ops.sum(ops.square(mine)) + ops.sum(ops.square(theirs))
            self.add_loss(_replicas.summed(self.regularization * squares))
        if len(rows.shape) == 1:
            theirs, rows = theirs[None], rows[None]
        own = ops.take(self.user_bias, users, axis=0)[:, None] + self.mean
        others = ops.take(self.item_bias, rows, axis=0)
        mixed = ops.matmul(mine[:, None, :] * theirs, self.products)
        first = self.nonlinear(self.of_user(mine)[:, None, :] + self.of_item(theirs))
        deep = self.perceptron(first, training=training)
        return (mixed + deep)[..., 0] + own + others

    def score_catalogue(self, users: Any) -> tf.Tensor:
        """Ratings of every item for each user, float32 `(batch, n_items)`."""
        rows = check_rows(users, self.n_users, "user")
        items = tf.range(self.n_items)
        return tf.cast(self({"user_id": rows, "item_id": items}, training=False), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "hidden": self.hidden,
            "mean": self.mean,
            "regularization": self.regularization,
            "activation": self.activation,
            "dropout": self.dropout_rate,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }
