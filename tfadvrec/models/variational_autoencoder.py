"""An autoencoder of users' histories whose code is a distribution, or a plain denoising one."""

import itertools
import zlib
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.data.multi_hot import multi_hot
from tfadvrec.models.baselines.fitting import bound
from tfadvrec.models.dropout import Dropout
from tfadvrec.models.history import History, probe_histories
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.presets import register

# The posterior starts narrower than the prior, so that the decoder can learn from codes at first.
FIRST_LOG_VARIANCE = -2.0


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class VariationalAutoencoder(Recommender):
    """Codes a user's history and decodes the code into scores of every item.

    The history, a row x of ones and zeros, is divided by its length ||x||_2 and thinned by dropout;
    the encoder gives mean and log variance of q(z|x), and the decoder gives logits. Trained with
    `losses.Multinomial`, it minimises -sum_i x_i ln softmax(logits)_i + weight * KL(q(z|x) || N(0,
    I)), where weight = `beta` + `beta_per_item` * |x|. Training samples the code, inference takes
    its mean.

    Without hidden layers both encoder and decoder are linear.
    The decoder's last layer is linear always, so a score is an inner product of a user's vector
    (the last values before it) and an item's (its column, with the bias appended).

    Args:
        n_users: Number of users. No weight has a row a user.
        n_items: Number of items.
        latent: Width of the code.
        hidden: Widths of the encoder's hidden layers; the decoder has them in reverse order.
        activation: A Keras activation's name, that of the hidden layers.
        dropout: Share of the history that training drops.
        beta: Weight of the KL divergence.
        beta_per_item: Added to that weight for each item of a user's history.
        annealing: Training steps over which the weight rises linearly from 0.
        stochastic: With False the code is the mean, in training too, and there is no KL: a
            denoising autoencoder.
        seed: Seed of initial values, dropout and codes, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; besides, `{"history": (batch, length)}` in place of users and no
    `"item_id"` for the whole catalogue.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"])
    >>> model = VariationalAutoencoder(n_users=2, n_items=2, latent=3, seed=0).bind(log)
    >>> history = np.array([[1, -1]])  # the second user's: tea
    >>> bool(np.allclose(model.score_history(history), model.score_catalogue([1])))
    True

    Reference: Liang et al., Variational Autoencoders for Collaborative Filtering (WWW 2018),
    section 2; a weight by the length of the history: Shenbin et al., RecVAE (WSDM 2020).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        latent: int = 200,
        hidden: Sequence[int] = (),
        activation: str = "tanh",
        dropout: float = 0.5,
        beta: float = 0.2,
        beta_per_item: float = 0.0,
        annealing: int = 0,
        stochastic: bool = True,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if min([latent, *hidden]) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "latent and hidden must be widths above 0 and dropout lie in [0, 1). Received: "
                f"latent={latent!r}, hidden={hidden!r}, dropout={dropout!r}"
            )
        if not (beta >= 0 and beta_per_item >= 0 and annealing >= 0):
            raise ValueError(
                "beta, beta_per_item and annealing must be 0 or more. Received: "
                f"beta={beta!r}, beta_per_item={beta_per_item!r}, annealing={annealing!r}"
            )
        self.latent, self.hidden, self.activation = int(latent), tuple(hidden), activation
        self.dropout, self.annealing = float(dropout), int(annealing)
        self.beta, self.beta_per_item = float(beta), float(beta_per_item)
        self.stochastic, self.seed = bool(stochastic), seed
        self._history: History | None = None
        self._make_layers()
        self.built = True

    def _make_layers(self) -> None:
        self.drop = Dropout(self.dropout, seed=self.seed)
        self.drop.build((None, self.n_items))
        self.drawn = keras.random.SeedGenerator(None if self.seed is None else self.seed + 1)
        inward = [self.n_items, *self.hidden]
        self.encoder = self._stack("encoder", inward, self.activation)
        self.mean = self._dense("encoder_mean", inward[-1], self.latent)
        self.log_variance = None
        if self.stochastic:
            self.log_variance = self._dense(
                "encoder_log_variance", inward[-1], self.latent, bias=FIRST_LOG_VARIANCE
            )
        outward = [self.latent, *self.hidden[::-1]]
        self.decoder = self._stack("decoder", outward, self.activation)
        self.out = self._dense("decoder_out", outward[-1], self.n_items)
        self.steps = None
        if self.annealing:
            self.steps = self.add_weight(
                shape=(), initializer="zeros", trainable=False, autocast=False, name="steps"
            )

    def _stack(self, name: str, widths: Sequence[int], activation: str) -> list[keras.layers.Dense]:
        return [
            self._dense(f"{name}_{depth}", a, b, activation)
            for depth, (a, b) in enumerate(itertools.pairwise(widths))
        ]

    def _dense(
        self, name: str, width: int, units: int, activation: str | None = None, bias: float = 0.0
    ) -> keras.layers.Dense:
        number = zlib.crc32(name.encode()) % 10_000  # layers of one seed start differently
        layer = keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotNormal(
                seed=None if self.seed is None else 10_000 * self.seed + number
            ),
            bias_initializer=keras.initializers.Constant(bias),
            name=name,
        )
        layer.build((None, width))
        return layer

    def bind(self, log: Interactions) -> Self:
        """Takes the log's ids, and its interactions as the users' history."""
        super().bind(log)
        self._history = History(log.csr())
        return self

    # -- the network ----------------------------------------------------------------------

    def encode(self, taken: Any, training: bool = False) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The distribution of the code.

        Args:
            taken: Histories `(batch, n_items)` of ones and zeros.
            training: Whether dropout thins them.

        Returns:
            Mean and log variance, float32 `(batch, latent)`; no log variance where the code is not
            stochastic.
        """
        taken = ops.cast(taken, self.compute_dtype)
        length = ops.sqrt(ops.maximum(ops.sum(taken, axis=1, keepdims=True), 1.0))
        values = self.drop(taken / length, training=training)
        for layer in self.encoder:
            values = layer(values)
        mean = ops.cast(self.mean(values), "float32")
        if self.log_variance is None:
            return mean, None
        return mean, ops.cast(self.log_variance(values), "float32")

    def decode(self, codes: Any) -> tf.Tensor:
        """Logits of every item, float32 `(batch, n_items)`, of codes `(batch, latent)`."""
        return ops.cast(self.out(self._before_last(codes)), "float32")

    def divergence(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
        """KL(N(mean, variance) || N(0, I)) of each row, `(batch,)`."""
        each = ops.exp(log_variance) + ops.square(mean) - 1.0 - log_variance
        return 0.5 * ops.sum(each, axis=1)

    def penalty(self, taken: Any, mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
        """The weighted KL divergence, a scalar: the mean over users.

        Each call counts as a training step where the weight is annealed.

        Args:
            taken: Histories `(batch, n_items)`, for their lengths.
            mean: Means of the codes, `(batch, latent)`.
            log_variance: Their log variances.
        """
        weight = self.beta + self.beta_per_item * ops.sum(ops.cast(taken, "float32"), axis=1)
        if self.steps is not None:
            _replicas.own(self.steps).assign_add(1.0)
            weight = weight * ops.minimum(1.0, self.steps.value / self.annealing)
        return ops.mean(weight * self.divergence(mean, log_variance))

    def _before_last(self, codes: Any) -> tf.Tensor:
        values = ops.cast(codes, self.compute_dtype)
        for layer in self.decoder:
            values = layer(values)
        return values

    def _training_codes(self, taken: tf.Tensor) -> tf.Tensor:
        """Sampled codes; their divergence is added to the loss."""
        mean, log_variance = self.encode(taken, training=True)
        if log_variance is None:
            return mean
        if self.beta or self.beta_per_item:
            self.add_loss(self.penalty(taken, mean, log_variance))
        noise = keras.random.normal(ops.shape(mean), seed=self.drawn)
        return mean + ops.exp(0.5 * log_variance) * noise

    # -- ranking --------------------------------------------------------------------------

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        if "history" in inputs:
            taken = multi_hot(inputs["history"], self.n_items)
        else:
            taken = bound(self._history, self).dense(inputs["user_id"])
        codes = self._training_codes(taken) if training else self.encode(taken)[0]
        if "item_id" not in inputs:
            return self.decode(codes)
        items = ops.convert_to_tensor(inputs["item_id"])
        users = self._with_one(self._before_last(codes))
        candidates = self._columns(ops.reshape(items, [-1]))
        if len(items.shape) == 1:
            return ops.matmul(users, ops.transpose(candidates))
        candidates = ops.reshape(candidates, [*ops.shape(items), users.shape[-1]])
        return row_sums(users[:, None, :] * candidates)[..., 0]

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users of the bound log, `(batch, last hidden width + 1)`."""
        rows = check_rows(rows, self.n_users, "user")
        return self._vectors(bound(self._history, self).dense(rows))

    def embed_history(self, history: Any) -> tf.Tensor:
        """Vectors of users who are known by what they took.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Returns:
            `(batch, last hidden width + 1)`.
        """
        return self._vectors(multi_hot(history, self.n_items))

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, last hidden width + 1)`: the bias comes last."""
        return self._columns(check_rows(rows, self.n_items, "item"))

    def score_history(self, history: Any) -> tf.Tensor:
        """Scores of every item for users who are known by what they took; see `embed_history`.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Returns:
            float32 `(batch, n_items)`.
        """
        return self.decode(self.encode(multi_hot(history, self.n_items))[0])

    def _vectors(self, taken: tf.Tensor) -> tf.Tensor:
        return self._with_one(self._before_last(self.encode(taken)[0]))

    def _columns(self, rows: Any) -> tf.Tensor:
        kernel = ops.take(ops.transpose(self.out.kernel), rows, axis=0)
        bias = ops.take(self.out.bias, rows, axis=0)[:, None]
        return ops.cast(ops.concatenate([kernel, bias], axis=-1), self.compute_dtype)

    @staticmethod
    def _with_one(values: tf.Tensor) -> tf.Tensor:
        return ops.concatenate([values, ops.ones_like(values[:, :1])], axis=-1)

    def history_lengths(self, users: Any) -> np.ndarray:
        """How many items users took in the bound log, int64 `(batch,)`."""
        return np.diff(bound(self._history, self).starts.numpy())[np.asarray(users)]

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The encoder's first kernels, and the decoder's last kernel and bias."""
        first = self.encoder[:1] or [x for x in (self.mean, self.log_variance) if x is not None]
        sides = {layer.kernel.path: ("item", 0) for layer in first}
        return {**sides, self.out.kernel.path: ("item", 1), self.out.bias.path: ("item", 0)}

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """A few histories and candidates, as a preset's probe asks for."""
        return probe_histories(self.n_items)

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "latent": self.latent,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "dropout": self.dropout,
            "beta": self.beta,
            "beta_per_item": self.beta_per_item,
            "annealing": self.annealing,
            "stochastic": self.stochastic,
            "seed": self.seed,
            "name": self.name,
        }
