"""Matrix factorisation of ratings: a mean, a bias a user, a bias an item, and an inner product."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from scipy import sparse
from scipy.sparse.linalg import lsqr

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.data.checks import DataError
from tfadvrec.data.interactions import Interactions
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class BiasedMatrixFactorization(Recommender):
    """Predicts a rating: mean + user's bias + item's bias + inner product of their vectors.

    Train it with `losses.SquaredError` on `data.points(log, negatives=0, target="rating")`, and
    measure it with `evaluation.evaluate_ratings`. A user or item without ratings keeps a bias of
    zero and a vector near it, so its predictions fall back to what the other side says.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        mean: What every rating starts from; `for_log` takes the log's mean.
        regularization: Weight of the squared vectors and biases of each rating in a batch, summed,
            that training adds to the loss: lambda of the paper, for a loss that is summed too.
        initial_scale: Standard deviation of the truncated normal that the vectors start from.
        seed: Seed of the initial values, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; scores are ratings.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.Interactions.from_arrays([1, 1, 2], [5, 6, 5], rating=[4.0, 2.0, 3.0])
    >>> model = BiasedMatrixFactorization.for_log(log, dimension=4, initial_scale=1e-6)
    >>> model({"user_id": np.array([0]), "item_id": np.array([[0, 1]])}).numpy().round(3).tolist()
    [[3.0, 3.0]]

    Reference: Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems,
    Computer 42(8), 2009, equations 4 and 5.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 32,
        mean: float = 0.0,
        regularization: float = 0.0,
        initial_scale: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if dimension < 1 or regularization < 0 or initial_scale <= 0:
            raise ValueError(
                "dimension must be 1 or more, regularization 0 or more and initial_scale above 0. "
                f"Received: dimension={dimension}, regularization={regularization}, "
                f"initial_scale={initial_scale}"
            )
        self.dimension, self.mean, self.seed = dimension, float(mean), seed
        self.regularization, self.initial_scale = float(regularization), float(initial_scale)
        self.user_embedding = self._table("user_embedding", n_users, 0)
        self.item_embedding = self._table("item_embedding", n_items, 1)
        self.user_bias = self.add_weight(shape=(n_users,), initializer="zeros", name="user_rows")
        self.item_bias = self.add_weight(shape=(n_items,), initializer="zeros", name="item_rows")
        self.built = True

    def _table(self, name: str, rows: int, offset: int) -> keras.layers.Embedding:
        start = keras.initializers.TruncatedNormal(
            stddev=self.initial_scale, seed=None if self.seed is None else 2 * self.seed + offset
        )
        table = keras.layers.Embedding(
            rows, self.dimension, embeddings_initializer=start, name=name
        )
        table.build(())
        return table

    @classmethod
    def for_log(cls, log: Interactions, **config: Any) -> Self:
        """Makes a model for a log of ratings: its rows, its ids and its mean.

        Raises:
            DataError: The log has no ratings.
        """
        config.setdefault("mean", mean_rating(log))
        return cls(n_users=log.n_users, n_items=log.n_items, **config).bind(log)

    @classmethod
    def biases_alone(cls, log: Interactions, *, damping: float = 5.0) -> Self:
        """Fits the biases in closed form and leaves the vectors zero: the baseline to beat.

        They minimise the squared errors plus `damping` times the squared biases.

        Args:
            log: The training interactions, with ratings.
            damping: The penalty: as many ratings without a leaning count in each bias.

        Raises:
            DataError: The log has no ratings.

        Example:

        >>> import tfadvrec as tar
        >>> log = tar.Interactions.from_arrays([1, 1, 2, 2], [5, 6, 5, 6], rating=[5, 4, 3, 2])
        >>> model = BiasedMatrixFactorization.biases_alone(log, damping=0.0)
        >>> model.score_catalogue([0, 1]).numpy().round(3).tolist()
        [[5.0, 4.0], [3.0, 2.0]]

        Reference: Koren, Factor in the Neighbors: Scalable and Accurate Collaborative Filtering,
        TKDD 4(1), 2010, section 2.1.
        """
        if damping < 0:
            raise ValueError(f"damping must be 0 or more. Received: {damping}")
        model = cls.for_log(log, dimension=1, seed=0)
        for table in (model.user_embedding, model.item_embedding):
            table.embeddings.assign(ops.zeros_like(table.embeddings))
        rows, columns = np.arange(len(log)), np.concatenate([log.user, log.n_users + log.item])
        marks = sparse.csr_matrix(
            (np.ones(2 * len(log)), (np.tile(rows, 2), columns)),
            shape=(len(log), log.n_users + log.n_items),
        )
        left = log.rating.astype(np.float64) - model.mean
        found = lsqr(marks, left, damp=damping**0.5, atol=1e-9, btol=1e-9)[0]
        model.user_bias.assign(found[: log.n_users])
        model.item_bias.assign(found[log.n_users :])
        return model

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Ratings of candidates; see `Recommender`."""
        users, rows = (ops.convert_to_tensor(inputs[key]) for key in ("user_id", "item_id"))
        mine, theirs = self.user_embedding(users), self.item_embedding(rows)
        own, others = ops.take(self.user_bias, users, axis=0), ops.take(self.item_bias, rows, 0)
        if training and self.regularization:
            self.add_loss(self.regularization * _squares(mine, own))
            self.add_loss(self.regularization * _squares(theirs, others))
        if len(rows.shape) == 1:
            products = ops.matmul(mine, ops.transpose(theirs))
        else:
            products = row_sums(mine[:, None, :] * theirs)[..., 0]
        return products + others + own[:, None] + self.mean

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users with a 1 and their own part, `(batch, dimension + 2)`."""
        rows = check_rows(rows, self.n_users, "user")
        vectors = self.user_embedding(rows)
        own = ops.take(self.user_bias, rows, axis=0)[:, None] + self.mean
        return ops.concatenate([vectors, ops.ones_like(own), own], axis=-1)

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items with their bias and a 1, `(batch, dimension + 2)`."""
        rows = check_rows(rows, self.n_items, "item")
        vectors = self.item_embedding(rows)
        own = ops.take(self.item_bias, rows, axis=0)[:, None]
        return ops.concatenate([vectors, own, ops.ones_like(own)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "mean": self.mean,
            "regularization": self.regularization,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }


def mean_rating(log: Interactions) -> float:
    """The mean of a log's ratings.

    Raises:
        DataError: The log has none.
    """
    if log.rating is None or not len(log):
        raise DataError(f"a model of ratings needs a log with ratings; {log!r} has none.")
    return float(np.mean(log.rating, dtype=np.float64))


def _squares(vectors: Any, biases: Any) -> Any:
    return _replicas.summed(ops.sum(ops.square(vectors)) + ops.sum(ops.square(biases)))
