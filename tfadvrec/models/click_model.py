"""What every click model can do."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec.data.checks import DataError, rows_text
from tfadvrec.data.click_log import ClickLog
from tfadvrec.data.row_sampling import rows as sampled
from tfadvrec.models.click_columns import (
    checked,
    encoded_fields,
    encoded_numbers,
    learn_click_columns,
)
from tfadvrec.models.feature_columns import Features, as_columns
from tfadvrec.training.blocks import BlockTraining


class ClickModel(BlockTraining, keras.Model):
    """A Keras model of how likely an impression is clicked, from fields and numbers.

    It is called with `{"fields": int32 (batch, fields), "numbers": float32 (batch, numbers)}`
    (what it has none of is left out), as `rows` makes them of a log, and gives logits
    `(batch, 1)`. Row 0 of a field is the unknown value, of which nothing is learnt: its vector
    counts as zero. The vectors of all fields are one tensor `(batch, fields, dimension)` that
    passes the layer `field_vectors`, where `adversary.outputs_of("field_vectors", per="example")`
    attacks it. A subclass implements `logits_of`.

    Args:
        columns: `FeatureColumn`s of the kinds `categorical` and `numeric`, or dictionaries.
        dimension: Length of a field's vector, 0 for a model without vectors.
        initial_scale: Standard deviation of the truncated normal that they start from.
        seed: Seed of the initial values, or None.
        name: The Keras model name.
    """

    def __init__(
        self,
        *,
        columns: Features,
        dimension: int,
        initial_scale: float = 0.05,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if dimension < 0 or initial_scale <= 0:
            raise ValueError(
                "dimension must be 1 or more and initial_scale above 0. Received: "
                f"dimension={dimension}, initial_scale={initial_scale}"
            )
        self.columns = checked(as_columns(columns), max(dimension, 1))
        self.dimension, self.initial_scale, self.seed = dimension, initial_scale, seed
        self.fields = [column for column in self.columns if column.kind == "categorical"]
        self.numbers = [column for column in self.columns if column.kind == "numeric"]
        sizes = [len(column.vocabulary) + 1 for column in self.fields]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        self.field_embedding = self.attacked = None
        if self.fields and dimension:
            start = keras.initializers.TruncatedNormal(stddev=initial_scale, seed=seed)
            self.field_embedding = self.table(dimension, start, "field_embedding")
            self.attacked = keras.layers.Identity(name="field_vectors")
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")
        self.built = True

    def table(self, width: int, start: Any, name: str) -> keras.layers.Embedding:
        """A table with a row for each value of each field, and one for each field's unknown."""
        rows = int(self.offsets[-1])
        table = keras.layers.Embedding(rows, width, embeddings_initializer=start, name=name)
        table.build(())
        return table

    @classmethod
    def for_log(
        cls, log: ClickLog, columns: Sequence[str] | None = None, *, least: int = 1, **config: Any
    ) -> Self:
        """Makes a model for a log: learns vocabularies, scales and the rate of clicks.

        Args:
            log: The training impressions.
            columns: Names of the fields and numbers to use; None for all.
            least: A value of a field seen in fewer impressions counts as unknown.
            **config: Further arguments of the constructor.

        Raises:
            DataError: There is no such column, nothing to learn of it, or one label only.
        """
        rate = float(log.label.mean()) if len(log) else 0.0
        if not 0 < rate < 1:
            raise DataError(
                f"a click model learns from clicks and from impressions without one; {log!r} has "
                "only one of them."
            )
        model = cls(columns=learn_click_columns(log, columns, least=least), **config)
        model.bias.assign(np.log(rate / (1 - rate)))
        return model

    # -- inputs ---------------------------------------------------------------------------

    def rows(self, log: ClickLog) -> dict[str, np.ndarray]:
        """A log as this model's inputs; values it has not learnt become unknown.

        Raises:
            DataError: The log lacks a column.
        """
        inputs = {}
        if self.fields:
            inputs["fields"] = encoded_fields(self.fields, log)
        if self.numbers:
            inputs["numbers"] = encoded_numbers(self.numbers, log)
        return inputs

    def batches(
        self, log: ClickLog, *, batch_size: int, seed: int = 0, block: int | None = None
    ) -> tf.data.Dataset:
        """Batches of a log's impressions and labels `(batch, 1)` for `fit`; see `data.rows`."""
        tables = {**self.rows(log), "label": log.label[:, None]}
        return sampled(tables, label="label", batch_size=batch_size, seed=seed, block=block)

    def predict(self, x: Any, **options: Any) -> np.ndarray:
        """As in Keras, after a check that every row exists."""
        if isinstance(x, Mapping) and "fields" in x:
            self._check(np.asarray(x["fields"]))
        return super().predict(x, **options)

    def _check(self, fields: np.ndarray) -> None:
        sizes = np.diff(self.offsets)
        if fields.dtype.kind not in "iu" or fields.ndim != 2 or fields.shape[1] != len(sizes):
            raise DataError(
                f"'fields' must be integers of shape (batch, {len(sizes)}), as model.rows(log) "
                f"makes them. Received: {fields.dtype} of shape {fields.shape}."
            )
        bad = np.flatnonzero(((fields < 0) | (fields >= sizes)).any(axis=1))
        if bad.size:
            raise DataError(
                f"{bad.size} rows of 'fields' name values outside the tables of {sizes.tolist()} "
                f"rows: {rows_text(bad, fields.tolist())}."
            )

    # -- outputs --------------------------------------------------------------------------

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> tf.Tensor:
        """Logits `(batch, 1)`; see the class."""
        return self.logits_of(self.field_vectors(inputs), inputs, training=training)

    def field_vectors(self, inputs: Mapping[str, Any]) -> tf.Tensor | None:
        """The vectors of the fields, `(batch, fields, dimension)`; what an adversary moves."""
        if self.field_embedding is None:
            return None
        vectors = self.field_embedding(self.positions(inputs)) * self.known(inputs)
        return self.attacked(vectors)

    def logits_of(
        self, vectors: Any, inputs: Mapping[str, Any], training: bool | None = None
    ) -> tf.Tensor:
        """Logits `(batch, 1)` of the field vectors, as they are or moved.

        Args:
            vectors: What `field_vectors` gave, or that plus a perturbation.
            inputs: The inputs.
            training: Whether to drop out.
        """
        raise NotImplementedError

    def positions(self, inputs: Mapping[str, Any]) -> tf.Tensor:
        """Rows of the tables of all fields together, `(batch, fields)`."""
        return ops.convert_to_tensor(inputs["fields"]) + self.offsets[:-1]

    def known(self, inputs: Mapping[str, Any]) -> tf.Tensor:
        """1 where a field's value is known, else 0: `(batch, fields, 1)`."""
        rows = ops.convert_to_tensor(inputs["fields"])
        return ops.cast(rows > 0, self.compute_dtype)[..., None]

    def number_values(self, inputs: Mapping[str, Any]) -> tf.Tensor:
        """The standardised numbers, `(batch, numbers)`."""
        return ops.cast(ops.convert_to_tensor(inputs["numbers"]), self.compute_dtype)

    def logits(self, log: ClickLog, *, batch_size: int = 8192) -> np.ndarray:
        """The logits of a log's impressions, float64 `(n,)`."""
        inputs, parts = self.rows(log), [np.zeros((0, 1))]
        for start in range(0, len(log), batch_size):
            part = {key: column[start : start + batch_size] for key, column in inputs.items()}
            parts.append(np.asarray(self(part, training=False), np.float64))
        return np.concatenate(parts)[:, 0]

    def probabilities(self, log: ClickLog, *, batch_size: int = 8192) -> np.ndarray:
        """How likely each impression of a log is clicked, float64 `(n,)`."""
        return 1.0 / (1.0 + np.exp(-self.logits(log, batch_size=batch_size)))

    def field_norm(self, log: ClickLog) -> float:
        """Mean length of an impression's known field vectors together: what epsilon is beside."""
        if self.field_embedding is None:
            raise ValueError(f"{type(self).__name__} was made without field vectors.")
        rows = self.rows(log)["fields"]
        squares = (self.field_embedding.embeddings.numpy().astype(np.float64) ** 2).sum(axis=1)
        totals = (squares[rows + self.offsets[:-1]] * (rows > 0)).sum(axis=1)
        return float(np.sqrt(totals).mean())

    # -- sharing --------------------------------------------------------------------------

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """Fixed rows that a saved model must answer alike, the unknown value among them."""
        inputs = {}
        if self.fields:
            sizes = np.diff(self.offsets)
            inputs["fields"] = np.stack([np.linspace(0, s - 1, 8) for s in sizes], 1).astype(int)
            inputs["fields"] = inputs["fields"].astype(np.int32)
        if self.numbers:
            grid = np.linspace(-1, 1, 8 * len(self.numbers), dtype=np.float32)
            inputs["numbers"] = grid.reshape(8, -1)
        return inputs

    @classmethod
    def from_preset(cls, preset: str, **options: Any) -> Self:
        """Loads a zoo preset by name, or a preset folder by path; see `tfadvrec.presets.load`."""
        from tfadvrec import presets

        return presets.load(preset, expected=cls, **options)

    def save_to_preset(self, folder: str, **options: Any) -> None:
        """Writes a preset folder; the vocabularies, users' ids among them, are part of it."""
        from tfadvrec import presets

        presets.save(self, folder, **options)

    def get_config(self) -> dict[str, Any]:
        return {
            "columns": [column.to_dict() for column in self.columns],
            "dimension": self.dimension,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }
