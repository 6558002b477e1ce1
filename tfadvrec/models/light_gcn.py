"""LightGCN: vectors that are averaged over a graph's neighbourhoods."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.models.interaction_graph import InteractionGraph
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class LightGCN(Recommender):
    """Ranks by inner products of vectors that are spread over the graph of the training log.

    Each user and item has a trained vector. A layer replaces every vector by the normalised sum of
    its neighbours'; what ranks is the mean over the layers, the trained vectors among them. `bind`
    gives the model its graph: bind the *training* log before `fit`. What ranks is kept in two
    tables (`user_rows`, `item_rows`), brought up to date when it is asked for after training, so
    that evaluation, presets and servables need no graph. Binding another log with the same rows
    gives users and items without training the vectors of their neighbours.

    An adversary moves the trained tables (`variables("embedding")`; a row-wise target would move
    most of the graph, because every row within reach has a gradient) or the vectors of a batch
    after they are spread (`outputs_of("_vectors")`, the published form).

    The product has no XLA form, so blocks of batches run in a loop of plain TensorFlow.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        layers: How often vectors are spread; 0 is matrix factorisation.
        regularization: Training adds half of this times the squared lengths of the trained vectors
            of a batch, summed as the package's losses are.
        initial_scale: Standard deviation of the normal distribution that the vectors start from.
        seed: Seed of the initial values, or None.
        name: The Keras model name.

    Shapes: see `Recommender`.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(30, 20, n_interactions=200)
    >>> model = tar.models.LightGCN(n_users=30, n_items=20, dimension=4, seed=0).bind(log)
    >>> model.score_catalogue([0, 2]).shape
    TensorShape([2, 20])

    Reference: He et al., LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation, SIGIR 2020, equations 7, 4 and 15.
    """

    supports_jit = False
    uncompiled_by_design = True

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 64,
        layers: int = 3,
        regularization: float = 1e-4,
        initial_scale: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        self.supports_jit = False
        if dimension < 1 or layers < 0:
            raise ValueError(
                "dimension must be 1 or more and layers 0 or more. Received: "
                f"dimension={dimension}, layers={layers}"
            )
        if regularization < 0 or initial_scale <= 0:
            raise ValueError(
                "regularization must be 0 or more and initial_scale above 0. Received: "
                f"regularization={regularization}, initial_scale={initial_scale}"
            )
        self.dimension, self.depth = dimension, layers
        self.regularization, self.initial_scale, self.seed = regularization, initial_scale, seed
        self.user_embedding = self._table("user_embedding", n_users, 0)
        self.item_embedding = self._table("item_embedding", n_items, 1)
        self.user_rows = self._table("user_rows", n_users, None)
        self.item_rows = self._table("item_rows", n_items, None)
        self.user_vectors = keras.layers.Identity(name="user_vectors")
        self.item_vectors = keras.layers.Identity(name="item_vectors")
        self.graph: InteractionGraph | None = None
        self._stale = tf.Variable(False, trainable=False)
        self.built = True

    def _table(self, name: str, rows: int, offset: int | None) -> keras.layers.Embedding:
        """A trained table, or (without an offset of its seed) one that training fills."""
        start: Any = "zeros"
        if offset is not None:
            seed = None if self.seed is None else 2 * self.seed + offset
            start = keras.initializers.RandomNormal(stddev=self.initial_scale, seed=seed)
        table = keras.layers.Embedding(
            rows,
            self.dimension,
            embeddings_initializer=start,
            trainable=offset is not None,
            name=name,
        )
        table.build(())
        return table

    def bind(
        self, log: Interactions, *, social: tuple[Sequence[int], Sequence[int]] | None = None
    ) -> Self:
        """Takes the ids of a log, and its graph.

        Args:
            log: The training log, with this model's rows.
            social: Two arrays of user rows, the ends of edges between users (friends, trust), which
                are spread over as interactions are; or None.

        Returns:
            The model itself.
        """
        super().bind(log)
        self.graph = InteractionGraph(log.csr(), social=social)
        self._stale.assign(True)
        return self

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        rows = ops.convert_to_tensor(inputs["item_id"])
        if training:
            users, items = self._trained(inputs["user_id"], rows)
        else:
            self.settle()
            users, items = self.user_rows(inputs["user_id"]), self.item_rows(rows)
        users, items = self.user_vectors(users), self.item_vectors(items)
        if len(rows.shape) == 1:
            return ops.matmul(users, ops.transpose(items))
        return row_sums(users[:, None, :] * items)[..., 0]

    def _trained(self, users: Any, items: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """A batch's vectors in training, and what the batch adds to the loss."""
        if self.graph is None:
            raise ValueError(
                f"{self.name!r} has no graph to train on yet: call model.bind(train_log) first."
            )
        _replicas.own(self._stale).assign(True)
        if self.regularization:
            tables = (
                (self.user_embedding.embeddings, users),
                (self.item_embedding.embeddings, items),
            )
            squares = [
                ops.sum(ops.square(ops.cast(ops.take(table, rows, 0), "float32")))
                for table, rows in tables
            ]
            squares = ops.sum(ops.stack(squares))
            self.add_loss(_replicas.summed(0.5 * self.regularization * squares))
        users_now, items_now = self._split(self._spread(users, items))
        found = (tf.gather(users_now, users), tf.gather(items_now, items))
        return tuple(tf.cast(vectors, self.compute_dtype) for vectors in found)

    def _spread(self, users: Any, items: Any) -> tf.Tensor:
        """The vectors that rank in a training pass over these rows, users first."""
        return self.spread()

    def spread(self) -> tf.Tensor:
        """The mean over the layers, `(n_users + n_items, dimension)`, users first."""
        layers = [self._together()]
        for _ in range(self.depth):
            layers.append(self.graph.neighbours(layers[-1]))
        return tf.add_n(layers) / len(layers)

    def _together(self) -> tf.Tensor:
        tables = (self.user_embedding.embeddings, self.item_embedding.embeddings)
        return tf.concat([tf.cast(table.value, tf.float32) for table in tables], axis=0)

    def _split(self, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return vectors[: self.n_users], vectors[self.n_users :]

    def settle(self) -> None:
        """Brings the tables that rank up to date with the trained ones, where they are not.

        Eager calls and `evaluate`, `predict`, `save` do this; a graph of your own finds the tables
        as they were left.
        """
        if self.graph is None or tf.inside_function() or not self._stale:
            return
        users, items = self._split(self.spread())
        self.user_rows.embeddings.assign(users)
        self.item_rows.embeddings.assign(items)
        self._stale.assign(False)

    @property
    def served_tables(self) -> list[keras.Variable]:
        """What ranks: the tables that an attack on the trained model moves."""
        self.settle()
        return [self.user_rows.embeddings, self.item_rows.embeddings]

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users after they are spread, `(batch, dimension)`."""
        self.settle()
        return self.user_rows(check_rows(rows, self.n_users, "user"))

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items after they are spread, `(batch, dimension)`."""
        self.settle()
        return self.item_rows(check_rows(rows, self.n_items, "item"))

    def save(self, filepath: Any, **options: Any) -> None:
        """As in Keras."""
        self.settle()
        super().save(filepath, **options)

    def save_weights(self, filepath: Any, **options: Any) -> None:
        """As in Keras."""
        self.settle()
        super().save_weights(filepath, **options)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "dimension": self.dimension,
            "layers": self.depth,
            "regularization": self.regularization,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }
