"""What an adversary attacks: embedding tables, outputs of layers, input features, variables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Target:
    """What is attacked; made by `embedding_tables`, `outputs_of`, `variables`, `input_features`.

    Attributes:
        kind: `"tables"` (row by row), `"variables"` (each as one row), `"inputs"` (example by
            example) or `"outputs"` (of layers, `per` vector or example).
        pattern: A regular expression that a variable's path must contain, or None for all; that
            a layer's path must contain.
        names: The inputs' names, or None for every floating-point input.
        per: What has a length of its own in an output: `"vector"` or `"example"`.
    """

    kind: str
    pattern: str | None = None
    names: tuple[str, ...] | None = None
    per: str = "vector"

    def find(self, model: keras.Model) -> list[keras.Variable]:
        """The variables under attack, in the model's order; none where no variable is.

        Raises:
            ValueError: The model has none.
        """
        if self.kind in ("inputs", "outputs"):
            return []
        if self.kind == "tables":
            tables = {
                id(layer.embeddings)
                for layer in model._flatten_layers()
                if isinstance(layer, keras.layers.Embedding) and layer.built
            }
            found = [v for v in model.trainable_variables if id(v) in tables]
        else:
            found = list(model.trainable_variables)
        found = [v for v in found if self.pattern is None or re.search(self.pattern, v.path)]
        if not found:
            raise ValueError(self._nothing(model))
        return found

    def select(self, inputs: Any) -> list[int]:
        """Which of the flattened inputs are attacked; none for a target of variables."""
        if self.kind != "inputs":
            return []
        flat = list(keras.tree.flatten_with_path(inputs))
        names = ["/".join(str(part) for part in path) for path, _ in flat]
        chosen = [
            i
            for i, (_, value) in enumerate(flat)
            if (names[i] in self.names if self.names else _floating(value))
        ]
        missing = set(self.names or ()) - set(names)
        whole = [names[i] or "(the only input)" for i in chosen if not _floating(flat[i][1])]
        if missing or whole or not chosen:
            raise ValueError(
                f"input_features({list(self.names) if self.names else ''}) needs floating-point "
                f"inputs. Inputs of this model: {names}; unknown: {sorted(missing)}; "
                f"not floating-point: {whole}. Ids are attacked through their vectors: "
                "use embedding_tables()."
            )
        return chosen

    def _nothing(self, model: keras.Model) -> str:
        paths = [v.path for v in model.trainable_variables]
        if self.kind == "tables":
            wanted = "a trainable keras.layers.Embedding" + (
                f" whose path matches {self.pattern!r}" if self.pattern else ""
            )
        else:
            wanted = f"a trainable variable whose path matches {self.pattern!r}"
        return (
            f"the target needs {wanted}, and {model.name!r} has none. Its trainable variables: "
            f"{paths[:10]}. Pass target=input_features() to attack floating-point inputs, or "
            "target=variables(pattern)."
        )


def embedding_tables(pattern: str | None = None) -> Target:
    """Every trainable embedding table, row by row.

    Args:
        pattern: A regular expression that the table's path must contain, or None for all.
    """
    return Target("tables", pattern=pattern)


def outputs_of(pattern: str, per: str = "vector") -> Target:
    """What layers give out, call by call, on its way through the model.

    Each call's own output moves: a user that a batch holds twice may move two ways.

    Args:
        pattern: A regular expression that the layer's path (`"tower/dense"`) must contain, up to
            some part of the layer's own name: `"tower"` is the tower, not what it holds.
        per: `"vector"`: every vector along the last axis is a row with a direction of its own;
            `"example"`: everything that one example has in the output is one row.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
    >>> target = tar.adversary.outputs_of("hidden")
    >>> robust = tar.AdversarialTraining(model, tar.FastGradient(0.1), target=target)
    >>> robust.compile("sgd", loss="mse")
    >>> history = robust.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0).history
    >>> history["adversarial_loss"][0] > history["loss"][0]
    True

    Reference: Miyato et al., Adversarial Training Methods for Semi-Supervised Text
    Classification, ICLR 2017, equation 5, for one row a sequence of vectors.
    """
    if per not in ("vector", "example"):
        raise ValueError(f'per must be "vector" or "example". Received: {per!r}')
    return Target("outputs", pattern=pattern, per=per)


def variables(pattern: str) -> Target:
    """Trainable variables by name, each moved as a whole (its length is its Frobenius norm).

    Args:
        pattern: A regular expression that the variable's path must contain.
    """
    return Target("variables", pattern=pattern)


def input_features(names: Sequence[str] | None = None) -> Target:
    """Floating-point inputs, example by example (an example's length spans all its values).

    Args:
        names: Names of dict inputs or positions of tuple inputs; None for every floating-point
            input.
    """
    return Target("inputs", names=None if names is None else tuple(str(name) for name in names))


def _floating(value: Any) -> bool:
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype))
