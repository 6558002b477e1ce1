"""A game's whole state in memory: both networks, both optimizers, and its seeds."""

from typing import Any

import keras
import numpy as np

SIDES = ("generator", "discriminator")


class Snapshot:
    """A copy of everything that training changes, to go back to.

    Args:
        game: A compiled game. Metrics are not part of its state.
    """

    def __init__(self, game: Any):
        self._values = {id(v): (v, v.numpy().copy()) for v in state_of(game)}

    def restore(self, game: Any) -> None:
        """Writes everything back; what was made since (an optimizer's slots) becomes zero."""
        for variable in state_of(game):
            held = self._values.get(id(variable))
            variable.assign(np.zeros(variable.shape, variable.dtype) if held is None else held[1])


class Rollback:
    """The last healthy state of a game, and how often it was gone back to.

    Args:
        most: Most times.
        factor: What both learning rates are multiplied by each time.
    """

    def __init__(self, *, most: int = 2, factor: float = 0.5):
        self.most, self.factor = most, factor
        self.forget()

    def forget(self) -> None:
        """Drops the copy and begins to count anew."""
        self.count, self.epoch = 0, None
        self._snapshot: Snapshot | None = None

    def keep(self, game: Any, epoch: int | None) -> None:
        """Copies a healthy state: that after `epoch`, or before the first one (None)."""
        self._snapshot, self.epoch = Snapshot(game), epoch

    def go_back(self, game: Any) -> str:
        """Restores the copy; unless that was done often enough, halves the learning rates.

        Returns:
            What was done, in words. `count` is above `most` where training is to stop.
        """
        self._snapshot.restore(game)
        self.count += 1
        where = "its start" if self.epoch is None else f"epoch {self.epoch}"
        if self.count > self.most:
            return f"back to {where}; training stops after {self.most} rollbacks"
        for side, rate in rates_of(game).items():
            optimizer_of(game, side).learning_rate = rate * self.factor
        self._snapshot = Snapshot(game)  # a second rollback halves again
        rates = ", ".join(f"{side} {rate:.3g}" for side, rate in rates_of(game).items())
        return f"back to {where}, learning rates {rates}"


def optimizer_of(game: Any, side: str) -> Any:
    """The optimizer of `"generator"` or `"discriminator"`."""
    return game.generator_optimizer if side == "generator" else game.optimizer


def rates_of(game: Any) -> dict[str, float]:
    """Side -> its current learning rate."""
    return {side: float(optimizer_of(game, side).learning_rate) for side in SIDES}


def scheduled(game: Any) -> list[str]:
    """The sides whose learning rate follows a schedule, and so cannot be set."""

    def settable(optimizer: Any) -> bool:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        return isinstance(getattr(inner, "_learning_rate", None), keras.Variable)

    return [side for side in SIDES if not settable(optimizer_of(game, side))]


def state_of(game: Any) -> list[Any]:
    """Every variable that training changes, once each, without metrics."""
    held = (game.variables, *(optimizer_of(game, side).variables for side in SIDES))
    metrics = {id(v) for v in game.metrics_variables}
    return list({id(v): v for part in held for v in part if id(v) not in metrics}.values())


def finite_weights(game: Any) -> bool:
    """Whether no weight of the networks is NaN or infinite."""
    floats = [v for v in game.weights if keras.backend.is_float_dtype(v.dtype)]
    return all(bool(keras.ops.all(keras.ops.isfinite(v))) for v in floats)
