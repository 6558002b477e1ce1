"""What is attacked in a Keras 2 model."""

import re
from typing import Any

import tensorflow as tf

from tfadvrec.adversary.target import Target
from tfadvrec.tfrs.loading import tf_keras
from tfadvrec.tfrs.rows import path


def find(model: Any, target: Target) -> list[tf.Variable]:
    """The variables under attack, in the model's order.

    Args:
        model: A Keras 2 model that has been called.
        target: Of tables or variables.

    Raises:
        ValueError: There are none.
    """
    found = list(model.trainable_variables)
    if target.kind == "tables":
        layers = [part for part in model._flatten_layers() if _is_table(part)]
        tables = {id(layer.embeddings) for layer in layers}
        found = [v for v in found if id(v) in tables]
    found = [v for v in found if target.pattern is None or re.search(target.pattern, path(v))]
    if not found:
        wanted = "tf_keras.layers.Embedding" if target.kind == "tables" else "variable"
        matching = f" whose name matches {target.pattern!r}" if target.pattern else ""
        names = [path(v) for v in model.trainable_variables]
        raise ValueError(
            f"the target needs a trainable {wanted}{matching}, and {model.name!r} has none. Its "
            f"trainable variables: {names[:10]}. Pass "
            "target=tfadvrec.adversary.variables(pattern) to attack some of these, each as a whole."
        )
    return found


def check(target: Target) -> Target:
    """Refuses a target that a TFRS model cannot be attacked at.

    Raises:
        ValueError: The target is one of inputs or outputs.
    """
    if target.kind not in ("tables", "variables"):
        raise ValueError(
            f"a TFRS model can be attacked at its embedding_tables() and variables(pattern), not "
            f"at {target.kind}: what its compute_loss does between them is its own affair. For "
            "other targets, move the model to Keras 3: tfadvrec.AdversarialTraining."
        )
    return target


def _is_table(layer: Any) -> bool:
    return isinstance(layer, tf_keras.layers.Embedding) and layer.built
