"""Factorisation machine and perceptron over one set of field vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfadvrec.models.click_model import ClickModel
from tfadvrec.models.feature_columns import Features
from tfadvrec.models.perceptron import Perceptron
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class DeepFactorizationMachine(ClickModel):
    """DeepFM: a weight a value, the products of all pairs of fields' vectors, and a perceptron.

    A number x has a weight and a vector too, which counts x times. `hidden=()` leaves a
    factorisation machine; `hidden=(), interactions=False` logistic regression.

    Args:
        columns: See `ClickModel`; `DeepFactorizationMachine.for_log(log)` learns them.
        dimension: Length of a field's vector.
        hidden: Widths of the perceptron's hidden layers; none leaves it out.
        interactions: Whether pairs of fields count by the product of their vectors.
        activation: Name of the hidden layers' activation.
        dropout: Share of each hidden layer's values that is dropped in training.
        initial_scale: Standard deviation of the truncated normal that vectors start from.
        seed: Seed of the initial values and of dropout, or None.
        name: The Keras model name.

    Shapes: see `ClickModel`.

    Example:

    >>> import tfadvrec as tar
    >>> ads = tar.data.ClickLog.from_frame(
    ...     {"ad": [1, 2, 1], "site": ["x", "y", "y"], "click": [1, 0, 0]},
    ...     label="click", fields=["ad", "site"])
    >>> model = DeepFactorizationMachine.for_log(ads, dimension=4, hidden=[8], seed=0)
    >>> model.probabilities(ads).shape
    (3,)

    Reference: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    IJCAI 2017, equations 1 to 4; Rendle, Factorization Machines, ICDM 2010, lemma 3.1.
    """

    def __init__(
        self,
        *,
        columns: Features,
        dimension: int = 16,
        hidden: Sequence[int] = (128, 64),
        interactions: bool = True,
        activation: str = "relu",
        dropout: float = 0.0,
        initial_scale: float = 0.05,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        vectors = bool(hidden) or interactions
        if vectors and dimension < 1:
            raise ValueError(f"dimension must be 1 or more. Received: {dimension}")
        super().__init__(
            columns=columns,
            dimension=dimension if vectors else 0,
            initial_scale=initial_scale,
            seed=seed,
            name=name,
        )
        self.asked_dimension, self.hidden, self.interactions = dimension, list(hidden), interactions
        self.activation, self.dropout_rate = activation, float(dropout)
        self.first_order = self.table(1, "zeros", "first_order") if self.fields else None
        self.number_weights = self.number_embedding = None
        if self.numbers:
            self._add_numbers(len(self.numbers), vectors)
        self.perceptron = None
        if hidden:
            self.perceptron = Perceptron(
                given=dimension * len(self.columns),
                hidden=hidden,
                units=1,
                activation=activation,
                dropout=dropout,
                seed=seed,
                name="deep",
            )

    def _add_numbers(self, count: int, vectors: bool) -> None:
        self.number_weights = self.add_weight(
            shape=(count, 1), initializer="zeros", name="number_weights"
        )
        if vectors:
            own = None if self.seed is None else self.seed + 1
            start = keras.initializers.TruncatedNormal(stddev=self.initial_scale, seed=own)
            self.number_embedding = self.add_weight(
                shape=(count, self.dimension), initializer=start, name="number_embedding"
            )

    def logits_of(
        self, vectors: Any, inputs: Mapping[str, Any], training: bool | None = None
    ) -> tf.Tensor:
        """Logits `(batch, 1)`; see `ClickModel`."""
        parts, logits = [], 0.0
        if self.fields:
            known = self.known(inputs)
            logits += ops.sum(self.first_order(self.positions(inputs)) * known, axis=1)
            if vectors is not None:
                parts.append(vectors * known)
        if self.numbers:
            values = self.number_values(inputs)
            logits += ops.matmul(values, self.number_weights)
            if self.number_embedding is not None:
                parts.append(values[..., None] * self.number_embedding)
        if parts:
            every = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
            if self.interactions:
                logits += pair_products(every)
            if self.perceptron is not None:
                flat = ops.reshape(every, (-1, len(self.columns) * self.dimension))
                logits += self.perceptron(flat, training=training)
        return ops.cast(logits, "float32") + self.bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dimension": self.asked_dimension,
            "hidden": self.hidden,
            "interactions": self.interactions,
            "activation": self.activation,
            "dropout": self.dropout_rate,
        }


def pair_products(vectors: Any) -> Any:
    """Sum of the inner products of all pairs of vectors: `(batch, fields, width)` -> `(batch, 1)`.

    >>> import numpy as np
    >>> pair_products(np.array([[[1.0, 2.0], [3.0, 4.0], [1.0, 1.0]]])).numpy().tolist()
    [[21.0]]
    """
    total = ops.square(ops.sum(vectors, axis=1)) - ops.sum(ops.square(vectors), axis=1)
    return 0.5 * ops.sum(total, axis=-1, keepdims=True)
