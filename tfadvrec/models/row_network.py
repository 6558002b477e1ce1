"""A dense network from a row of interactions, its number or both to a row of scores."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

CONDITIONS = ("profile", "row", "both")


class RowNetwork(keras.layers.Layer):
    """Dense layers whose first one takes a row's profile, its number and noise, each by its kernel.

    The output is linear. Weights are made in the constructor.

    Args:
        width: Entries of a row.
        n_rows: How many rows there are.
        hidden: Widths of the hidden layers, at least one.
        activation: A Keras activation's name.
        condition: `"profile"`, `"row"` or `"both"`.
        noise: Width of the noise, 0 for none.
        seed: Seed of the initial values, or None.
        name: The layer's name.

    Attributes:
        kernels: `"profile"`, `"row"`, `"noise"` -> the first layer's kernel, where there is one.
        bias: Its bias.
        deeper: The other hidden layers.
        out: The output layer.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> network = RowNetwork(width=3, n_rows=2, hidden=[4], noise=2, seed=0)
    >>> network(tf.constant([[1.0, 0.0, 1.0]])).shape
    TensorShape([1, 3])
    """

    def __init__(
        self,
        *,
        width: int,
        n_rows: int,
        hidden: Sequence[int] = (400,),
        activation: str = "sigmoid",
        condition: str = "profile",
        noise: int = 0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if condition not in CONDITIONS:
            raise ValueError(f"condition must be one of {CONDITIONS}. Received: {condition!r}")
        if not hidden or min(hidden) < 1 or noise < 0:
            raise ValueError(
                "hidden must be one or more widths above 0, and noise 0 or more. Received: "
                f"hidden={hidden!r}, noise={noise!r}"
            )
        self.nonlinear, self.seed = keras.activations.get(activation), seed
        inputs = {
            "profile": width if condition != "row" else 0,
            "row": n_rows if condition != "profile" else 0,
            "noise": noise,
        }
        self.kernels = {
            key: self.add_weight(
                shape=(size, hidden[0]), initializer=self._start(number), name=f"{key}_kernel"
            )
            for number, (key, size) in enumerate(inputs.items())
            if size
        }
        self.bias = self.add_weight(shape=(hidden[0],), initializer="zeros", name="bias")
        self.deeper = [
            self._dense(hidden[depth - 1], hidden[depth], 2 + depth, f"hidden_{depth}")
            for depth in range(1, len(hidden))
        ]
        self.out = self._dense(hidden[-1], width, 999, "out")
        self.built = True

    def _start(self, number: int) -> keras.initializers.Initializer:
        seed = None if self.seed is None else 1_000 * self.seed + number
        return keras.initializers.GlorotUniform(seed=seed)

    def _dense(self, given: int, units: int, number: int, name: str) -> keras.layers.Dense:
        layer = keras.layers.Dense(units, kernel_initializer=self._start(number), name=name)
        layer.build((None, given))
        return layer

    def call(self, profile: Any, rows: Any = None, noise: Any = None) -> tf.Tensor:
        """Scores `(batch, width)` of rows: profiles `(batch, width)`, numbers, noise."""
        return self.out(self.last_hidden(self.first(profile), rows, noise))

    def first(self, profile: Any) -> tf.Tensor | None:
        """What profiles, dense or sparse, add to the first layer; None without a profile."""
        kernel = self.kernels.get("profile")
        if kernel is None:
            return None
        if isinstance(profile, tf.SparseTensor):
            product = tf.sparse.sparse_dense_matmul(profile, tf.cast(kernel.value, tf.float32))
            return tf.cast(product, self.compute_dtype)
        return ops.matmul(ops.cast(profile, self.compute_dtype), kernel)

    def last_hidden(self, first: Any, rows: Any = None, noise: Any = None) -> tf.Tensor:
        """Hidden values before the output layer, `(batch, hidden[-1])`.

        Args:
            first: What `first` gave.
            rows: `(batch,)`, where the condition has row numbers.
            noise: `(batch, noise)`, zero where None.

        Raises:
            ValueError: Row numbers are needed and missing.
        """
        parts = [] if first is None else [first]
        if "row" in self.kernels:
            if rows is None:
                raise ValueError("this condition needs row numbers: give 'row' beside 'profile'.")
            parts.append(ops.take(self.kernels["row"], rows, axis=0))
        if noise is not None and "noise" in self.kernels:
            parts.append(ops.matmul(ops.cast(noise, self.compute_dtype), self.kernels["noise"]))
        values = self.nonlinear(sum(parts) + self.bias)
        for layer in self.deeper:
            values = self.nonlinear(layer(values))
        return values
