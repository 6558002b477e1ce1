"""What is saved of a click model: values of fields in, a probability out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadvrec.serving.graph.facade import Outputs, named, spec_of
from tfadvrec.serving.graph.lookup import rows_by_id
from tfadvrec.serving.graph.signatures import Sides, tensor
from tfadvrec.serving.graph.traced import Traced


class ClickFacade(tf.Module):
    """Looks values up, standardises numbers and asks the model's graph.

    A value that was not learnt, or is empty, is row 0, the unknown one; a NaN is the mean.

    Args:
        fields: The model's fields, in its order.
        numbers: Its numbers.
        vocabularies: Field -> vocabulary file.
        logits: The model from rows `(batch, fields)` and numbers `(batch, numbers)` to logits
            `(batch,)`; it takes what there is.
    """

    def __init__(
        self,
        fields: list[Any],
        numbers: list[Any],
        vocabularies: Mapping[str, Path],
        logits: Traced,
    ) -> None:
        super().__init__(name="tfadvrec_click_servable")
        self.fields = [column.name for column in fields]
        self.numbers = [column.name for column in numbers]
        self.tables = [rows_by_id(vocabularies[name]) for name in self.fields]
        self.mean = tf.constant([column.mean for column in numbers], tf.float32)
        self.scale = tf.constant([column.scale for column in numbers], tf.float32)
        self.logits = logits
        self.interface = interface(self.fields, self.numbers)

    def probability(self, *values: tf.Tensor) -> Outputs:
        """How likely impressions are clicked: `probability` and `logit`, `(batch,)` each."""
        texts, numbers = values[: len(self.fields)], values[len(self.fields) :]
        given = []
        if texts:
            found = [t.lookup(tf.strings.strip(x)) for t, x in zip(self.tables, texts, strict=True)]
            given.append(tf.cast(tf.stack(found, axis=1), tf.int32) + 1)
        if numbers:
            scaled = (tf.stack(numbers, axis=1) - self.mean) / self.scale
            given.append(tf.where(tf.math.is_nan(scaled), 0.0, scaled))
        logit = self.logits(*given)
        return {"probability": tf.sigmoid(logit), "logit": logit}

    def functions(self) -> dict[str, Callable[..., Outputs]]:
        """The signatures' functions, every input named."""
        made = {}
        for name, sides in self.interface.items():
            specs = [spec_of(key, one) for key, one in sides["inputs"].items()]
            method = named(self.probability, sides["inputs"])
            made[name] = tf.function(method, input_signature=specs, autograph=False)
        return made


def interface(fields: list[str], numbers: list[str]) -> dict[str, Sides]:
    """Inputs and outputs of the signatures, as `signatures.interface` gives those of rankers.

    >>> interface(["ad"], ["age"])["predict"]["inputs"]
    {'ad': {'dtype': 'string', 'shape': [-1]}, 'age': {'dtype': 'float32', 'shape': [-1]}}
    """
    inputs = {name: tensor("string") for name in fields}
    inputs |= {name: tensor("float32") for name in numbers}
    outputs = {"probability": tensor("float32"), "logit": tensor("float32")}
    sides = {"inputs": inputs, "outputs": outputs}
    return {"serving_default": sides, "predict": sides}
