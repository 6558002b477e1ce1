"""Ranking quality while a model trains, and stopping on it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfadvrec.evaluation.ranking_task import RankingTask

# Metrics whose smaller values are better, or neither.
_NOT_TO_RAISE = ("gini", "popularity")


class RankingCallback(keras.callbacks.Callback):
    """Evaluates the whole ranking every few epochs, apart from the training step.

    Puts `val_ndcg@10` and the like into the logs of every epoch: those of the first epoch, of
    every `every`-th and of the last one are measured, the epochs in between repeat the last
    values. Callbacks that read them come after this one in the list.

    To stop on a ranking metric, use `stop_after` and `restore_best`: they count evaluations.
    Keras's own `EarlyStopping` and `ModelCheckpoint` can read the values too, with `mode="max"`
    (Keras cannot tell the direction and says so). The weights that they keep are those of an epoch
    that was evaluated, because a repeated value is no improvement; but `EarlyStopping` counts
    epochs, so its `patience` must be `every` times as many evaluations.

    Args:
        train: The training `Interactions` (masked).
        validation: The validation part. Never the test part: the epoch is chosen on it.
        every: Epochs between two evaluations.
        k: Cuts.
        metrics: Metric names as in `evaluate`.
        model: The recommender, where the trained Keras model only contains it. The model that
            `AdversarialTraining` wraps is found without it.
        users: Rows to evaluate; by default all users with held-out items.
        seen: More logs to mask.
        monitor: The value that `stop_after` and `restore_best` go by, higher is better; by default
            the first metric at the first cut, `"ndcg@10"`.
        stop_after: Stop training after so many evaluations without a new best, or None.
        restore_best: Whether to give the trained model the weights of its best evaluation when
            training ends (as in Keras, not the optimizer's state).

    Attributes:
        task: The `RankingTask`, prepared once.
        best: The best value of `monitor` in this training, or None.
        best_epoch: Its epoch, from 0 as in Keras, or None.
        evaluations: Epoch -> metric name -> value, of this training.

    Raises:
        ValueError: If an option does not fit, or nobody is left to evaluate.
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
        users: Sequence[int] | np.ndarray | None = None,
        seen: Sequence[Any] = (),
        monitor: str | None = None,
        stop_after: int | None = None,
        restore_best: bool = False,
    ):
        super().__init__()
        for name, value in (("every", every), ("stop_after", stop_after)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.every, self.k, self.metrics = every, tuple(k), tuple(metrics)
        self.monitor = _monitored(monitor, self.metrics, self.k)
        self.stop_after, self.restore_best, self.recommender = stop_after, restore_best, model
        self.task = RankingTask(train, validation, seen=seen, users=users)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.evaluations: dict[int, dict[str, float]] = {}
        self._last: dict[str, float] = {}
        self._without_best = 0
        self._weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts anew: a second `fit` has a best of its own."""
        self._forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates when the epoch's turn has come and writes into `logs`."""
        last = (self.params or {}).get("epochs") == epoch + 1
        if epoch % self.every == self.every - 1 or last or not self._last:
            self._evaluate(epoch)
        if logs is not None:
            logs.update(self._last)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the best weights, where asked for."""
        if self._weights is not None:
            self.model.set_weights(self._weights)
            self._weights = None

    def _evaluate(self, epoch: int) -> None:
        found = self.task.evaluate(self._ranker(), k=self.k, metrics=self.metrics).means
        self._last = {f"val_{name}": value for name, value in found.items()}
        self.evaluations[epoch] = found
        value = found[self.monitor]
        if not math.isnan(value) and (self.best is None or value > self.best):
            self.best, self.best_epoch, self._without_best = value, epoch, 0
            if self.restore_best:
                self._weights = self.model.get_weights()
            return
        self._without_best += 1
        if self.stop_after is not None and self._without_best >= self.stop_after:
            self.model.stop_training = True

    def _ranker(self) -> Any:
        if self.recommender is not None:
            return self.recommender
        model = self.model
        while not hasattr(model, "score_catalogue"):
            if not hasattr(model, "model"):
                raise ValueError(
                    f"the trained {type(self.model).__name__} has no score_catalogue(users), nor a "
                    "`model` that has; name the recommender: RankingCallback(..., model=...)."
                )
            model = model.model
        return model


def _monitored(name: str | None, metrics: Sequence[str], k: Sequence[int]) -> str:
    known = [
        metric if metric == "auc" else f"{metric}@{cut}"
        for metric in metrics
        for cut in k
        if metric not in _NOT_TO_RAISE and (metric, cut) != ("ild", 1)
    ]
    if name is None and known:
        return known[0]
    if name is None or name.removeprefix("val_") not in known:
        raise ValueError(
            f"monitor={name!r} is none of the measured values that are better when higher: "
            f"{', '.join(dict.fromkeys(known)) or 'there is none'}. Name its metric in `metrics` "
            "and its cut in `k`."
        )
    return name.removeprefix("val_")
