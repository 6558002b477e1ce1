"""Rating errors of a model as it is, under attack and under noise of the same size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.evaluation.rating_result import RatingResult
from tfadvrec.evaluation.ratings import evaluate_ratings

BATCH = 8192


def rating_situations(
    model: Any,
    train: Any,
    test: Any,
    *,
    relative_epsilon: Sequence[float] = (0.1, 0.2, 0.4),
    steps: int = 10,
    norm: str = "l2",
    seed: int = 0,
) -> dict[str, RatingResult]:
    """Measures a model of ratings clean, attacked, and with noise in place of the attack.

    The attack is one perturbation of the embedding tables by projected gradient up the squared
    error of the held-out ratings themselves, which no real attacker knows.
    (Up the training error, it would undo what an overfitted model has learnt by heart, and better
    it.) Every row moves by at most `relative_epsilon` times the mean length of the model's own
    rows, so longer vectors win nothing; biases and other weights stay. Predictions are clipped to
    the range of the training ratings.

    Args:
        model: A recommender whose scores are ratings.
        train: Training interactions with ratings: their range.
        test: Held-out interactions with ratings.
        relative_epsilon: Sizes, in shares of the mean row length.
        steps: Steps of the attack.
        norm: Its norm, `"l2"` or `"linf"`.
        seed: What the noise is drawn from.

    Returns:
        `"test"`, `"attacked 0.1"`, `"noise 0.1"` and so on -> `RatingResult`; the clean one alone
        for a model without embedding tables, or whose vectors are zero.
    """
    from tfadvrec import adversary
    from tfadvrec.losses import SquaredError

    clip = (float(train.rating.min()), float(train.rating.max()))
    results = {"test": evaluate_ratings(model, test, clip=clip)}
    length = mean_row_length(model)
    if not length:
        return results
    batches = _batches(test)
    for relative in relative_epsilon:
        size = relative * length
        moves = {
            "attacked": adversary.ProjectedGradient(size, steps=steps, norm=norm),
            "noise": adversary.RandomNoise(size, norm=norm),
        }
        for name, move in moves.items():
            deltas = adversary.attack(model, batches, move, loss=SquaredError(), seed=seed)
            with adversary.applied(model, deltas):
                results[f"{name} {relative:g}"] = evaluate_ratings(model, test, clip=clip)
    return results


def mean_row_length(model: Any) -> float:
    """Mean l2 norm over the rows of a model's embedding tables; 0 where it has none."""
    from tfadvrec.adversary import served_tables

    try:
        tables = served_tables(model)
    except ValueError:
        return 0.0
    rows = [np.linalg.norm(table.numpy(), axis=-1).ravel() for table in tables]
    return float(np.concatenate(rows).mean())


def _batches(log: Any) -> list[Any]:
    """All ratings, in batches of at most two shapes."""
    batches = []
    for start in range(0, len(log), BATCH):
        part = slice(start, start + BATCH)
        inputs = {"user_id": log.user[part], "item_id": log.item[part][:, None]}
        batches.append((inputs, np.asarray(log.rating[part], np.float32)[:, None]))
    return batches
