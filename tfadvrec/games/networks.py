"""Dense networks for generators and discriminators."""

from collections.abc import Sequence
from typing import Any

import keras

from tfadvrec.models.dropout import Dropout


def dense(
    widths: Sequence[int],
    *,
    out: int,
    input_width: int | None = None,
    activation: str = "leaky_relu",
    output_activation: str | None = None,
    dropout: float = 0.0,
    batch_norm: bool = False,
    residual: bool = False,
    spectral: bool = False,
    seed: int = 0,
    name: str | None = None,
) -> keras.Sequential:
    """A stack of dense layers.

    Args:
        widths: Widths of the hidden layers.
        out: Width of the output.
        input_width: Width of the input; the weights are made at once where it is given.
        activation: A Keras activation's name; `"leaky_relu"` has slope .2.
        output_activation: The output's, or None for a linear one.
        dropout: Share of hidden values that training drops.
        batch_norm: Whether hidden layers are batch-normalised. Not for a critic with a gradient
            penalty, whose examples must not see each other.
        residual: Whether each hidden layer's output is appended to its input.
        spectral: Whether each layer's kernel is divided by its largest singular value.
        seed: Seed of the initial values and of dropout.
        name: The network's name.

    Returns:
        A `keras.Sequential`: `(batch, input_width) -> (batch, out)`.

    Example:

    >>> dense([8, 8], out=1, input_width=3)(keras.ops.zeros((2, 3))).shape
    TensorShape([2, 1])
    """
    layers: list[Any] = [] if input_width is None else [keras.Input((input_width,))]
    for depth, width in enumerate(widths):
        layers.append(
            _Hidden(
                width,
                activation=activation,
                dropout=dropout,
                batch_norm=batch_norm,
                residual=residual,
                spectral=spectral,
                seed=1_000 * seed + depth,
                name=f"hidden_{depth}",
            )
        )
    layers.append(_layer(out, spectral, 1_000 * seed + 999, "out"))
    if output_activation is not None:
        layers.append(keras.layers.Activation(output_activation, name="output_activation"))
    return keras.Sequential(layers, name=name)


def _layer(width: int, spectral: bool, seed: int, name: str) -> keras.layers.Layer:
    start = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(width, kernel_initializer=start, name=name)
    return (
        keras.layers.SpectralNormalization(layer, name=f"{name}_normalised") if spectral else layer
    )


@keras.saving.register_keras_serializable(package="tfadvrec")
class _Hidden(keras.layers.Layer):
    """A dense layer with what may follow it."""

    def __init__(
        self,
        width: int,
        *,
        activation: str,
        dropout: float,
        batch_norm: bool,
        residual: bool,
        spectral: bool,
        seed: int,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        self.settings = {
            "width": width,
            "activation": activation,
            "dropout": dropout,
            "batch_norm": batch_norm,
            "residual": residual,
            "spectral": spectral,
            "seed": seed,
        }
        self.residual = residual
        self.linear = _layer(width, spectral, seed, "linear")
        self.norm = keras.layers.BatchNormalization(name="norm") if batch_norm else None
        leaky = activation == "leaky_relu"
        self.activation = (
            keras.layers.LeakyReLU(0.2) if leaky else keras.layers.Activation(activation)
        )
        self.drop = Dropout(dropout, seed=seed) if dropout else None

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.linear.build(input_shape)
        if self.norm is not None:
            self.norm.build((*input_shape[:-1], self.settings["width"]))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        spectral = self.settings["spectral"]
        values = self.linear(inputs, training=training) if spectral else self.linear(inputs)
        if self.norm is not None:
            values = self.norm(values, training=training)
        values = self.activation(values)
        if self.drop is not None:
            values = self.drop(values, training=training)
        return keras.ops.concatenate([values, inputs], axis=-1) if self.residual else values

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        extra = input_shape[-1] if self.residual else 0
        return (*input_shape[:-1], self.settings["width"] + extra)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
