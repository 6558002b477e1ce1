"""Attacks on a trained model: one perturbation of its variables from a whole data set."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.adversary.ascent import ascend
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.adversary.rows import VariableRows
from tfadvrec.adversary.served import served_tables
from tfadvrec.adversary.target import Target
from tfadvrec.losses import BayesianPersonalizedRanking


def attack(
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    perturbation: Perturbation,
    *,
    target: Target | None = None,
    loss: Callable[[Any, Any], tf.Tensor] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """One perturbation of a model's variables, up the loss summed over all batches.

    The model is left as it was; `applied` puts the perturbation on.

    Args:
        model: The model under attack.
        batches: `(inputs, labels)` batches; all of them are in every gradient.
        perturbation: How the variables move. Without gradient steps (`RandomNoise`) every row
            moves and the batches are not read.
        target: What moves; the tables that the model ranks by where None. Neither inputs nor
            outputs of layers can be attacked here.
        loss: What is raised, a function of labels and outputs summed over a batch; the pairwise
            logistic loss of BPR where None.
        seed: What random perturbations are drawn from.

    Returns:
        Variable path -> perturbation, an array of the variable's shape.
    """
    if perturbation.divergence is not None:
        raise ValueError(
            f"attack raises a loss; {type(perturbation).__name__} looks at no labels. Use "
            "ProjectedGradient."
        )
    if target is not None and target.kind in ("inputs", "outputs"):
        raise ValueError(
            f"attack moves variables; a target of {target.kind} belongs to AdversarialTraining"
        )
    variables = served_tables(model) if target is None else target.find(model)
    whole = target is not None and target.kind == "variables"
    rows = [VariableRows(v, whole=whole) for v in variables]
    gradient = _summed_gradient(model, list(batches), variables, loss, rows)
    first = gradient() if perturbation.steps else [tf.ones_like(part.before) for part in rows]
    try:
        deltas = ascend(perturbation, rows, first, gradient, seed)
    finally:
        for part in rows:
            part.restore()
    return {
        v.path: np.reshape(delta.numpy(), v.shape)
        for v, delta in zip(variables, deltas, strict=True)
    }


@contextmanager
def applied(model: keras.Model, deltas: Mapping[str, np.ndarray]) -> Iterator[keras.Model]:
    """Adds perturbations to a model's variables inside a `with` block.

    Args:
        model: The model.
        deltas: Variable path -> perturbation, as `attack` gives it.

    Yields:
        The same model; after the block its variables are what they were, bit for bit.

    Raises:
        ValueError: A path names no variable of the model.
    """
    by_path = {v.path: v for v in model.variables}
    unknown = sorted(set(deltas) - set(by_path))
    if unknown:
        raise ValueError(f"the model has no variables {unknown}; it has {sorted(by_path)[:10]}")
    before = {path: by_path[path].numpy() for path in deltas}
    try:
        for path, delta in deltas.items():
            by_path[path].assign(before[path] + delta)
        yield model
    finally:
        for path, value in before.items():
            by_path[path].assign(value)


def _summed_gradient(
    model: keras.Model,
    batches: list[tuple[Any, Any]],
    variables: list[keras.Variable],
    loss: Callable[[Any, Any], tf.Tensor] | None,
    rows: list[VariableRows],
) -> Callable[[], list[tf.Tensor]]:
    """A function that gives the gradient of the summed loss, a matrix for each variable."""
    loss = loss or BayesianPersonalizedRanking()
    training = {"training": False} if model._call_has_training_arg else {}

    jit = all(layer.supports_jit for layer in model._flatten_layers())

    @tf.function(reduce_retracing=True, jit_compile=jit)
    def one(x: Any, y: Any) -> list[tf.Tensor]:
        sources = [v.value for v in variables]
        with tf.GradientTape() as tape:
            value = loss(y, model(x, **training))
        gradients = tape.gradient(value, sources, unconnected_gradients="zero")
        return [tf.convert_to_tensor(g) for g in gradients]

    def total() -> list[tf.Tensor]:
        parts = [one(x, y) for x, y in batches]
        if not parts:
            raise ValueError("an attack by gradient needs at least one batch")
        sums = [tf.add_n(list(g)) for g in zip(*parts, strict=True)]
        return [part.flat(g) for part, g in zip(rows, sums, strict=True)]

    return total
