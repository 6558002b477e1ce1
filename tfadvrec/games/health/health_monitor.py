"""The callback that watches a game's health while it trains, and acts on it."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfadvrec.games.health.actions import ACTIONS, ROLLED_BACK, STOPPED, check
from tfadvrec.games.health.comparison import Comparison, Reference, checked
from tfadvrec.games.health.health_report import HealthReport
from tfadvrec.games.health.health_warning import HealthWarning
from tfadvrec.games.health.limit import ACT, Limit, merged
from tfadvrec.games.health.scalars import Scalars
from tfadvrec.games.health.snapshot import Rollback, finite_weights, scheduled
from tfadvrec.games.health.streaks import Breach, Streaks, failure, healthy
from tfadvrec.games.health.training_signals import TrainingSignals, not_finite, numbers


class HealthMonitor(keras.callbacks.Callback):
    """Measures a generated sample beside a real one, warns, and rolls back or stops when asked.

    A signal beyond its outer limit for `patience` measurements in a row calls for the action:

    - `"warn"`: nothing but a `HealthWarning`;
    - `"rollback"`: networks, optimizers and seeds go back to the last healthy epoch and both
      learning rates are halved; when that has been done `max_rollbacks` times, the last healthy
      state is restored once more and training stops;
    - `"stop"`: training stops.

    Beyond the inner limit it warns. A loss, gradient norm, weight or sample that is NaN or
    infinite counts at once, losses and norms in the middle of an epoch too. Every measured value
    is written into the epoch's logs with `health_` before its name, `health_level` (0 fine, 1
    warn, 2 act) and `health_action` (0 none, 1 warn, 2 rollback, 3 stop) with them, so that
    Keras's `History` has all; an epoch that is not measured repeats the last values.

    Args:
        reference: The real `Interactions`, an `Observation`, a function `(count, seed) ->
            Observation`, or None: then only losses, accuracies and gradients are watched.
        every: Epochs between two measurements.
        count: Size of the generated sample (`game.observe(count, seed)`) and of the real one.
        seed: Seed of both, the same at every measurement.
        action: One of the three.
        warm_up: Epochs at the beginning whose breaches are ignored.
        patience: Measurements in a row beyond a limit that count.
        limits: Changes of `LIMITS`: signal -> `Limit`, its fields as a dict, or None for no limit.
        max_rollbacks: Most rollbacks in one `fit`.
        log_dir: Folder for TensorBoard's scalars, or None.
        folder: Folder that the report is saved to when training ends, or None.

    Raises:
        ValueError: If an option does not fit.

    Example:
        >>> HealthMonitor(limits={"coverage": {"warn_below": 0.3}}).limits["coverage"].act_below
        0.2
    """

    def __init__(
        self,
        reference: Reference = None,
        *,
        every: int = 1,
        count: int = 2048,
        seed: int = 0,
        action: str = "warn",
        warm_up: int = 3,
        patience: int = 3,
        limits: Mapping[str, Limit | Mapping[str, Any] | None] | None = None,
        max_rollbacks: int = 2,
        log_dir: str | os.PathLike[str] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ):
        super().__init__()
        check(action, every=every, count=count, patience=patience)
        check(action, least=0, warm_up=warm_up, max_rollbacks=max_rollbacks)
        self.every, self.action, self.warm_up, self.patience = every, action, warm_up, patience
        self.count, self.seed, self.log_dir, self.folder = count, seed, log_dir, folder
        self.limits = merged(limits)
        self._comparison = None
        if checked(reference) is not None:
            self._comparison = Comparison(reference, count=count, seed=seed)
        self._streaks = Streaks(self.limits, patience=patience)
        self._signals = TrainingSignals(early=max(warm_up, 3))
        self._rollback = Rollback(most=max_rollbacks)
        self._scalars: Scalars | None = None
        self._game, self._epochs, self._events = "game", [], []
        self._forget()

    def _forget(self) -> None:
        for part in (self._streaks, self._signals, self._rollback):
            part.forget()
        self._last: dict[str, float] = {}
        self._failed, self._done = False, 0
        # epochs go on counting over several fits
        self._first = self._epochs[-1]["epoch"] + 1 if self._epochs else 0
        self._epoch = self._first

    @property
    def report(self) -> HealthReport:
        """Everything so far; a second `fit` continues it."""
        settings = {
            "game": self._game,
            "action": self.action,
            "every": self.every,
            "count": self.count,
            "seed": self.seed,
            "patience": self.patience,
            "warm_up": self.warm_up,
            "max_rollbacks": self._rollback.most,
            "limits": {name: limit.to_dict() for name, limit in self.limits.items()},
        }
        return HealthReport(
            settings=settings, epochs=tuple(self._epochs), events=tuple(self._events)
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Counts anew, and keeps the state to go back to.

        Raises:
            ValueError: If the game cannot be observed, or its learning rates cannot be halved.
        """
        self._forget()
        self._game = type(self.model).__name__
        if self._comparison is not None and not hasattr(self.model, "observe"):
            raise ValueError(
                f"{self._game} has no observe(count, seed). HealthMonitor() without a reference "
                "watches losses, accuracies and gradients alone."
            )
        if self.action == "rollback":
            if wrong := scheduled(self.model):
                raise ValueError(
                    "action='rollback' halves learning rates, but a schedule sets that of the "
                    f"{' and the '.join(wrong)}. Give a number, or choose action='stop'."
                )
            self._rollback.keep(self.model, None)
        if self.log_dir is not None:
            self._scalars = Scalars(self.log_dir)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch, self._done = self._first + epoch, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Acts at once when a loss or a norm is no number any more."""
        wrong = not_finite(numbers(logs), self.model)
        if wrong:
            self._fail(wrong, batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures when the epoch's turn has come, acts, and writes into `logs`."""
        values = numbers(logs)
        signals: dict[str, float] = {}
        wrong = not_finite(values, self.model)
        last = (self.params or {}).get("epochs") == epoch + 1
        due = epoch % self.every == self.every - 1 or last or not self._last
        if due:
            signals = self._measure(values, wrong)
        levels = self._streaks.levels({**values, **signals}) if due else {}
        if wrong:
            self._fail(wrong, None)
        elif due:
            if epoch >= self.warm_up:
                self._judge({**values, **signals})
            if self.action == "rollback" and not self._done and healthy(levels):
                self._rollback.keep(self.model, self._epoch)
        self._epochs.append(
            {"epoch": self._epoch, "values": {**values, **signals}, "levels": levels}
        )
        self._tell(logs, signals, levels, due)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the event file, saves the report where asked for, and frees the copies."""
        if self._scalars is not None:
            self._scalars.close()
            self._scalars = None
        self._rollback.forget()
        if self.folder is not None:
            self.report.save(self.folder)

    def _measure(self, values: dict[str, float], wrong: list[str]) -> dict[str, float]:
        """The signals; what is no number is added to `wrong`."""
        signals = self._signals.update(values)
        if not finite_weights(self.model):
            wrong.append("a weight")
        if self._comparison is not None and not wrong:
            found = self._comparison.look(self.model)
            if found is None:
                wrong.append("the generated sample")
            signals |= found or {}
        return signals

    def _judge(self, values: dict[str, float]) -> None:
        breaches = self._streaks.update(values)
        if breaches and breaches[0].level == ACT and self.action != "warn":
            self._act(breaches[0], None, also=[breach.signal for breach in breaches[1:]])
            return
        for breach in breaches:
            if breach.fresh:
                self._note(breach, "warn", None)

    def _fail(self, names: list[str], batch: int | None) -> None:
        if not self._failed:
            self._act(failure(names), batch)
            # what was rolled back can fail again; everything else is told once
            self._failed = self._done != ROLLED_BACK

    def _act(self, breach: Breach, batch: int | None, *, also: Sequence[str] = ()) -> None:
        """Does what was asked for when a signal calls to act."""
        action, told = self.action, f"; beyond limits too: {', '.join(also)}" if also else ""
        if action == "rollback":
            told += f": {self._rollback.go_back(self.model)}"
            self._streaks.forget()
            if batch is not None:
                self.model.reset_metrics()
            action = "stop" if self._rollback.count > self._rollback.most else action
        elif action == "stop":
            told += ": training stops"
        self._note(breach, action, batch, told)
        if self._done == STOPPED:
            self.model.stop_training = True

    def _note(self, breach: Breach, action: str, batch: int | None, told: str = "") -> None:
        message = breach.message(self.patience) + told
        self._done = max(self._done, ACTIONS.index(action) + 1)
        event = {"epoch": self._epoch, "batch": batch, "signal": breach.signal}
        event |= {"value": breach.value, "bound": breach.bound}
        self._events.append({**event, "action": action, "message": message})
        warnings.warn(f"epoch {self._epoch}: {message}", HealthWarning, stacklevel=2)

    def _tell(
        self,
        logs: dict[str, Any] | None,
        signals: dict[str, float],
        levels: dict[str, int],
        due: bool,
    ) -> None:
        if due:
            level = max([*levels.values(), ACT if self._failed else 0])
            self._last = {f"health_{name}": value for name, value in signals.items()}
            self._last["health_level"] = level
        told = {**self._last, "health_action": self._done}
        if self._scalars is not None:
            self._scalars.write({**numbers(logs), **told}, step=self._epoch)
        if logs is not None:
            logs.update(told)
