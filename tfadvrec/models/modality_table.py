"""The vectors of one modality, a row an item, where an adversary can reach them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from tfadvrec.models.modality import Modality

IMPUTATIONS = ("zero", "mean")


class ModalityTable(keras.layers.Layer):
    """Looks up the encoded features of rows, and which rows have any.

    The features pass through a layer `modality_<name>` whose output an adversary may move
    (`adversary.outputs_of`). They are a weight that is not trained: it travels with a preset.

    Args:
        rows: Number of items.
        modality: What the features are.
        name: Name of the layer.

    Example:

    >>> table = ModalityTable(rows=2, modality=Modality.learn("kind", ["food", "drink"]))
    >>> table.encode(["drink", ""])
    0.5
    >>> vectors, present = table(np.array([0, 1]))
    >>> vectors.numpy().tolist(), present.numpy().tolist()
    ([[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0])
    """

    def __init__(self, *, rows: int, modality: Modality, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rows, self.modality = rows, modality
        self.features = self._table("features_of_row", (rows, modality.width))
        self.present = self._table("present_of_row", (rows,))
        label = re.sub(r"\W+", "_", modality.name)
        self.reached = keras.layers.Identity(name=f"modality_{label}")
        self.encoders: list[keras.layers.Layer] = []  # one or none; a list can be left again
        self._encoder_inputs: Any = None
        self.built = True  # without a lock: an encoder may come later

    def _table(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(
            shape=shape, initializer="zeros", trainable=False, autocast=False, name=name
        )

    def call(self, rows: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Gives the features of rows.

        Args:
            rows: int rows `(...,)`.
            training: Passed to an attached encoder.

        Returns:
            `(..., width)`, and `(...,)` of ones where a row has the modality and zeros elsewhere.
        """
        present = ops.cast(ops.take(self.present, rows, axis=0), self.compute_dtype)
        if not self.encoders:
            vectors = ops.take(self.features, rows, axis=0)
        else:
            vectors = self._encoded(rows, training)
        return self.reached(ops.cast(vectors, self.compute_dtype)), present

    def encode(self, values: Any) -> float:
        """Fills the table from raw values.

        Args:
            values: One value a row, as `Modality.encode` takes them.

        Returns:
            The share of rows that have the modality.

        Raises:
            ValueError: If there is another number of values.
        """
        if len(values) != self.rows:
            raise ValueError(
                f"the modality {self.modality.name!r} needs {self.rows} values, one a row of the "
                f"items, and {len(values)} were given."
            )
        vectors, present = self.modality.encode(values)
        self.features.assign(vectors)
        self.present.assign(present.astype(np.float32))
        return float(present.mean())

    @contextmanager
    def hidden(self, rows: Sequence[int] | np.ndarray, *, impute: str = "zero") -> Iterator[None]:
        """Takes the modality from some rows inside a `with` block.

        Args:
            rows: Which rows lose it.
            impute: `"zero"`: they have nothing; `"mean"`: they have the mean of all rows that had
                it before.

        Raises:
            ValueError: If `impute` is neither, or `"mean"` while an encoder is attached.
        """
        if impute not in IMPUTATIONS:
            raise ValueError(f"impute is one of {IMPUTATIONS}, got {impute!r}.")
        if self.encoders and impute == "mean":
            raise ValueError(
                f"an encoder computes {self.modality.name!r}, so no row can get the mean: detach "
                "it first."
            )
        before = self.features.numpy(), self.present.numpy()
        features, present = (values.copy() for values in before)
        had = present > 0
        lost = np.asarray(rows)[had[np.asarray(rows)]]
        features[lost] = 0
        present[lost] = 0
        if impute == "mean" and had.any():
            features[lost], present[lost] = before[0][had].mean(axis=0), 1
        self.features.assign(features)
        self.present.assign(present)
        try:
            yield
        finally:
            self.features.assign(before[0])
            self.present.assign(before[1])

    # -- an encoder in the table's place ---------------------------------------------------

    def attach(self, encoder: keras.layers.Layer, inputs: Any) -> None:
        """Makes an encoder compute the features, so that training changes it.

        Args:
            encoder: Gives `(batch, width)` of a batch of `inputs`.
            inputs: Arrays with a row an item, in whatever structure the encoder takes.

        Raises:
            ValueError: If an array has another number of rows.
        """
        lengths = {len(part) for part in keras.tree.flatten(inputs)}
        if lengths != {self.rows}:
            raise ValueError(f"an encoder's inputs have a row an item: {self.rows}, got {lengths}.")
        if self.encoders:
            raise ValueError(f"an encoder is attached to {self.modality.name!r}: detach it first.")
        self._encoder_inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        self.encoders.append(encoder)
        if not self.present.numpy().any():  # else what was absent stays so
            self.present.assign(np.ones(self.rows, np.float32))

    def detach(self, *, batch_size: int = 64) -> None:
        """Writes what the encoder gives into the table, and lets the encoder go.

        Args:
            batch_size: Rows that are encoded at once.
        """
        if not self.encoders:
            raise ValueError(f"no encoder is attached to {self.modality.name!r}.")
        parts = [
            ops.convert_to_numpy(
                self._encoded(np.arange(start, min(start + batch_size, self.rows)))
            )
            for start in range(0, self.rows, batch_size)
        ]
        self.features.assign(np.concatenate(parts))
        self.encoders.pop()
        self._encoder_inputs = None

    def _encoded(self, rows: Any, training: bool | None = False) -> Any:
        flat = ops.reshape(ops.convert_to_tensor(rows), [-1])
        inputs = keras.tree.map_structure(
            lambda part: ops.take(part, flat, axis=0), self._encoder_inputs
        )
        vectors = ops.cast(self.encoders[0](inputs, training=training), "float32")
        vectors = vectors / self.modality.scale
        return ops.reshape(vectors, [*ops.shape(rows), self.modality.width])
