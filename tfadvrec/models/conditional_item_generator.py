"""Generates items for a user and a class of feedback; ranks by the same logits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.models.dropout import Dropout
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ConditionalItemGenerator(Recommender):
    """Gives a distribution over items for a user, a class of feedback and noise.

    A user's and a class's vector and noise go through a network whose output is added to the
    user's vector; its inner products with the items' vectors, plus item biases, are logits. As a
    recommender it ranks by the logits of the last class at noise zero.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        classes: Number of classes of feedback, such as disliked and liked.
        dimension: Length of the vectors.
        noise_dimension: Width of the noise.
        hidden: Widths of the network's hidden layers.
        dropout: Share of the sum that training drops.
        seed: Seed of the initial values and of dropout.
        name: The Keras model name.

    Shapes: see `Recommender`.

    Example:

    >>> model = ConditionalItemGenerator(n_users=3, n_items=5, dimension=4)
    >>> model.logits(np.array([0, 2]), np.array([1, 1]), np.zeros((2, 8), "float32")).shape
    TensorShape([2, 5])

    Reference: Wang et al., Enhancing collaborative filtering with generative augmentation (KDD
    2019), the generator.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        classes: int = 2,
        dimension: int = 32,
        noise_dimension: int = 8,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if min(classes, dimension, *hidden) < 1 or noise_dimension < 0 or not 0 <= dropout < 1:
            raise ValueError(
                "classes, dimension and hidden widths are at least 1, noise_dimension at least 0 "
                f"and dropout from 0 to below 1, got {classes!r}, {dimension!r}, {hidden!r}, "
                f"{noise_dimension!r} and {dropout!r}."
            )
        self.classes, self.dimension = int(classes), int(dimension)
        self.noise_dimension, self.hidden = int(noise_dimension), tuple(hidden)
        self.dropout_rate, self.seed = float(dropout), int(seed)
        self.user_embedding = self._table("user_embedding", n_users, 0)
        self.item_embedding = self._table("item_embedding", n_items, 1)
        self.class_embedding = self._table("class_embedding", classes, 2)
        self.bias = self.add_weight(shape=(n_items,), initializer="zeros", name="item_rows")
        self.network = self._stack()
        self.drop = Dropout(self.dropout_rate, seed=self.seed, name="drop")
        self.built = True

    def _table(self, name: str, rows: int, offset: int) -> keras.layers.Embedding:
        start = keras.initializers.TruncatedNormal(stddev=0.1, seed=3 * self.seed + offset)
        table = keras.layers.Embedding(
            rows, self.dimension, embeddings_initializer=start, name=name
        )
        table.build(())
        return table

    def _stack(self) -> keras.Sequential:
        layers: list[Any] = [keras.Input((2 * self.dimension + self.noise_dimension,))]
        for depth, width in enumerate((*self.hidden, self.dimension)):
            start = keras.initializers.GlorotUniform(seed=1_000 * self.seed + depth)
            layers.append(
                keras.layers.Dense(width, kernel_initializer=start, name=f"dense_{depth}")
            )
            layers.append(keras.layers.LeakyReLU(0.2, name=f"bent_{depth}"))
        return keras.Sequential(layers[:-1], name="network")

    def wishes(self, users: Any, classes: Any, noise: Any, training: bool | None = None) -> Any:
        """What the user would take: vectors `(batch, dimension)` in the space of items.

        Args:
            users: int rows `(batch,)`.
            classes: int classes `(batch,)`.
            noise: float32 `(batch, noise_dimension)`.
            training: Whether dropout acts.
        """
        own = self.user_embedding(users)
        given = ops.concatenate([own, self.class_embedding(classes), noise], axis=-1)
        return self.drop(own + self.network(given, training=training), training=training)

    def logits(self, users: Any, classes: Any, noise: Any, training: bool | None = None) -> Any:
        """Logits of all items, `(batch, n_items)`; arguments as in `wishes`."""
        wish = self.wishes(users, classes, noise, training=training)
        return ops.matmul(wish, ops.transpose(self.item_embedding.embeddings)) + self.bias

    def log_weights(self, users: Any, seed: int = 0, *, draws: int = 4) -> np.ndarray:
        """Log-probabilities of items of the last class, averaged over noise.

        Args:
            users: int rows `(batch,)`.
            seed: Seed of the noise.
            draws: How many values of the noise each user gets.

        Returns:
            float64 `(batch, n_items)`, normalised.
        """
        rows, rng = check_rows(users, self.n_users, "user"), np.random.default_rng(seed)
        liked, parts = self._liked(rows), []
        for _ in range(draws):
            noise = rng.standard_normal((len(rows), self.noise_dimension)).astype(np.float32)
            parts.append(tf.nn.log_softmax(self.logits(rows, liked, noise), axis=-1).numpy())
        return np.logaddexp.reduce(np.asarray(parts, np.float64), axis=0) - np.log(draws)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Scores candidates; shapes as for every `Recommender`."""
        wish = self._wishes_of(ops.convert_to_tensor(inputs["user_id"]), training)
        rows = ops.convert_to_tensor(inputs["item_id"])
        items, bias = self.item_embedding(rows), ops.take(self.bias, rows, axis=0)
        if len(rows.shape) == 1:
            return ops.matmul(wish, ops.transpose(items)) + bias
        return row_sums(wish[:, None, :] * items)[..., 0] + bias

    def embed_users(self, rows: Any) -> Any:
        """Vectors of users with a 1 appended for the items' biases, `(batch, dimension + 1)`."""
        wish = self._wishes_of(check_rows(rows, self.n_users, "user"), False)
        return ops.concatenate([wish, ops.ones_like(wish[:, :1])], axis=-1)

    def embed_items(self, rows: Any) -> Any:
        """Vectors of items with their biases appended, `(batch, dimension + 1)`."""
        rows = check_rows(rows, self.n_items, "item")
        return ops.concatenate(
            [self.item_embedding(rows), ops.take(self.bias, rows, axis=0)[:, None]], axis=-1
        )

    def _wishes_of(self, rows: Any, training: bool | None) -> Any:
        none = ops.zeros((ops.shape(rows)[0], self.noise_dimension))
        return self.wishes(rows, self._liked(rows), none, training=training)

    def _liked(self, rows: Any) -> Any:
        return ops.full_like(rows, self.classes - 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "classes": self.classes,
            "dimension": self.dimension,
            "noise_dimension": self.noise_dimension,
            "hidden": list(self.hidden),
            "dropout": self.dropout_rate,
            "seed": self.seed,
            "name": self.name,
        }
