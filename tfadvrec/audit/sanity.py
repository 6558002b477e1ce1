"""The sanity box: is the attack good enough for its failure to mean anything (EVALUATION 2.4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.adversary import ProjectedGradient, RandomNoise
from tfadvrec.audit.attack_names import (
    EVERYWHERE,
    ITERATIVE,
    NOISE,
    PLAIN,
    SINGLE,
    WORST,
    sizes_of,
)
from tfadvrec.audit.checks import FAIL, PASS, Check, check, spoken
from tfadvrec.audit.embedding import half_label
from tfadvrec.audit.evidence import Evidence
from tfadvrec.audit.sanity_model import model_checks
from tfadvrec.audit.spsa import spsa
from tfadvrec.audit.victim import Victim
from tfadvrec.evaluation import Random

LONGER, RESTART, BLACK_BOX, TRANSFER = "twice the steps", "random start", "SPSA", "transfer"


class RandomStart(ProjectedGradient):
    """The iterative attack from a random point on the sphere, for restarts."""

    def start(self, rows: Any, seed: Any) -> Any:
        return RandomNoise(self.epsilon).start(rows, seed)


class Sanity:
    """Runs the control attacks on the model and turns everything into verdicts.

    Args:
        model: The victim under report.
        twin: Its undefended twin, or `None`.
        epsilons: The relative sizes that were run.
        size: The relative size of the control attacks.
        trained_against: Names of the perturbations that the model was trained with, or `None`
            where that is not known.
        seed: Seed of the controls.
    """

    def __init__(
        self,
        model: Victim,
        twin: Victim | None,
        *,
        epsilons: Sequence[float],
        size: float,
        trained_against: Sequence[str] | None,
        seed: int = 0,
    ):
        self.model, self.twin, self.epsilons, self.size = model, twin, list(epsilons), size
        self.trained_against, self.seed = trained_against, seed
        self.evidence: Evidence = model.evidence
        self.label = half_label(ITERATIVE)
        self.queries = 0
        self.losses: dict[str, list[float]] = {}

    def run_controls(self) -> None:
        """The extra attacks at one size: more steps, a restart, without gradients, transfer."""
        model, size = self.model, self.size
        epsilon, attacker = model.epsilon(size), model.attacker
        if (ITERATIVE, self.label) not in model.deltas:
            model.run(ITERATIVE, size, size=self.label, keep=True)
        longer = model.iterative(epsilon, steps=2 * model.steps)
        restart = RandomStart(epsilon, steps=model.steps, step_size=2.5 * epsilon / model.steps)
        self.losses["as reported"] = model.losses[ITERATIVE, self.label]
        for name, perturbation in ((LONGER, longer), (RESTART, restart)):
            deltas, self.losses[name] = attacker.attack(
                perturbation, seed=self.seed, scale=attacker.scale
            )
            model.measure(name, self.label, deltas)
        deltas, self.queries = spsa(attacker, epsilon, seed=self.seed)
        model.measure(BLACK_BOX, self.label, deltas)
        if self.twin is not None and self.twin.attacker is not None:
            self._transfer()

    def _transfer(self) -> None:
        shapes = [[c.shape for c in victim.attacker.clean] for victim in (self.model, self.twin)]
        if shapes[0] != shapes[1]:
            return
        if (ITERATIVE, self.label) not in self.twin.deltas:
            self.twin.run(ITERATIVE, self.size, size=self.label, keep=True)
        factor = self.model.epsilon(1.0) / max(self.twin.epsilon(1.0), 1e-12)
        found = self.twin.deltas[ITERATIVE, self.label].values()
        paths = [variable.path for variable in self.model.attacker.variables]
        moved = {path: np.float32(factor) * d for path, d in zip(paths, found, strict=True)}
        self.model.measure(TRANSFER, self.label, moved)

    def checks(self) -> list[Check]:
        """All lines of the box, in the order of the reference."""
        first = model_checks(self.model)
        if self.model.attacker is None:
            names = (*_NAMES, "Gradient masking")
            return first + [check(name, None, self.model.reason) for name in names]
        lines = [
            self._works_on_twin(),
            self._iterative(),
            self._converged(),
            self._larger(),
            self._noise(),
            self._against(_NAMES[5], BLACK_BOX, f"{self.queries} loss values; a weak attack"),
            self._transferred(),
            self._unseen(),
            self._worst(),
            self._loss(),
        ]
        return [*first, *lines, self._masking(first[0], lines)]

    def _gap(self, a: str, b: str, size: Any, victim: Victim | None = None) -> dict[str, Any]:
        victim = victim or self.model
        return self.evidence.difference(victim.key(a, size), victim.key(b, size))

    def _works_on_twin(self) -> Check:
        if self.twin is None or self.twin.attacker is None:
            reason = "no twin was given" if self.twin is None else self.twin.reason
            return check(_NAMES[0], None, reason)
        gaps = {size: self._gap(NOISE, ITERATIVE, size, self.twin) for size in self.epsilons}
        works = [size for size, gap in gaps.items() if gap["low"] > 0]
        size = max(gaps, key=lambda size: gaps[size]["low"])
        detail = (
            f"on the twin the attack costs more {self.twin.lead} than noise of the same size, "
            f"interval above zero, at {len(works)} of {len(gaps)} sizes; clearest at {size:g}: "
            f"{spoken(gaps[size])}"
        )
        return check(_NAMES[0], bool(works), detail)

    def _iterative(self) -> Check:
        gaps = {size: self._gap(SINGLE, ITERATIVE, size) for size in self.epsilons}
        return self._at_every_size(
            _NAMES[1], gaps, "value after the single step minus value after the iterative attack"
        )

    def _noise(self) -> Check:
        gaps = {size: self._gap(NOISE, ITERATIVE, size) for size in self.epsilons}
        text = f"value under noise ({self.model.draws} draws of all tables) minus under the attack"
        return self._at_every_size(_NAMES[4], gaps, text)

    def _floor(self) -> tuple[Any, ...]:
        """Key of the column of a random ranking."""
        model = self.model
        key = ("random", "clean", 0.0, model.lead)
        if key not in self.evidence.columns:
            random = Random(n_users=model.task.train.n_users, n_items=model.task.train.n_items)
            found = model.task.evaluate(random, k=model.k, metrics=("ndcg", "hr"))
            self.evidence.add(key, found.per_user[model.lead])
        return key

    def _at_every_size(self, name: str, gaps: dict[float, dict], text: str) -> Check:
        """PASS unless some interval lies below zero: there the supposedly weaker one won.

        Where the attack leaves no more than a random ranking, it has nothing left to take, and
        what is weaker or stronger there is chance.
        """
        keys = {size: self.model.key(ITERATIVE, size) for size in gaps}
        above = {n: self.evidence.difference(key, self._floor())["low"] for n, key in keys.items()}
        lost = [size for size, gap in gaps.items() if gap["high"] < 0 < above[size]]
        least = min(gaps, key=lambda size: gaps[size]["value"])
        detail = f"{text}, smallest at size {least:g}: {spoken(gaps[least])}"
        if lost:
            detail += f"; clearly negative at {', '.join(f'{size:g}' for size in lost)}"
        done = [f"{size:g}" for size, low in above.items() if low <= 0]
        if done:
            detail += f"; not judged where the ranking is already random: {', '.join(done)}"
        return check(name, not lost, detail)

    def _converged(self) -> Check:
        gaps = {name: self._gap(ITERATIVE, name, self.label) for name in (LONGER, RESTART)}
        moved = [name for name, gap in gaps.items() if gap["low"] > 0]
        parts = [f"{name}: costs {spoken(gap)} more" for name, gap in gaps.items()]
        detail = f"at size {self.size:.3g}, " + "; ".join(parts)
        return check(_NAMES[2], not moved, detail)

    def _larger(self) -> Check:
        model, evidence = self.model, self.evidence
        keys = [model.key("clean", 0.0), *(model.key(ITERATIVE, size) for size in self.epsilons)]
        rises = [
            size
            for before, after, size in zip(keys, keys[1:], self.epsilons, strict=False)
            if evidence.difference(after, before)["low"] > 0
        ]
        last = evidence.difference(keys[-1], self._floor())
        closed = last["low"] <= 0
        detail = (
            f"at the largest size {self.epsilons[-1]:g} the model is {spoken(last)} above a random "
            f"ranking: {'curve closed' if closed else 'curve not closed'}"
        )
        if rises:
            detail += f"; harm clearly shrinks at {', '.join(f'{size:g}' for size in rises)}"
        return check(_NAMES[3], closed and not rises, detail)

    def _against(self, name: str, other: str, remark: str) -> Check:
        gap = self._gap(other, ITERATIVE, self.label)
        detail = (
            f"at size {self.size:.3g} ({remark}): value under it minus under the gradient attack "
            f"{spoken(gap)}"
        )
        return check(name, gap["high"] >= 0, detail)

    def _transferred(self) -> Check:
        if self.model.key(TRANSFER, self.label) not in self.evidence.columns:
            reason = (
                "no twin was given"
                if self.twin is None
                else self.twin.reason or "the twin's tables have other shapes"
            )
            return check(_NAMES[6], None, reason)
        return self._against(_NAMES[6], TRANSFER, "the twin's perturbation, scaled to this model")

    def _unseen(self) -> Check:
        used = {"FastGradient": SINGLE, "ProjectedGradient": ITERATIVE, "RandomNoise": NOISE}
        if self.trained_against is None:
            return check(_NAMES[7], None, "what the model was trained against was not stated")
        unseen = [kind for kind in used if kind not in self.trained_against]
        seen = ", ".join(self.trained_against) or "nothing"
        detail = f"trained against {seen}; not met in training: {', '.join(unseen) or 'none'}"
        return check(_NAMES[7], "ProjectedGradient" in unseen or "FastGradient" in unseen, detail)

    def _worst(self) -> Check:
        size = min(self.epsilons, key=lambda epsilon: abs(epsilon - self.size))
        worst = self.evidence.estimate(self.model.key(WORST, size))
        one = min(self.evidence.mean(self.model.key(name, size)) for name in EVERYWHERE)
        detail = (
            f"mean over users of the minimum over attacks at size {size:g}: {spoken(worst)}; the "
            f"smallest mean of one attack is {one:.4f}; the curve is in the report"
        )
        return check(_NAMES[8], worst["value"] <= one + 1e-12, detail)

    def _loss(self) -> Check:
        sizes = sizes_of(PLAIN, self.epsilons)
        gaps = {size: self._gap(PLAIN, ITERATIVE, size) for size in sizes}
        line = self._at_every_size(
            _NAMES[9], gaps, "value under the same attack on the plain loss minus under the attack"
        )
        weaker = [f"{size:g}" for size, gap in gaps.items() if gap["low"] > 0]
        if not weaker:
            return line
        remark = f"; the plain loss clearly understates harm at {', '.join(weaker)}"
        return Check(line.name, line.verdict, line.detail + remark)

    def _masking(self, gradients: Check, lines: list[Check]) -> Check:
        rivals = [lines[n] for n in (4, 5, 6, 9)]
        beaten = [line.name for line in (gradients, *rivals) if line.verdict == FAIL]
        missing = [line.name for line in rivals if line.verdict not in (PASS, FAIL)]
        if beaten:
            detail = "derived: " + "; ".join(beaten) + " failed"
        else:
            detail = "derived: gradients are usable and no weaker attack beats the gradient attack"
        if missing:
            detail += f" (not run: {', '.join(missing)})"
        return check("Gradient masking", not beaten, detail)


_NAMES = (
    "Attack works on the undefended twin",
    "Iterative at least as strong as single step",
    "Converged",
    "Larger budget hurts more, to the random floor",
    "Random noise of the same norm hurts less",
    "Gradient-free attack is weaker",
    "Transfer from the undefended twin is weaker",
    "An attack absent from training",
    "Worst case per user",
    "No other loss makes a stronger attack",
)
