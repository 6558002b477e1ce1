"""What Keras's logs of a game say about its health."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from tfadvrec.games.health.snapshot import SIDES, optimizer_of

_ACCURACIES = ("accuracy_real", "accuracy_fake")


class TrainingSignals:
    """Signals from losses, accuracies and gradient norms.

    Args:
        early: Epochs whose median gradient norm the later ones are compared with.
    """

    def __init__(self, *, early: int):
        self.early = early
        self.forget()

    def forget(self) -> None:
        """Begins anew."""
        self._norms: list[float] = []

    def update(self, values: Mapping[str, float]) -> dict[str, float]:
        """Takes one epoch's values in.

        Args:
            values: An epoch's logs.

        Returns:
            `accuracy_least` (the smaller of the accuracies on real and on fake: above a limit
            both are, below a limit either is) and `gradient_ratio` (the generator's gradient norm
            over its early median), where the logs allow for them.
        """
        found = {}
        if all(name in values for name in _ACCURACIES):
            found["accuracy_least"] = min(values[name] for name in _ACCURACIES)
        norm = values.get("generator_gradient_norm", math.nan)
        no_turn = norm == 0 and values.get("generator_loss") == 0  # more batches than the epoch had
        if no_turn or not math.isfinite(norm):
            return found
        if len(self._norms) < self.early:
            self._norms.append(norm)
        elif (usual := statistics.median(self._norms)) > 0:
            found["gradient_ratio"] = norm / usual
        return found


def numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """The logs that are numbers, as floats."""
    return {name: float(v) for name, v in (logs or {}).items() if hasattr(v, "__float__")}


def not_finite(values: Mapping[str, float], game: Any) -> list[str]:
    """Names of what is NaN or infinite.

    A gradient norm that overflows under a loss scale is none of it: the optimizer passes over
    such a step and lowers its scale.
    """
    scaled = {
        f"{side}_gradient_norm"
        for side in SIDES
        if hasattr(optimizer_of(game, side), "inner_optimizer")
    }
    return [n for n, v in values.items() if not math.isfinite(v) and n not in scaled]
