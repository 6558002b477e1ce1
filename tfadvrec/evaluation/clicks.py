"""Click models measured: order, size and calibration of their probabilities, attacked or not."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.adversary.ascent import ascend
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.data.click_log import ClickLog
from tfadvrec.evaluation.click_result import ClickResult
from tfadvrec.models.click_model import ClickModel


def click_metrics(
    label: Any, logit: Any, *, owner: Any = None, bins: int = 15, name: str = "model"
) -> ClickResult:
    """Compares logits with labels.

    Args:
        label: 1 or 0 for each impression, `(n,)`.
        logit: Logits `(n,)`, of any model.
        owner: Whose the impressions are, `(n,)`; whole owners are resampled for intervals. None
            resamples impressions.
        bins: Bins of the calibration error, of equally many impressions.
        name: What was measured.

    Returns:
        A `ClickResult`.

    Raises:
        ValueError: A value is not what it must be, or there are not both labels.

    Example:

    >>> result = click_metrics([1, 0, 1, 0], [2.0, 0.0, 0.0, -2.0], bins=2)
    >>> round(result.means["auc"], 3)
    0.875
    """
    label, logit = np.asarray(label, np.float64), np.asarray(logit, np.float64)
    if label.ndim != 1 or label.shape != logit.shape:
        raise ValueError(
            f"labels and logits must have one shape (n,). Received: {label.shape}, {logit.shape}"
        )
    if not np.isin(label, (0, 1)).all() or not 0 < label.sum() < len(label):
        raise ValueError(
            f"labels must be 1 and 0, some of each. Received: {int(label.sum())} ones among "
            f"{len(label)}, values {np.unique(label)[:5].tolist()}"
        )
    wrong = np.flatnonzero(~np.isfinite(logit))
    if wrong.size:
        raise ValueError(
            f"{wrong.size} logits are NaN or infinite, first at row {wrong[0]}. A probability p "
            "is the logit ln(p / (1 - p)); keep it off 0 and 1."
        )
    if bins < 1:
        raise ValueError(f"bins must be 1 or more. Received: {bins}")
    owner = np.arange(len(label)) if owner is None else np.asarray(owner)
    if owner.shape != label.shape:
        raise ValueError(f"owner must have shape {label.shape}. Received: {owner.shape}")
    return ClickResult(label, logit, owner, bins=bins, name=name)


def evaluate_clicks(
    model: ClickModel,
    log: ClickLog,
    *,
    attack: Perturbation | None = None,
    owner: str | None = None,
    bins: int = 15,
    batch_size: int = 4096,
    seed: int = 0,
) -> ClickResult:
    """Measures a click model on a log, as it is or with every impression's vectors moved.

    An attack knows the labels and moves the field vectors of each impression to raise that
    impression's loss, all fields together within `epsilon`; unknown fields, first-order weights
    and numbers stay. `model.field_norm(log)` is the length that epsilon is to be seen beside.

    Args:
        model: The model.
        log: Held-out impressions.
        attack: How the field vectors are moved; None for not at all.
        owner: The field whose values are resampled for intervals (say, the user); None
            resamples impressions.
        bins: Bins of the calibration error.
        batch_size: Impressions scored at once.
        seed: What random perturbations are drawn from.

    Returns:
        A `ClickResult`.

    Raises:
        DataError: The log lacks a column of the model.
        ValueError: The model has no field vectors to attack.
    """
    if attack is None:
        logit = model.logits(log)
    else:
        logit = attacked_logits(model, log, attack, batch_size=batch_size, seed=seed)
    whose = None if owner is None else log.field_values(owner)
    return click_metrics(log.label, logit, owner=whose, bins=bins, name=type(model).__name__)


def attacked_logits(
    model: ClickModel,
    log: ClickLog,
    attack: Perturbation,
    *,
    batch_size: int = 4096,
    seed: int = 0,
) -> np.ndarray:
    """The logits of a log's impressions whose field vectors are moved, float64 `(n,)`."""
    if model.field_embedding is None:
        raise ValueError(
            f"this {type(model).__name__} has no field vectors, so there is nothing to attack."
        )
    if attack.divergence is not None:
        raise ValueError(
            f"the attack raises a loss; {type(attack).__name__} looks at no labels. Use "
            "ProjectedGradient."
        )
    inputs, parts = model.rows(log), []
    for number, start in enumerate(range(0, len(log), batch_size)):
        part = slice(start, start + batch_size)
        given = {name: tf.constant(column[part]) for name, column in inputs.items()}
        labels = tf.constant(log.label[part, None])
        key = tf.constant(seed * 1_000_003 + number)
        parts.append(_moved(model, given, labels, attack, key).numpy()[:, 0])
    return np.concatenate(parts).astype(np.float64)


class _Vectors:
    """The field vectors of a batch, a row an impression."""

    name, per_example = "field vectors", True

    def __init__(self, vectors: tf.Tensor) -> None:
        self.vectors, self.moved = vectors, vectors
        self.before = self.flat(vectors)

    def flat(self, gradient: tf.Tensor) -> tf.Tensor:
        return tf.reshape(gradient, [tf.shape(gradient)[0], -1])

    def shift(self, delta: tf.Tensor) -> None:
        self.moved = self.vectors + tf.reshape(delta, tf.shape(self.vectors))

    def restore(self) -> None:
        self.moved = self.vectors


def _moved(
    model: ClickModel, inputs: Any, labels: tf.Tensor, attack: Perturbation, key: tf.Tensor
) -> tf.Tensor:
    """The logits of a batch after the attack."""
    rows = _Vectors(tf.convert_to_tensor(model.field_vectors(inputs)))

    def gradient() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(rows.moved)
            logits = model.logits_of(rows.moved, inputs, training=False)
            loss = tf.reduce_sum(tf.nn.softplus(logits) - labels * logits)
        return [rows.flat(tape.gradient(loss, rows.moved))]

    first = gradient() if attack.steps else [_everywhere(model.known(inputs), rows)]
    ascend(attack, [rows], first, gradient, key)
    return model.logits_of(rows.moved, inputs, training=False)


def _everywhere(known: tf.Tensor, rows: _Vectors) -> tf.Tensor:
    """Ones where a field is known: a random move is drawn there, whatever the loss."""
    return rows.flat(tf.ones_like(rows.vectors) * tf.cast(known, rows.vectors.dtype))
