"""How far an adversary may go: sizes that depend on the batch, in place of a number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class RowSet:
    """Rows that move together, as a magnitude sees them.

    Attributes:
        name: The path of the table, variable or layer, or the place of the input.
        values: The clean rows, `(n, width)`.
        moving: bool `(n, 1)`, which of them move: those that the loss depends on.
        per_example: Whether the rows belong to the examples of the batch, in their order.
    """

    name: str
    values: tf.Tensor
    moving: tf.Tensor
    per_example: bool = False


@dataclass(frozen=True)
class Scene:
    """A batch as a magnitude sees it.

    Attributes:
        sets: The sets of rows.
        norm: `"l2"` or `"linf"`: what the perturbation measures sizes in.
        inputs: The inputs of the batch, or None outside training.
        examples: How many examples there are.
        losses: Gives the examples' clean losses, `(examples,)`.
        step: How many updates the optimizer has made.
        epoch: Which epoch this is, from 0.
    """

    sets: Sequence[RowSet]
    norm: str = "l2"
    inputs: Any = None
    examples: Any = None
    losses: Callable[[], tf.Tensor] | None = None
    step: tf.Tensor | None = None
    epoch: tf.Tensor | None = None

    def spread(self, values: tf.Tensor, rows: RowSet) -> tf.Tensor:
        """What each row's example has: `(examples,)` becomes `(n, 1)`.

        Raises:
            ValueError: The rows are not those of examples.
        """
        count, examples = rows.values.shape[0], values.shape[0]
        whole = count is None or examples is None or count % examples == 0
        if not rows.per_example or not whole:
            raise ValueError(
                f"each user has a size of its own, but the rows of {rows.name!r} do not belong to "
                "single examples (a row of a table is shared by many). Attack what belongs to an "
                'example: target=outputs_of("...") or input_features().'
            )
        times = tf.shape(rows.values)[0] // tf.shape(values)[0]
        if count is not None and examples:
            times = count // examples
        spread = tf.repeat(values, times)
        return tf.cast(spread, rows.values.dtype)[:, None]


class Magnitude:
    """A size for every row, in place of the number `epsilon`: pure, and made for each batch.

    Attributes:
        counts_epochs: Whether `Scene.epoch` is needed.
    """

    counts_epochs = False

    def sizes(self, scene: Scene) -> list[Any]:
        """The sizes: for each set of rows a scalar, or `(n, 1)`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain JSON."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Magnitude":
        """The magnitude that `get_config` describes."""
        return cls(**{**config, "epsilon": restored(config["epsilon"])})

    def __repr__(self) -> str:
        settings = {**self.get_config()}
        if "epsilon" in settings:
            settings["epsilon"] = self.epsilon
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in settings.items())})"


def checked(epsilon: Any) -> Any:
    """A size as a constructor was given it: a `Magnitude`, or a number as a float.

    Raises:
        ValueError: It is neither a magnitude nor a finite number from 0.
    """
    if isinstance(epsilon, Magnitude):
        return epsilon
    number = isinstance(epsilon, int | float) or hasattr(epsilon, "__float__")
    if not number or not 0 <= float(epsilon) < float("inf"):
        raise ValueError(
            "epsilon must be a finite number, 0 or more, or a Magnitude such as "
            f"RelativeEpsilon(0.5). Received: {epsilon!r}"
        )
    return float(epsilon)


def sizes_of(epsilon: Any, scene: Scene) -> list[Any]:
    """A size for each set of rows, of a number too."""
    if isinstance(epsilon, Magnitude):
        return epsilon.sizes(scene)
    return [epsilon] * len(scene.sets)


def stored(epsilon: Any) -> Any:
    """A size as plain JSON."""
    if isinstance(epsilon, Magnitude):
        return keras.saving.serialize_keras_object(epsilon)
    return epsilon


def restored(epsilon: Any) -> Any:
    """What `stored` has stored."""
    return keras.saving.deserialize_keras_object(epsilon) if isinstance(epsilon, dict) else epsilon
