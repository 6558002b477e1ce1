"""Deep and cross network: explicit products of features, layer by layer, beside a perceptron."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_rs
import tensorflow as tf
from keras import ops

from tfadvrec.models.click_model import ClickModel
from tfadvrec.models.feature_columns import Features
from tfadvrec.models.perceptron import Perceptron
from tfadvrec.presets import register

STRUCTURES = ("stacked", "parallel")


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class CrossNetwork(ClickModel):
    """DCN-v2: cross layers `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l` and a perceptron.

    x_0 are the fields' vectors, one after the other, and the standardised numbers.

    Args:
        columns: See `ClickModel`; `CrossNetwork.for_log(log)` learns them.
        dimension: Length of a field's vector.
        crosses: Number of cross layers.
        projection: Rank of each W_l, or None for full matrices.
        hidden: Widths of the perceptron's hidden layers; none leaves the cross layers alone.
        structure: `"stacked"`: the perceptron takes what the cross layers give; `"parallel"`: it
            takes x_0, and the logit is read from both.
        activation: Name of the hidden layers' activation.
        dropout: Share of each hidden layer's values that is dropped in training.
        initial_scale: Standard deviation of the truncated normal that field vectors start from.
        seed: Seed of the initial values and of dropout, or None.
        name: The Keras model name.

    Shapes: see `ClickModel`.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> ads = tar.data.ClickLog.from_frame(
    ...     {"ad": [1, 2, 1], "site": ["x", "y", "y"], "click": [1, 0, 0]},
    ...     label="click", fields=["ad", "site"])
    >>> model = CrossNetwork.for_log(ads, dimension=4, crosses=2, hidden=[8], seed=0)
    >>> model(model.rows(ads)).shape
    TensorShape([3, 1])

    Reference: Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for
    Web-scale Learning to Rank Systems, WWW 2021, equations 1 and 2.
    """

    def __init__(
        self,
        *,
        columns: Features,
        dimension: int = 16,
        crosses: int = 3,
        projection: int | None = None,
        hidden: Sequence[int] = (128, 64),
        structure: str = "parallel",
        activation: str = "relu",
        dropout: float = 0.0,
        initial_scale: float = 0.05,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            columns=columns,
            dimension=dimension,
            initial_scale=initial_scale,
            seed=seed,
            name=name,
        )
        if structure not in STRUCTURES:
            raise ValueError(f"structure must be one of {STRUCTURES}. Received: {structure!r}")
        if dimension < 1 or crosses < 1 or (projection is not None and projection < 1):
            raise ValueError(
                "dimension and crosses must be 1 or more, and projection too, or None. Received: "
                f"dimension={dimension}, crosses={crosses}, projection={projection}"
            )
        self.crosses, self.projection, self.hidden = crosses, projection, list(hidden)
        self.structure, self.activation, self.dropout_rate = structure, activation, float(dropout)
        width = dimension * len(self.fields) + len(self.numbers)
        self.cross_layers = [self._cross(width, number) for number in range(crosses)]
        self.perceptron = Perceptron(
            given=width,
            hidden=hidden,
            activation=activation,
            dropout=dropout,
            seed=seed,
            name="deep",
        )
        both = hidden and structure == "parallel"
        given = self.perceptron.width + width if both else self.perceptron.width
        self.out = Perceptron(given=given, units=1, seed=seed, name="logit")

    def _cross(self, width: int, number: int) -> keras.layers.Layer:
        own = None if self.seed is None else zlib.crc32(f"{self.seed}/cross/{number}".encode())
        layer = keras_rs.layers.FeatureCross(
            projection_dim=self.projection,
            kernel_initializer=keras.initializers.GlorotUniform(seed=own),
            name=f"cross_{number}",
        )
        layer.build((None, width))
        if self.projection is not None:
            layer.down_proj_dense.build((None, width))
        layer.dense.build((None, self.projection or width))
        return layer

    def logits_of(
        self, vectors: Any, inputs: Mapping[str, Any], training: bool | None = None
    ) -> tf.Tensor:
        """Logits `(batch, 1)`; see `ClickModel`."""
        parts = []
        if vectors is not None:
            shown = vectors * self.known(inputs)
            parts.append(ops.reshape(shown, (-1, len(self.fields) * self.dimension)))
        if self.numbers:
            parts.append(self.number_values(inputs))
        start = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        crossed = start
        for layer in self.cross_layers:
            crossed = layer(start, crossed)
        if self.hidden and self.structure == "parallel":
            deep = self.perceptron(start, training=training)
            crossed = ops.concatenate([crossed, deep], axis=-1)
        else:
            crossed = self.perceptron(crossed, training=training)
        return ops.cast(self.out(crossed), "float32") + self.bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "crosses": self.crosses,
            "projection": self.projection,
            "hidden": self.hidden,
            "structure": self.structure,
            "activation": self.activation,
            "dropout": self.dropout_rate,
        }
