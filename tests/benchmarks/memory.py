"""What a long benchmark has measured so far, in a file, so that it can go on after a stop."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np


class Memory:
    """Plain values by key, written after each.

    Args:
        path: A JSON file, made where there is none; None keeps nothing.
    """

    def __init__(self, path: pathlib.Path | None) -> None:
        self.path = path
        self.known: dict[str, Any] = {}
        if path is not None and path.exists():
            self.known = json.loads(path.read_text())

    def get(self, make: Callable[[], Any], *key: Any) -> Any:
        """The value of a key: known, or made now."""
        name = json.dumps(key)
        if name not in self.known:
            self.known[name] = make()
            if self.path is not None:
                self.path.write_text(json.dumps(self.known))
        return self.known[name]


class Averaged:
    """Values of the same users over several seeds, for `tfadvrec.evaluation.compare`."""

    def __init__(self, seeds: list[dict[str, list[float]]]) -> None:
        self.seeds, self.users = seeds, np.arange(len(next(iter(seeds[0].values()))))

    def values(self, metric: str) -> np.ndarray:
        """Each user's mean over the seeds."""
        return np.mean([seed[metric] for seed in self.seeds], axis=0)


def mean_and_sd(seeds: list[dict[str, list[float]]], metric: str) -> dict[str, float]:
    """Mean and standard deviation over seeds of the mean over users."""
    means = [float(np.mean(seed[metric])) for seed in seeds]
    sd = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    return {"mean": float(np.mean(means)), "sd": sd}
