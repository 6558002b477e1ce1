"""A pretrained encoder of text as the source of a modality's vectors."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="tfadvrec")
class PooledEncoder(keras.layers.Layer):
    """Gives a text's vector: the mean of a backbone's vectors of its tokens, padding left out.

    The backbone is any Keras layer with the interface of the text backbones of `keras-hub` (the
    extra `tfadvrec[hub]`): it takes `{"token_ids", "padding_mask", ...}` and gives
    `(batch, length, width)`, or a dictionary with that as `"sequence_output"`. This package does
    not import `keras-hub`.

    Frozen: `vectors` are computed once and given to a model as any other vectors. Tuned:
    `model.attach_encoder(name, encoder, inputs)`, `compile`, `fit`, `model.detach_encoder(name)`;
    a layer of the backbone that the tokens' vectors do not pass, such as BERT's `pooled_dense`, is
    frozen before: `backbone.get_layer("pooled_dense").trainable = False`.

    Args:
        backbone: The backbone.
        name: Name of the layer.
    """

    def __init__(self, backbone: keras.layers.Layer, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.backbone = backbone
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Encodes a batch.

        Args:
            inputs: What the backbone takes; `"padding_mask"` is 1 where there is a token.
            training: Passed to the backbone.

        Returns:
            `(batch, width)`.
        """
        own = getattr(self.backbone, "input", None)
        if isinstance(own, Mapping):  # a functional model warns of another order of the names
            inputs = {name: inputs[name] for name in own}
        given = self.backbone(inputs, training=training)
        tokens = given["sequence_output"] if isinstance(given, Mapping) else given
        mask = ops.cast(inputs["padding_mask"], tokens.dtype)[..., None]
        return ops.sum(tokens * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)

    def vectors(self, inputs: Mapping[str, Any], *, batch_size: int = 64) -> np.ndarray:
        """Encodes all rows once, without dropout.

        Args:
            inputs: Arrays with a row a text.
            batch_size: Rows that are encoded at once.

        Returns:
            float32 `(rows, width)`.
        """
        rows = len(next(iter(inputs.values())))
        parts = [
            self({key: part[start : start + batch_size] for key, part in inputs.items()})
            for start in range(0, rows, batch_size)
        ]
        return np.concatenate([ops.convert_to_numpy(part) for part in parts]).astype(np.float32)

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.backbone)
        return {**super().get_config(), "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PooledEncoder":
        """Makes the layer that `get_config` describes."""
        config = dict(config)
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"))
        return cls(backbone, name=config.get("name"))
