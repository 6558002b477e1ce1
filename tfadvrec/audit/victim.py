"""One model under attack: what was tried on it and what each attempt did to every user."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfadvrec.adversary import FastGradient, ProjectedGradient, RandomNoise, served_tables
from tfadvrec.audit.attack_names import NOISE, PLAIN, SINGLE, WORST
from tfadvrec.audit.attacker import Attacker, Deltas
from tfadvrec.audit.evidence import Evidence
from tfadvrec.evaluation import RankingTask


class Victim:
    """A model, its clean ranking, and the runs of attacks on it.

    Args:
        role: `"model"` or `"twin"`.
        model: The recommender.
        task: The prepared split.
        evidence: Where per-user values go, under `(role, attack, size, metric)`.
        k: Cuts; the smallest one is the cut of lists and hits.
        steps: Steps of the iterative attacks.
        draws: Draws of the noise control.
        seed: Seed of noise.

    Attributes:
        attacker: Set by `prepare`, or `None` where the model has no tables to attack.
        reason: Why not, in words.
        losses: `(attack, size) -> ` summed loss before each step.
        deltas: The same keys -> the perturbation, for the runs that ask to keep it.
    """

    def __init__(
        self,
        role: str,
        model: Any,
        task: RankingTask,
        evidence: Evidence,
        *,
        k: tuple[int, ...],
        steps: int = 20,
        draws: int = 5,
        seed: int = 0,
    ):
        self.role, self.model, self.task, self.evidence = role, model, task, evidence
        self.k, self.steps, self.draws, self.seed = k, steps, draws, seed
        self.attacker: Attacker | None = None
        self.reason = ""
        self.losses: dict[tuple[str, Any], list[float]] = {}
        self.deltas: dict[tuple[str, Any], Deltas] = {}
        self.clean = task.evaluate(model, k=k, keep_lists=k[0])
        for metric in self.metrics:
            evidence.add((role, "clean", 0.0, metric), self.clean.per_user[metric])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every run is measured by; the first one leads."""
        return tuple(f"{name}@{cut}" for cut in self.k for name in ("ndcg", "hr"))

    @property
    def lead(self) -> str:
        """The metric of headline, checks and figures."""
        return self.metrics[0]

    def prepare(self, batches: Any, loss: Any) -> None:
        """Compiles the attack, or notes why there is nothing to attack."""
        try:
            tables = served_tables(self.model)
        except (ValueError, AttributeError):
            self.reason = (
                f"{type(self.model).__name__} has no trainable embedding tables, so there are no "
                "vectors to perturb"
            )
            return
        self.attacker = Attacker(self.model, batches, loss, variables=tables)

    def epsilon(self, relative: float) -> float:
        """Absolute size of a relative one: multiples of the mean row length of the tables."""
        return float(relative * self.attacker.norms["all"])

    def key(self, attack: str, size: Any, metric: str | None = None) -> tuple[Any, ...]:
        """Key of a column of the evidence."""
        if attack == "clean":
            size = 0.0
        return (self.role, attack, size, metric or self.lead)

    def run(self, attack: str, relative: float, *, size: Any = None, keep: bool = False) -> None:
        """Runs one attack of `ATTACKS` and measures every user under it."""
        size = relative if size is None else size
        epsilon = self.epsilon(relative)
        if attack == NOISE:
            seeds = [1000 * self.seed + draw for draw in range(self.draws)]
            self._measure_noise(size, [self._delta(RandomNoise(epsilon), seed) for seed in seeds])
            return
        scale = 1.0 if attack == PLAIN else self.attacker.scale
        step = FastGradient(epsilon) if attack == SINGLE else self.iterative(epsilon)
        deltas, losses = self.attacker.attack(step, seed=self.seed, scale=scale)
        self.losses[attack, size] = losses
        if keep:
            self.deltas[attack, size] = deltas
        self.measure(attack, size, deltas)

    def iterative(self, epsilon: float, *, steps: int | None = None) -> ProjectedGradient:
        """The iterative attack of the report's number of steps (or another one)."""
        steps = steps or self.steps
        return ProjectedGradient(epsilon, steps=steps, step_size=2.5 * epsilon / steps or None)

    def measure(self, attack: str, size: Any, deltas: Deltas) -> None:
        """Ranks under a perturbation and stores what it did to every user."""
        for metric, values in self._ranked(deltas).items():
            self.evidence.add((self.role, attack, size, metric), values)

    def worst(self, size: Any, attacks: tuple[str, ...]) -> None:
        """Stores each user's worst value over several runs of one size, metric by metric."""
        columns = self.evidence.columns
        for metric in self.metrics:
            runs = [columns[self.role, attack, size, metric] for attack in attacks]
            noisiest = columns.get((self.role, "noisiest draw", size, metric))
            runs += [] if noisiest is None else [noisiest]
            self.evidence.add((self.role, WORST, size, metric), np.min(runs, axis=0))

    def _delta(self, perturbation: Any, seed: int) -> Deltas:
        return self.attacker.attack(perturbation, seed=seed)[0]

    def _measure_noise(self, size: Any, drawn: list[Deltas]) -> None:
        runs = [self._ranked(deltas) for deltas in drawn]
        for metric in runs[0]:
            values = np.stack([run[metric] for run in runs])
            self.evidence.add((self.role, NOISE, size, metric), values.mean(axis=0))
            self.evidence.add((self.role, "noisiest draw", size, metric), values.min(axis=0))

    def _ranked(self, deltas: Deltas) -> dict[str, np.ndarray]:
        with self.attacker.moved(deltas) as model:
            result = self.task.evaluate(
                model, k=self.k, metrics=("ndcg", "hr"), keep_lists=self.k[0]
            )
        values = {metric: result.per_user[metric] for metric in self.metrics}
        hit = self.clean.per_user[f"hr@{self.k[0]}"] > 0
        gone = 1.0 - values[f"hr@{self.k[0]}"]
        values["lost hit"] = np.where(hit, gone, np.nan)
        values["overlap"] = jaccard(self.clean.lists, result.lists)
        return values


def jaccard(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Share of common items of each pair of lists, `(users, k)` with -1 as padding.

    Example:

    >>> jaccard(np.array([[1, 2, 3]]), np.array([[3, 4, -1]])).tolist()
    [0.25]
    """
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] >= 0)
    common = same.sum(axis=(1, 2))
    union = (a >= 0).sum(axis=1) + (b >= 0).sum(axis=1) - common
    return np.where(union > 0, common / np.maximum(union, 1), 1.0)


def for_each(victims: list[Victim], work: Callable[[Victim], None]) -> None:
    """Does the same work on every victim, at the same time (each has its own variables)."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=max(len(victims), 1)) as pool:
        for done in [pool.submit(work, victim) for victim in victims]:
            done.result()
