"""Checks of the model itself: usable gradients, deterministic raw scores, no inner loop."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.audit.checks import Check, check
from tfadvrec.audit.facts import weights_sha256
from tfadvrec.audit.victim import Victim

_LOOPS = {"While", "StatelessWhile", "For"}
_WRITES = {
    "AssignVariableOp",
    "AssignAddVariableOp",
    "AssignSubVariableOp",
    "ResourceScatterUpdate",
}


def model_checks(victim: Victim) -> list[Check]:
    """The four checks that look at the model and not at an attack's outcome."""
    return [
        _gradients(victim),
        _deterministic(victim),
        _raw_scores(victim),
        _no_inner_loop(victim),
    ]


def _gradients(victim: Victim) -> Check:
    name = "Zero, NaN or infinite gradients"
    attacker = victim.attacker
    if attacker is None:
        return check(name, None, victim.reason)
    _, gradients = attacker.gradient()
    lengths = [np.linalg.norm(gradient.numpy(), axis=1) for gradient in gradients]
    bad = sum(int((~np.isfinite(length)).sum()) for length in lengths)
    tables = []
    useless = 0
    active = np.bincount(victim.task.train.user, minlength=victim.task.train.n_users) > 0
    for variable, length in zip(attacker.variables, lengths, strict=True):
        zero = length <= 1e-12
        # A table with a row a user is judged on users that have training interactions at all.
        if len(length) == len(active) and "user" in variable.path:
            zero = zero & active
            useless += int(zero.sum())
        tables.append(f"{int(zero.sum())} of {len(length)} rows of {variable.path}")
    detail = (
        f"gradient of the summed loss at the clean tables: {bad} rows not finite; zero: "
        + ", ".join(tables)
        + " (item rows without any training triple have none)"
    )
    return check(name, bad == 0 and useless == 0, detail)


def _sample(victim: Victim) -> np.ndarray:
    return victim.task.users[:64].astype(np.int32)


def _scores(victim: Victim) -> np.ndarray:
    return np.asarray(victim.model.score_catalogue(_sample(victim)), np.float32)


def _deterministic(victim: Victim) -> Check:
    one, other = _scores(victim), _scores(victim)
    same = np.array_equal(one, other)
    apart = float(np.abs(one - other).max())
    detail = f"two passes over {len(one)} users: largest difference {apart:.3g}"
    return check("Deterministic forward pass", same, detail)


def _raw_scores(victim: Victim) -> Check:
    if victim.attacker is None:
        return check("Logits, not probabilities", None, f"no attack: {victim.reason}")
    scores = _scores(victim)
    low, high = float(scores.min()), float(scores.max())
    within = low >= 0.0 and high <= 1.0
    detail = f"scores of {len(scores)} users lie in [{low:.4g}, {high:.4g}]"
    if within:
        detail += ": they may be probabilities, whose gradients saturate"
    return check("Logits, not probabilities", not within, detail)


def _no_inner_loop(victim: Victim) -> Check:
    name = "No optimisation inside inference"
    before = weights_sha256(victim.model)
    _scores(victim)
    if weights_sha256(victim.model) != before:
        return check(name, False, "scoring changes the model's weights")
    try:
        kinds = _operations(victim.model)
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError) as problem:
        reason = f"score_catalogue cannot be traced into a graph ({type(problem).__name__})"
        return check(name, None, f"weights stay, but {reason}")
    found = sorted(kinds & (_LOOPS | _WRITES))
    detail = f"weights stay; the scoring graph has {len(kinds)} kinds of operation, " + (
        f"among them {', '.join(found)}" if found else "no loop and no assignment among them"
    )
    if found and not set(found) & _WRITES and _recurrent(victim.model):
        return check(name, None, f"{detail}: a recurrent layer's loop cannot be told from another")
    return check(name, not found, detail)


def _recurrent(model: Any) -> bool:
    """Whether any layer reads its inputs one after the other, which takes a loop."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    return any(isinstance(layer, keras.layers.RNN) for layer in layers)


def _operations(model: Any) -> set[str]:
    """Kinds of operation in the scoring graph; of one chunk where a model scores in chunks."""
    score = model.score_catalogue
    if getattr(model, "scores_in_chunks", False):
        items = np.arange(model.n_items, dtype=np.int32)

        def score(users: tf.Tensor) -> tf.Tensor:
            return model({"user_id": users, "item_id": items})

    traced = tf.function(score).get_concrete_function(tf.TensorSpec([None], tf.int32))
    definition = traced.graph.as_graph_def()
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes += list(function.node_def)
    return {node.op for node in nodes}
