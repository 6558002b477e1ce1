"""What an adversary attacks: embedding tables, input features, or variables by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Target:
    """What is attacked; made by `embedding_tables`, `variables` or `input_features`.

    Attributes:
        kind: `"tables"` (row by row), `"variables"` (each as one row) or `"inputs"` (example by
            example).
        pattern: A regular expression that a variable's path must contain, or None for all.
        names: The inputs' names, or None for every floating-point input.
    """

    kind: str
    pattern: str | None = None
    names: tuple[str, ...] | None = None

    def find(self, model: keras.Model) -> list[keras.Variable]:
        """The variables under attack, in the model's order; none for a target of inputs.

        Raises:
            ValueError: The model has none.
        """
        if self.kind == "inputs":
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
