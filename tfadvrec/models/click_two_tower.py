"""Two towers for pre-ranking: an item's vector is computed once, whoever asks."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec.data.click_log import ClickLog
from tfadvrec.models.click_columns import encoded_fields, encoded_numbers
from tfadvrec.models.click_model import ClickModel
from tfadvrec.models.feature_column import FeatureColumn
from tfadvrec.models.feature_columns import Features
from tfadvrec.models.perceptron import Perceptron
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class ClickTwoTower(ClickModel):
    """A click model whose logit is the inner product of the asker's and the item's vector.

    The columns named in `item` go through the item tower, all others (user and context) through
    the other. The vectors meet only in their product, so a server keeps the items' and computes
    one vector a request: what thousands of candidates are pre-ranked with.

    Args:
        columns: See `ClickModel`; `ClickTwoTower.for_log(log, item=[...])` learns them.
        item: Names of the item's columns.
        dimension: Length of a field's vector.
        width: Length of the two vectors that are multiplied.
        hidden: Widths of each tower's hidden layers.
        activation: Name of the hidden layers' activation.
        dropout: Share of each hidden layer's values that is dropped in training.
        initial_scale: Standard deviation of the truncated normal that field vectors start from.
        seed: Seed of the initial values and of dropout, or None.
        name: The Keras model name.

    Shapes: see `ClickModel`.

    Raises:
        ValueError: A side has no column.

    Reference: Wang et al., COLD: Towards the Next Generation of Pre-Ranking System, DLP-KDD 2020,
    section 2 (the vector-product model).
    """

    def __init__(
        self,
        *,
        columns: Features,
        item: Sequence[str],
        dimension: int = 16,
        width: int = 32,
        hidden: Sequence[int] = (64,),
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
        names = [column.name for column in self.columns]
        if not set(item) < set(names) or not item or dimension < 1 or width < 1:
            raise ValueError(
                f"item names some, and not all, of the columns {names}, and dimension and width "
                f"are 1 or more. Received: item={list(item)!r}, dimension={dimension}, "
                f"width={width}"
            )
        self.item, self.width, self.hidden = list(item), width, list(hidden)
        self.activation, self.dropout_rate = activation, float(dropout)
        self.sides = {
            side: tuple(
                [n for n, column in enumerate(kind) if (column.name in item) == (side == "item")]
                for kind in (self.fields, self.numbers)
            )
            for side in ("asker", "item")
        }
        self.asker_tower, self.item_tower = (self._tower(side) for side in ("asker", "item"))

    def _tower(self, side: str) -> Perceptron:
        fields, numbers = self.sides[side]
        return Perceptron(
            given=len(fields) * self.dimension + len(numbers),
            hidden=self.hidden,
            units=self.width,
            activation=self.activation,
            dropout=self.dropout_rate,
            seed=self.seed,
            name=f"{side}_tower",
        )

    def logits_of(
        self, vectors: Any, inputs: Mapping[str, Any], training: bool | None = None
    ) -> tf.Tensor:
        """Logits `(batch, 1)`; see `ClickModel`."""
        askers, items = (
            tower(self._given(side, vectors, inputs), training=training)
            for side, tower in (("asker", self.asker_tower), ("item", self.item_tower))
        )
        product = ops.sum(ops.cast(askers * items, "float32"), axis=-1, keepdims=True)
        return product + self.bias

    def _given(self, side: str, vectors: Any, inputs: Mapping[str, Any]) -> tf.Tensor:
        fields, numbers = self.sides[side]
        parts = []
        if fields:
            shown = ops.take(vectors * self.known(inputs), np.array(fields), axis=1)
            parts.append(ops.reshape(shown, (-1, len(fields) * self.dimension)))
        if numbers:
            parts.append(ops.take(self.number_values(inputs), np.array(numbers), axis=1))
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def asker_vectors(self, log: ClickLog) -> np.ndarray:
        """The vectors of a log's users and contexts, float32 `(n, width)`."""
        return self._vectors("asker", self.asker_tower, log)

    def item_vectors(self, log: ClickLog) -> np.ndarray:
        """The vectors of a log's items, float32 `(n, width)`: of the item's columns alone."""
        return self._vectors("item", self.item_tower, log)

    def _vectors(self, side: str, tower: Perceptron, log: ClickLog) -> np.ndarray:
        inputs = self._rows_of(side, log)
        found = tower(self._given(side, self.field_vectors(inputs), inputs), training=False)
        return np.asarray(ops.cast(found, "float32"))

    def _rows_of(self, side: str, log: ClickLog) -> dict[str, np.ndarray]:
        """Inputs in which one side's columns are a log's, which needs no others."""
        inputs = {}
        parts = (
            ("fields", self.fields, encoded_fields),
            ("numbers", self.numbers, encoded_numbers),
        )
        for (name, columns, encoded), places in zip(parts, self.sides[side], strict=True):
            if not columns:
                continue
            dtype = np.int32 if name == "fields" else np.float32
            inputs[name] = np.zeros((len(log), len(columns)), dtype)
            if places:
                inputs[name][:, places] = encoded([columns[place] for place in places], log)
        return inputs

    def columns_of(self, side: str) -> list[FeatureColumn]:
        """The columns of `"asker"` or `"item"`, fields first."""
        fields, numbers = self.sides[side]
        return [*(self.fields[n] for n in fields), *(self.numbers[n] for n in numbers)]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "item": self.item,
            "width": self.width,
            "hidden": self.hidden,
            "activation": self.activation,
            "dropout": self.dropout_rate,
        }
