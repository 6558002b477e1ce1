"""A network from the attributes of a row, and noise, to a vector."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfadvrec.models.dropout import Dropout
from tfadvrec.models.feature_column import FeatureColumn
from tfadvrec.models.tower import Tower


class AttributeCode(Tower):
    """A tower of features alone that adds up the vectors of a row's values.

    A mean, as in `Tower`, says less about each genre the more genres there are: in a mapping to a
    trained vector a film of two genres is nearer to the sum of two films of one.
    """

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Gives the rows' codes, `(..., dimension)`; see `Tower`."""
        parts = []
        for table, vectors in zip(self.tables, self.vectors, strict=True):
            encoded = ops.take(table, rows, axis=0)
            if vectors is None:
                parts.append(ops.cast(encoded, self.compute_dtype))
            else:
                known = ops.cast(encoded >= 0, self.compute_dtype)[..., None]
                parts.append(ops.sum(vectors(ops.maximum(encoded, 0)) * known, axis=-2))
        code = ops.concatenate(parts, axis=-1)
        if self.dropout is not None:
            code = self.dropout(code, training=training)
        for layer in self.perceptron:
            code = layer(code)
        return code


class VectorGenerator(keras.layers.Layer):
    """Makes a vector out of a code of a row's attributes and of noise.

    Args:
        rows: Number of users or items.
        dimension: Width of the vectors that come out.
        columns: The features.
        code_dimension: Width of the attributes' code.
        noise_dimension: Width of the noise that joins it; 0 for none.
        hidden: Widths of the hidden layers between code and vector.
        activation: Name of the activation of the code and of the hidden layers.
        dropout: Share of the attributes' vectors and of hidden values that training drops.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the layer.

    Example:

    >>> kind = FeatureColumn.learn("kind", ["food", "drink", "drink"], dimension=2)
    >>> made = VectorGenerator(rows=3, dimension=4, columns=[kind], code_dimension=8)
    >>> made.attributes.encode({"kind": ["drink", "food", "drink"]})
    {'kind': 1.0}
    >>> made(ops.convert_to_tensor([0, 1])).shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        *,
        rows: int,
        dimension: int,
        columns: Sequence[FeatureColumn],
        code_dimension: int,
        noise_dimension: int = 0,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        dropout: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.dimension, self.noise_dimension, self.seed = dimension, noise_dimension, seed
        self.attributes = AttributeCode(
            rows=rows,
            dimension=code_dimension,
            columns=columns,
            id_dimension=0,
            dropout=dropout,
            seed=seed,
            name="attributes",
        )
        self.attributes.build()
        shapes = [(f"hidden_{depth}", width, activation) for depth, width in enumerate(hidden)]
        self.perceptron = [
            keras.layers.Dense(
                width,
                function,
                kernel_initializer=keras.initializers.GlorotUniform(seed=self._seed(depth)),
                name=label,
            )
            for depth, (label, width, function) in enumerate((*shapes, ("vector", dimension, None)))
        ]
        width = code_dimension + noise_dimension
        for layer in self.perceptron:
            layer.build((None, width))
            width = layer.units
        self.activate = keras.layers.Activation(activation, name="activate")
        self.drop = Dropout(dropout, seed=self._seed(-1), name="drop")
        self.built = True

    def _seed(self, part: int) -> int | None:
        return None if self.seed is None else 1_000 * self.seed + 501 + part

    def call(self, rows: Any, noise: Any = None, training: bool | None = None) -> Any:
        """Makes vectors.

        Args:
            rows: int rows `(...,)`.
            noise: `(..., noise_dimension)`, or None for zeros.
            training: Whether to drop out.

        Returns:
            `(..., dimension)`.
        """
        code = self.activate(self.attributes(rows, training=training))
        if self.noise_dimension:
            if noise is None:
                noise = ops.zeros((*ops.shape(code)[:-1], self.noise_dimension), code.dtype)
            code = ops.concatenate([code, ops.cast(noise, code.dtype)], axis=-1)
        for layer in self.perceptron:
            code = layer(self.drop(code, training=training))
        return code
