"""What the closed-form models share: checks before a fit, and candidates of catalogue scores."""

from typing import Any

import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.models.history import History


def check_size(model: Any, log: Interactions) -> None:
    """Refuses a log whose vocabularies are not the model's.

    Args:
        model: The recommender that is about to learn; read are `n_users` and `n_items`.
        log: The interactions to learn from.

    Raises:
        TypeError: If the log is no `Interactions` (a Keras data set, say).
        ValueError: If the log has other numbers of users or items, or no interaction.
    """
    kind = type(model).__name__
    if not isinstance(log, Interactions):
        raise TypeError(
            f"{kind}.fit has a closed form and expects the interactions themselves, "
            f"`fit(log)` with a tfadvrec.data.Interactions, and got {type(log).__name__}. "
            "Samplers such as data.pairs are for models that are trained by gradient."
        )
    if (log.n_users, log.n_items) != (model.n_users, model.n_items):
        raise ValueError(
            f"{kind} was made for {model.n_users} users and {model.n_items} items, and the log "
            f"{log.name!r} has {log.n_users} and {log.n_items}. Make the model with "
            "n_users=log.n_users, n_items=log.n_items; the parts of a split share both."
        )
    if len(log) == 0:
        raise ValueError(
            f"{kind} cannot learn from the log {log.name!r}: it holds no interaction. "
            "Look at log.dropped for what was left out while reading."
        )


def pick(scores: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Picks candidates out of catalogue scores.

    Args:
        scores: `(batch, n_items)`.
        items: int rows, `(batch, candidates)`, or `(candidates,)` for the same ones in every row.

    Returns:
        Scores `(batch, candidates)`.
    """
    if items.shape.rank == 1:
        return tf.gather(scores, items, axis=1)
    return tf.gather(scores, items, axis=1, batch_dims=1)


def bound(history: History | None, model: Any) -> History:
    """Returns the history that a model was bound to.

    Raises:
        ValueError: If it was bound to none yet, as after loading a preset.
    """
    if history is None:
        raise ValueError(
            f"{type(model).__name__} scores from what a user took and has not been given a log "
            "yet: call model.bind(log) once, with the log whose interactions are the history "
            "(fit(log) does it too)."
        )
    return history
