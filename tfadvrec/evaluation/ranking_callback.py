"""Ranking quality while a model trains."""

from collections.abc import Sequence
from typing import Any

import keras

from tfadvrec.evaluation.ranking import evaluate


class RankingCallback(keras.callbacks.Callback):
    """Evaluates the whole ranking every few epochs, apart from the training step.

    Puts `val_ndcg@10` and the like into the logs, so that `History`, `EarlyStopping` and
    `ModelCheckpoint` (with `mode="max"`) can use them. Put it before those in the list. Epochs in
    between repeat the last values.

    Args:
        train: The training `Interactions` (masked).
        validation: The validation part. Never the test part: the epoch is chosen on it.
        every: Epochs between two evaluations.
        k: Cuts.
        metrics: Metric names as in `evaluate`.
        model: The recommender, where the trained Keras model only contains it.
    """

    def __init__(
        self,
        train: Any,
        validation: Any,
        *,
        every: int = 1,
        k: Sequence[int] = (10,),
        metrics: Sequence[str] = ("ndcg", "hr"),
        model: Any = None,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}")
        self.train, self.validation, self.every = train, validation, every
        self.k, self.metrics, self.recommender = tuple(k), tuple(metrics), model
        self._last: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates when the epoch's turn has come and writes into `logs`."""
        if epoch % self.every == self.every - 1 or not self._last:
            model = self.recommender
            if model is None:
                model = self.model
                if not hasattr(model, "score_catalogue"):
                    model = getattr(model, "model", model)
            result = evaluate(model, self.train, self.validation, k=self.k, metrics=self.metrics)
            self._last = {f"val_{name}": value for name, value in result.means.items()}
        if logs is not None:
            logs.update(self._last)
