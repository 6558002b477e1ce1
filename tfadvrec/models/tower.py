"""One side of a two-tower model: from a row to a vector."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfadvrec.models.dropout import Dropout
from tfadvrec.models.feature_column import FeatureColumn


class Tower(keras.layers.Layer):
    """Turns rows of users or items into vectors.

    A row's own vector (its id) and the vectors of its features are put side by side and go
    through a perceptron. The encoded features are tables of this layer, one row a user or item,
    and no text is ever seen here: the layer takes row numbers only and can be compiled. The
    vector of an unknown value starts at zero, so it says nothing until it is trained.

    Args:
        rows: Number of users or items.
        dimension: Width of the vectors that come out.
        columns: The features, in order.
        id_dimension: Width of a row's own vector; 0 leaves it out, so that rows are known by their
            features alone.
        hidden: Widths of the hidden layers; none gives a linear map.
        activation: Name of the hidden layers' activation.
        dropout: Share of the perceptron's inputs that is dropped in training.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the layer.

    Raises:
        ValueError: If there is neither an id vector nor a feature, or two features have names that
            differ only in signs.

    Example:

    >>> tower = Tower(rows=5, dimension=3, columns=[], id_dimension=4)
    >>> tuple(tower(np.array([[0, 4]])).shape)
    (1, 2, 3)
    """

    def __init__(
        self,
        *,
        rows: int,
        dimension: int,
        columns: Sequence[FeatureColumn],
        id_dimension: int,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        dropout: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.rows, self.dimension, self.columns = rows, dimension, tuple(columns)
        self.seed = seed
        labels = self._check(id_dimension)
        self.identity = self._vectors("id", rows, id_dimension) if id_dimension else None
        self.vectors = [
            None
            if column.kind == "numeric"
            else self._vectors(label, column.cardinality, column.dimension)
            for column, label in zip(columns, labels, strict=True)
        ]
        start = keras.initializers.Constant(-1)  # nothing is known before `encode`
        self.tables = [
            self.add_weight(
                shape=(rows, column.width),
                dtype="float32" if column.kind == "numeric" else "int32",
                initializer="zeros" if column.kind == "numeric" else start,
                trainable=False,
                autocast=False,
                name=f"{label}_of_row",
            )
            for column, label in zip(columns, labels, strict=True)
        ]
        self.dropout = None
        if dropout:
            self.dropout = Dropout(dropout, seed=self._seed("dropout"), name="dropout")
        shapes = [(f"hidden_{depth}", width, activation) for depth, width in enumerate(hidden)]
        self.perceptron = [
            keras.layers.Dense(
                width,
                function,
                kernel_initializer=keras.initializers.GlorotUniform(seed=self._seed(label)),
                name=label,
            )
            for label, width, function in (*shapes, ("out", dimension, None))
        ]

    def _check(self, id_dimension: int) -> list[str]:
        """Checks that there is an input, and gives each feature a name for its variables."""
        if id_dimension == 0 and not self.columns:
            raise ValueError(
                f"{self.name} needs something to start from: an id vector (an id dimension above "
                "0) or at least one feature."
            )
        labels = [re.sub(r"\W+", "_", column.name) for column in self.columns]
        reserved = {"id", "out", "dropout"} | {x for x in labels if x.startswith("hidden_")}
        if len(set(labels)) < len(labels) or reserved & set(labels):
            raise ValueError(
                f"{self.name}: features need names that differ in their letters and digits and are "
                "not 'id', 'out', 'dropout' or 'hidden_...', got "
                f"{[column.name for column in self.columns]}."
            )
        return labels

    def _seed(self, label: str) -> int | None:
        """A seed of its own for each part, the same in every process."""
        return (
            None if self.seed is None else zlib.crc32(f"{self.seed}/{self.name}/{label}".encode())
        )

    def _vectors(self, label: str, count: int, dimension: int) -> keras.layers.Embedding:
        start = keras.initializers.RandomUniform(-0.05, 0.05, seed=self._seed(label))
        return keras.layers.Embedding(count, dimension, embeddings_initializer=start, name=label)

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables, whatever shape the rows will come in."""
        width = sum(1 for column in self.columns if column.kind == "numeric")
        for part in (self.identity, *self.vectors):
            if part is not None:
                part.build(())
                width += part.output_dim
        for column, part in zip(self.columns, self.vectors, strict=True):
            if "vocabulary" in column.to_dict():
                known = np.arange(column.cardinality) < len(column.vocabulary)
                part.embeddings.assign(part.embeddings * known[:, None].astype(np.float32))
        for layer in self.perceptron:
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Gives the rows' vectors.

        Args:
            rows: int rows of any shape `(...,)`.
            training: Whether to drop out.

        Returns:
            `(..., dimension)`.
        """
        parts = [] if self.identity is None else [self.identity(rows)]
        for table, vectors in zip(self.tables, self.vectors, strict=True):
            encoded = ops.take(table, rows, axis=0)
            if vectors is None:
                parts.append(ops.cast(encoded, self.compute_dtype))
            else:
                parts.append(mean_of_known(vectors, encoded))
        hidden = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if self.dropout is not None:
            hidden = self.dropout(hidden, training=training)
        for layer in self.perceptron:
            hidden = layer(hidden)
        return hidden

    def encode(self, features: Mapping[str, Sequence[Any]]) -> dict[str, float]:
        """Fills the tables from the features' raw values.

        Args:
            features: Name -> one value a row.

        Returns:
            Name -> share of the rows about which the feature says something: neither missing nor
            a value that was never learned.

        Raises:
            ValueError: If a feature is missing or has another number of rows.
        """
        known, tables = {}, []
        for column in self.columns:
            if column.name not in features:
                raise ValueError(
                    f"{self.name} was made with the feature {column.name!r}, which the log does "
                    f"not have; it has {sorted(features)}. Add it with log.with_features(...)."
                )
            values = features[column.name]
            if len(values) != self.rows:
                raise ValueError(
                    f"{self.name} has {self.rows} rows, and the feature {column.name!r} has "
                    f"{len(values)} values: one a row of the vocabulary is expected."
                )
            tables.append(column.encode(values))
            known[column.name] = float(column.known(values, tables[-1]).mean())
        for table, encoded in zip(self.tables, tables, strict=True):
            table.assign(encoded)
        return known


def mean_of_known(vectors: keras.layers.Embedding, encoded: Any) -> Any:
    """Averages the vectors of each row's values.

    Args:
        vectors: The values' vectors.
        encoded: `(..., width)` rows of `vectors`; -1 is padding.

    Returns:
        `(..., dimension)`; zeros where all is padding.
    """
    known = ops.cast(encoded >= 0, vectors.compute_dtype)[..., None]
    total = ops.sum(vectors(ops.maximum(encoded, 0)) * known, axis=-2)
    return total / ops.maximum(ops.sum(known, axis=-2), 1.0)
