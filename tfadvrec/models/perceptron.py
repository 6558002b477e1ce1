"""Dense layers one after the other, with dropout between them."""

import zlib
from collections.abc import Sequence
from typing import Any

import keras

from tfadvrec.models.dropout import Dropout


class Perceptron(keras.layers.Layer):
    """Hidden layers, and a linear output layer where one is asked for.

    Weights are made in the constructor, each from a seed of its own.

    Args:
        given: Width of what goes in.
        hidden: Widths of the hidden layers; none leaves the output layer, or the values as they
            are.
        units: Width of the linear output layer, or None for none.
        activation: Name of the hidden layers' activation.
        dropout: Share of each hidden layer's values that is dropped in training.
        seed: Seed of the initial values and of dropout, or None.
        name: The layer's name.

    Attributes:
        width: Width of what comes out.

    Example:

    >>> import numpy as np
    >>> tuple(Perceptron(given=3, hidden=[8, 4], seed=0)(np.zeros((2, 3))).shape)
    (2, 4)
    """

    def __init__(
        self,
        *,
        given: int,
        hidden: Sequence[int] = (),
        units: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if min(hidden, default=1) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "hidden widths are at least 1 and dropout from 0 to below 1. Received: "
                f"hidden={list(hidden)!r}, dropout={dropout!r}"
            )
        self.seed, self.given = seed, given
        shapes = [(f"hidden_{depth}", width, activation) for depth, width in enumerate(hidden)]
        self.hidden = [self._dense(*shape) for shape in shapes]
        self.dropouts = [
            Dropout(dropout, seed=self._seed(f"dropout_{depth}"))
            for depth in range(len(hidden) if dropout else 0)
        ]
        self.out = None if units is None else self._dense("out", units, None)
        self.width = units or [given, *hidden][-1]
        self.build()

    def _seed(self, label: str) -> int | None:
        """A seed of its own for each part, the same in every process."""
        if self.seed is None:
            return None
        return zlib.crc32(f"{self.seed}/{self.name}/{label}".encode())

    def _dense(self, label: str, units: int, activation: str | None) -> keras.layers.Dense:
        start = keras.initializers.GlorotUniform(seed=self._seed(label))
        return keras.layers.Dense(units, activation, kernel_initializer=start, name=label)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights, whatever shape the values will come in."""
        width = self.given
        for layer in [*self.hidden, *([] if self.out is None else [self.out])]:
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, values: Any, training: bool | None = None) -> Any:
        """Gives `(..., width)` for `(..., given)`."""
        for depth, layer in enumerate(self.hidden):
            values = layer(values)
            if self.dropouts:
                values = self.dropouts[depth](values, training=training)
        return values if self.out is None else self.out(values)
