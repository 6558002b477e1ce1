"""Training against an adversary that says how hard each sampled negative is."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec._row_sums import row_sums
from tfadvrec.adversary.hardness_turns import HardnessTurns
from tfadvrec.adversary.model_training import ModelTraining, with_callback
from tfadvrec.losses import MASKED, InBatchSoftmax
from tfadvrec.training.blocks import batch_rows
from tfadvrec.training.frozen import optimized_variables
from tfadvrec.training.gradients import add_gradients, ready


@keras.saving.register_keras_serializable(package="tfadvrec")
class AdversarialNegatives(ModelTraining):
    """AdvInfoNCE: trains a model while an adversary weighs its sampled negatives.

    The adversary has a vector w for each user and item. In a row with N negatives it weighs
    negative j by `p_j = softmax_j(w_u . w_j)`, and the model is trained on

        -ln( exp(s+) / (exp(s+) + scale * N * sum_j p_j exp(s_j)) ),

    s the model's scores, which should be cosines divided by a temperature (as those of `TwoTower`
    are). With equal p and `scale=1` that is the plain loss. The hardness is a constant in the
    model's epochs. Every `interval`-th epoch of `fit`, at most `adversary_epochs` in all, is the
    adversary's: its vectors climb the loss, and the model stands still.

    `hardness_divergence` in the logs is the mean KL divergence of p from equal weights: near 0 at
    the start, and as large as ln N where one negative is all that counts: the adversary is then
    too strong. Evaluation is the model's own, on equal weights. Saving or exporting saves or
    exports the model inside; the adversary is never part of it.

    Args:
        model: A model with the inputs `"user_id"` `(batch,)` and `"item_id"`
            `(batch, candidates)` or `(candidates,)`, and a score a candidate. Labels are 1, 0 for
            a negative and -1 for a candidate that is ignored, as `tfadvrec.data.pairs` and
            `in_batch` give them.
        scale: How much all negatives weigh together (kappa), above 0.
        interval: Every how many epochs the adversary has its turn, 2 or more.
        adversary_epochs: How many turns it has at most; 0 leaves the start, near equal weights.
        dimension: Length of the adversary's vectors.
        initial_scale: Standard deviation of the normal that they start from.
        n_users: Number of users; the model's own where None.
        n_items: Number of items; the model's own where None.
        seed: Seed of the adversary's vectors.
        name: The Keras model name.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(30, 60, n_interactions=300)
    >>> model = tar.TwoTower(n_users=30, n_items=60, dimension=8, temperature=0.2, seed=0)
    >>> robust = tar.adversary.AdversarialNegatives(model, scale=4.0, interval=2)
    >>> robust.compile("adam", adversary_optimizer="adam")
    >>> data = tar.data.pairs(log, batch_size=50, negatives=8)
    >>> sorted(robust.fit(data, epochs=2, verbose=0).history)
    ['hardness_divergence', 'loss']

    Reference: Zhang et al., Empowering Collaborative Filtering with Principled Adversarial
    Contrastive Loss, NeurIPS 2023, equations 7 and 8 and algorithm 1. What it has besides, a
    regulariser of the adversary, is left out.
    """

    def __init__(
        self,
        model: keras.Model,
        scale: float = 64.0,
        *,
        interval: int = 5,
        adversary_epochs: int = 7,
        dimension: int = 64,
        initial_scale: float = 0.01,
        n_users: int | None = None,
        n_items: int | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(model, name=name)
        if not 0 < scale < math.inf or not 0 < initial_scale < math.inf:
            raise ValueError(
                "scale and initial_scale must be finite numbers above 0. Received: "
                f"scale={scale!r}, initial_scale={initial_scale!r}"
            )
        if interval < 2 or adversary_epochs < 0 or dimension < 1:
            raise ValueError(
                "interval must be 2 or more (the other epochs train the model), adversary_epochs 0 "
                f"or more and dimension 1 or more. Received: interval={interval!r}, "
                f"adversary_epochs={adversary_epochs!r}, dimension={dimension!r}"
            )
        self.scale, self.interval, self.adversary_epochs = float(scale), interval, adversary_epochs
        self.dimension, self.initial_scale, self.seed = dimension, float(initial_scale), seed
        sizes = {"n_users": n_users, "n_items": n_items}
        for key, given in sizes.items():
            sizes[key] = getattr(model, key, None) if given is None else given
            if sizes[key] is None:
                raise ValueError(f"{type(model).__name__} has no {key}: pass {key}=.")
        self.n_users, self.n_items = sizes["n_users"], sizes["n_items"]
        with self.distribute_strategy.scope():
            self.user_hardness = self._table("user_hardness", self.n_users, 0)
            self.item_hardness = self._table("item_hardness", self.n_items, 1)
        self._turns = HardnessTurns(interval, adversary_epochs)
        with self.distribute_strategy.scope():
            self._divergence = keras.metrics.Mean(name="hardness_divergence")
        self.trackers = [self._divergence]

    def _table(self, name: str, rows: int, offset: int) -> keras.layers.Embedding:
        start = keras.initializers.RandomNormal(
            stddev=self.initial_scale, seed=2 * self.seed + offset
        )
        table = keras.layers.Embedding(
            rows, self.dimension, embeddings_initializer=start, dtype="float32", name=name
        )
        table.build(())
        return table

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *positional: Any,
        adversary_optimizer: Any = None,
        **options: Any,
    ) -> None:
        """As in Keras.

        Args:
            optimizer: The model's.
            loss: Of labels and scores; `InBatchSoftmax()`, InfoNCE, where None.
            *positional: As in Keras.
            adversary_optimizer: The adversary's; `Adam(5e-5)` where None.
            **options: As in Keras.
        """
        super().compile(
            optimizer, InBatchSoftmax() if loss is None else loss, *positional, **options
        )
        with self.distribute_strategy.scope():
            default = keras.optimizers.Adam(5e-5)
            self.adversary_optimizer = keras.optimizers.get(adversary_optimizer or default)
        self._check_scope(self.adversary_optimizer)

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; every `interval`-th epoch, over all calls, is the adversary's."""
        options["callbacks"] = with_callback(options.get("callbacks"), self._turns)
        try:
            return super().fit(x, y, *positional, **options)
        finally:  # an interrupted epoch has no end
            self._turns.adversary.assign(False)

    def build_on(self, data: Any) -> None:
        """Builds the model inside, and both optimizers."""
        super().build_on(data)
        self._build_optimizers()

    def _optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        return [
            (self.optimizer, optimized_variables(self.model)),
            (self.adversary_optimizer, self._hardness_variables()),
        ]

    def _hardness_variables(self) -> list[keras.Variable]:
        return [self.user_hardness.embeddings, self.item_hardness.embeddings]

    def train_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """One step of the model, or of the adversary when it is its turn."""
        if not self.model.built:
            self.build_on(data)
        self._build_optimizers()  # none can be made inside the branch that one side trains in
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        state = list(self.model.non_trainable_variables)
        before = [tf.identity(v.value) for v in state]
        with tf.GradientTape(persistent=True) as tape:
            scores = self.call(x, training=True)
            shift, divergence = self.hardness(x, y)
            shifted = tf.cast(scores, tf.float32) + shift
            loss = self.compute_loss(x, y, shifted, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        down = tape.gradient(scaled, [v.value for v in self.model.trainable_variables])
        up = tape.gradient(loss, [v.value for v in self._hardness_variables()])
        self.branch(
            self._turns.adversary.value(),
            lambda: self._climb(up, state, before),
            lambda: self._apply(self.optimizer, down, self.model.trainable_variables),
        )
        rows = batch_rows(x)
        self._loss_tracker.update_state(_replicas.unscaled(loss), sample_weight=rows)
        self._divergence.update_state(divergence, sample_weight=rows)
        return {
            **self.compute_metrics(x, y, scores, sample_weight),
            "hardness_divergence": self._divergence.result(),
        }

    def way(self) -> bool | None:
        """Under a strategy, whether the adversary has the next step."""
        return bool(self._turns.adversary.numpy()) if self._distributed else None

    def hardness(self, inputs: Mapping[str, Any], labels: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """What the adversary adds to the scores of a batch.

        Args:
            inputs: `"user_id"` and `"item_id"` rows.
            labels: `(batch, candidates)`: 1, 0, or -1.

        Returns:
            `ln(scale * N * p)` of each negative and 0 of other candidates, float32
            `(batch, candidates)`; and the mean over rows of KL(p || equal weights), a scalar.
        """
        users, items = (
            table(tf.convert_to_tensor(inputs[key]))
            for table, key in ((self.user_hardness, "user_id"), (self.item_hardness, "item_id"))
        )
        if items.shape.rank == 2:
            logits = tf.matmul(users, items, transpose_b=True)
        else:
            logits = row_sums(users[:, None, :] * items)[..., 0]
        negative = tf.cast(tf.equal(labels, 0), tf.float32)
        count = tf.reduce_sum(negative, axis=-1, keepdims=True)
        log_p = tf.nn.log_softmax(tf.where(negative > 0, logits, MASKED), axis=-1)
        relative = negative * (log_p + tf.math.log(tf.maximum(count, 1.0)))
        divergence = tf.reduce_sum(negative * tf.exp(log_p) * relative, axis=-1)
        return negative * (relative + math.log(self.scale)), tf.reduce_mean(divergence)

    def _climb(
        self, gradients: list[Any], state: list[keras.Variable], before: list[tf.Tensor]
    ) -> None:
        """The adversary's update, up the loss; the model's own state returns to what it was."""
        for variable, value in zip(state, before, strict=True):
            if "seed_generator_state" not in variable.path:
                variable.assign(value)
        up = [add_gradients(None, g, weight=-1.0) for g in gradients]
        self._apply(self.adversary_optimizer, up, self._hardness_variables())

    def _apply(self, optimizer: Any, gradients: list[Any], variables: list[keras.Variable]) -> None:
        # tensors of the branch itself: Keras sums gradients over replicas in one graph only
        gradients = [None if g is None else tf.identity(g) for g in gradients]
        gradients = [ready(g, optimizer, compiled=self.compiled_by_xla) for g in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "scale": self.scale,
            "interval": self.interval,
            "adversary_epochs": self.adversary_epochs,
            "dimension": self.dimension,
            "initial_scale": self.initial_scale,
            "n_users": self.n_users,
            "n_items": self.n_items,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdversarialNegatives":
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
