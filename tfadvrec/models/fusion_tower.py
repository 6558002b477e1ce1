"""The item side of a multimodal model: an id's vector and gated modalities, fused."""

import zlib
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfadvrec.models.modalities import make_tables
from tfadvrec.models.modality import Modality

FUSIONS = ("gated", "mean")


class FusionTower(keras.layers.Layer):
    """Turns rows of items into vectors: e = q + sum_m a_m g_m W_m f_m / max(1, sum_m a_m).

    a_m is 1 where the item has modality m; f_m are its features, W_m a learned map, and g_m a gate
    in (0, 2) that looks at W_m f_m and starts at 1. In training each present modality is dropped
    with a probability of its own draw, the id never. What an item has not contributes exactly 0.

    Args:
        rows: Number of items.
        dimension: Width of the vectors.
        modalities: What items are known by.
        ids: Whether each item has a vector q of its own.
        hidden: Widths of hidden layers behind the fusion; none ends with it.
        activation: Name of the hidden layers' activation.
        fusion: `"gated"`, or `"mean"` for gates that stay 1.
        modality_dropout: Share of present modalities that training drops.
        initial_scale: Standard deviation that the ids' vectors start from.
        seed: Seed of the initial values and of dropout, or None.
        name: Name of the layer.

    Raises:
        ValueError: If there is neither id nor modality, or an argument is out of range.

    Example:

    >>> import numpy as np
    >>> tower = FusionTower(rows=5, dimension=3, modalities=[], ids=True)
    >>> tuple(tower(np.array([[0, 4]])).shape)
    (1, 2, 3)
    """

    def __init__(
        self,
        *,
        rows: int,
        dimension: int,
        modalities: Sequence[Modality],
        ids: bool = True,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        fusion: str = "gated",
        modality_dropout: float = 0.3,
        initial_scale: float = 0.05,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not ids and not modalities:
            raise ValueError("items need something to start from: ids, or at least one modality.")
        if fusion not in FUSIONS or not 0 <= modality_dropout < 1:
            raise ValueError(
                f"fusion is one of {FUSIONS} and modality_dropout from 0 to below 1, got "
                f"{fusion!r} and {modality_dropout!r}."
            )
        self.rows, self.dimension, self.seed = rows, dimension, seed
        self.modality_dropout = float(modality_dropout)
        self.tables = make_tables(rows, modalities)
        self.identity = self._ids(rows, dimension, initial_scale) if ids else None
        self.maps = [
            self._dense(f"map_{table.name}", table.modality.width, dimension)
            for table in self.tables
        ]
        gated = fusion == "gated" and len(self.tables) > 0
        self.gate = self._gate(len(self.tables), dimension) if gated else None
        self.drawn = keras.random.SeedGenerator(self._seed("drop"))
        widths = [dimension, *hidden]
        self.perceptron = [
            self._dense(f"hidden_{n}", widths[n], width, activation, use_bias=True)
            for n, width in enumerate(hidden)
        ]
        if hidden:
            self.perceptron.append(self._dense("out", widths[-1], dimension, use_bias=True))
        self.built = True

    def _seed(self, label: str) -> int | None:
        return None if self.seed is None else zlib.crc32(f"{self.seed}/{label}".encode())

    def _ids(self, rows: int, dimension: int, scale: float) -> keras.layers.Embedding:
        start = keras.initializers.TruncatedNormal(stddev=scale, seed=self._seed("id"))
        layer = keras.layers.Embedding(rows, dimension, embeddings_initializer=start, name="id")
        layer.build(())
        return layer

    def _dense(
        self,
        name: str,
        width: int,
        units: int,
        activation: str | None = None,
        use_bias: bool = False,
    ) -> keras.layers.Dense:
        start = keras.initializers.GlorotUniform(seed=self._seed(name))
        layer = keras.layers.Dense(
            units, activation, use_bias=use_bias, kernel_initializer=start, name=name
        )
        layer.build((None, width))
        return layer

    def _gate(self, count: int, dimension: int) -> tuple[keras.Variable, keras.Variable]:
        return (
            self.add_weight(shape=(count, dimension), initializer="zeros", name="gate_kernel"),
            self.add_weight(shape=(count,), initializer="zeros", name="gate_bias"),
        )

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Gives the rows' vectors.

        Args:
            rows: int rows `(...,)`.
            training: Whether modalities are dropped.

        Returns:
            `(..., dimension)`.
        """
        rows = ops.convert_to_tensor(rows)
        own = None if self.identity is None else self.identity(rows)
        fused = self.fused(rows, training) if self.tables else None
        vectors = own if fused is None else fused if own is None else own + fused
        for layer in self.perceptron:
            vectors = layer(vectors)
        return vectors

    def fused(self, rows: Any, training: bool | None = None) -> Any:
        """What the modalities alone say of rows `(...,)`: `(..., dimension)`."""
        found = [table(rows, training=training) for table in self.tables]
        present = ops.stack([one for _, one in found], axis=-1)
        if training and self.modality_dropout:
            present = present * self._kept(present)
        mapped = ops.stack(
            [layer(one) for layer, (one, _) in zip(self.maps, found, strict=True)], axis=-2
        )
        share = present / ops.maximum(ops.sum(present, axis=-1, keepdims=True), 1.0)
        if self.gate is not None:
            kernel, bias = (ops.cast(part, self.compute_dtype) for part in self.gate)
            share = share * 2 * ops.sigmoid(ops.sum(mapped * kernel, axis=-1) + bias)
        return ops.sum(share[..., None] * mapped, axis=-2)

    def _kept(self, present: Any) -> Any:
        draws = keras.random.uniform(ops.shape(present), seed=self.drawn)
        return ops.cast(draws >= self.modality_dropout, self.compute_dtype)

    def row_weights(self) -> list[keras.Variable]:
        """The weights that have a row an item."""
        own = [] if self.identity is None else [self.identity.embeddings]
        return own + [part for table in self.tables for part in (table.features, table.present)]
