"""The augmentation ablation: none, random, popularity and game rows, all else equal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.data import Interactions, Split
from tfadvrec.evaluation.bootstrap import mean_interval
from tfadvrec.evaluation.ranking_task import RankingTask
from tfadvrec.evaluation.significance import over_seeds, sign_flip
from tfadvrec.synthesis.ablation_result import AblationResult
from tfadvrec.synthesis.groups import POLICY, cold_users, tail_items
from tfadvrec.synthesis.mixing import joined, mix
from tfadvrec.synthesis.sampled_rows import ease_rows, game_rows, popularity_rows, random_rows

LEAD = "ndcg@10"
SEEDS_FOR_A_CLAIM = 5
SAMPLERS: dict[str, Callable[..., Interactions]] = {
    "random": random_rows,
    "popularity": popularity_rows,
    "ease": ease_rows,
}


def augmentation_ablation(
    split: Split,
    *,
    build: Callable[..., Any],
    arms: Sequence[str] = ("none", "random", "popularity", "game"),
    game: Callable[[Interactions, int], Any] | None = None,
    samplers: Mapping[str, Callable[..., Interactions]] | None = None,
    ratio: float = 0.3,
    to: str = "all",
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 2000,
    grid: Sequence[Mapping[str, Any]] = ({},),
    resamples: int = 1000,
) -> AblationResult:
    """Trains the same model on the log as it is and with rows of each arm added.

    All arms get the same number of added rows, the same number of training steps and the same
    candidates of settings. Of each arm the setting is chosen on the validation part (first seed);
    then samplers and model learn from train and validation together and the test part is read
    once for each seed.

    Args:
        split: Train, validation (None: the first setting is taken) and test.
        build: `(log, *, seed, steps, **setting)` -> a fitted model with `score_catalogue`; see
            `synthesis.linear` and `synthesis.factors`.
        arms: Of `none`, `random`, `popularity`, `ease`, `game`, and the names of `samplers`.
        game: `(log, seed)` -> a trained generator, as `game_rows` takes it; called once for each
            log and seed. It never sees validation rows before they are training rows, nor test.
        samplers: More arms: name -> sampler with the arguments of `random_rows`.
        ratio: Added rows as a share of the real ones.
        to: Who or what gets rows, as in `mix`.
        seeds: Training seeds; a benefit is claimed from five on.
        steps: Training steps of every model.
        grid: Settings for `build`.
        resamples: Resamples of the bootstrap over users.

    Returns:
        A table with slices, paired differences and what may be claimed.

    Raises:
        ValueError: When an arm is unknown, or `game` is missing.
    """
    made = _Arms(arms, game, samplers, ratio, to)
    full = split.train if split.validation is None else joined(split.train, split.validation)
    chosen = {arm: _chosen(split, made, arm, build, grid, seeds[0], steps) for arm in arms}
    tasks = _tasks(full, split.test)
    results: dict[str, dict[str, list[Any]]] = {arm: {} for arm in arms}
    for arm in arms:
        for seed in seeds:
            log = made.mixed(arm, full, seed)
            model = build(log, seed=seed, steps=steps, **chosen[arm]["setting"])
            for name, task in tasks.items():
                found = task.evaluate(model, k=(10,), metrics=("ndcg", "recall", "hr"))
                results[arm].setdefault(name, []).append(found)
    _add_cold(results, full)
    return AblationResult(
        {
            "kind": "tfadvrec augmentation ablation",
            "data": {"name": full.name, "rows": len(full), "users": full.n_users},
            "added rows": round(ratio * len(full)),
            "ratio": ratio,
            "to": to,
            "seeds": list(seeds),
            "steps": steps,
            "lead": LEAD,
            "grid": [dict(setting) for setting in grid],
            "chosen": chosen,
            "counts": {name: dict(task.counts) for name, task in tasks.items()},
            "slices": {name: _slice(results, name, resamples) for name in results[arms[0]]},
            "policy": POLICY,
            "claim": _claim(results, resamples),
        }
    )


class _Arms:
    """Which rows each arm adds to a log; generators are trained once for each log and seed."""

    def __init__(
        self,
        arms: Sequence[str],
        game: Callable[[Interactions, int], Any] | None,
        samplers: Mapping[str, Callable[..., Interactions]] | None,
        ratio: float,
        to: str,
    ) -> None:
        self._samplers = {**SAMPLERS, **(samplers or {})}
        unknown = [arm for arm in arms if arm not in (*self._samplers, "none", "game")]
        if unknown or "none" not in arms:
            raise ValueError(
                f"arms: expected 'none' and any of {', '.join((*self._samplers, 'game'))}, got "
                f"{list(arms)}."
            )
        if "game" in arms and game is None:
            raise ValueError(
                "the arm 'game' needs game=(log, seed) -> trained generator; leave it out of "
                "`arms`, or pass one (AugmentationGame.for_log, compiled and fitted)."
            )
        self._game, self._ratio, self._to = game, ratio, to

    def mixed(self, arm: str, log: Interactions, seed: int) -> Interactions:
        """The log with the arm's rows."""
        if arm == "none":
            return log
        sampler = game_rows(self._game(log, seed)) if arm == "game" else self._samplers[arm]
        rows = sampler(log, round(self._ratio * len(log)), to=self._to, seed=seed)
        return mix(log, rows, ratio=self._ratio, to=self._to, seed=seed)


def _chosen(
    split: Split,
    made: _Arms,
    arm: str,
    build: Callable[..., Any],
    grid: Sequence[Mapping[str, Any]],
    seed: int,
    steps: int,
) -> dict[str, Any]:
    """The arm's best setting on validation, and what every candidate reached."""
    if split.validation is None or len(grid) == 1:
        return {"setting": dict(grid[0]), "tried": []}
    log = made.mixed(arm, split.train, seed)
    task, tried = RankingTask(split.train, split.validation), []
    for setting in grid:
        model = build(log, seed=seed, steps=steps, **setting)
        value = task.evaluate(model, k=10, metrics=("ndcg",)).means[LEAD]
        tried.append({"setting": dict(setting), LEAD: value})
    return {"setting": max(tried, key=lambda one: one[LEAD])["setting"], "tried": tried}


def _tasks(full: Interactions, test: Interactions) -> dict[str, RankingTask]:
    """Everybody's held-out items, and those of them that are in the tail."""
    tasks = {"all": RankingTask(full, test)}
    rare = test.take(tail_items(full)[test.item])
    if len(rare):
        tasks["tail items"] = RankingTask(full, rare)
    return tasks


def _add_cold(results: dict[str, dict[str, list[Any]]], full: Interactions) -> None:
    cold = np.flatnonzero(cold_users(full))
    for arm in results:
        kept = [result.restrict(cold) for result in results[arm]["all"]]
        if len(kept[0].users):
            results[arm]["cold users"] = kept


def _slice(results: dict[str, Any], name: str, resamples: int) -> dict[str, Any]:
    """Each arm's mean and spread, and its paired differences to the others that matter."""
    rows = {}
    for arm, found in results.items():
        values = _mean_values(found[name])
        low, high = mean_interval(values, resamples=resamples)
        spread = over_seeds([{LEAD: result.means[LEAD]} for result in found[name]])[LEAD]
        rows[arm] = {
            "mean": float(values.mean()),
            "low": low,
            "high": high,
            "sd over seeds": spread["sd"],
            "values": spread["values"],
            "users": len(values),
        }
    pairs = [(arm, "none") for arm in results if arm != "none"]
    if {"game", "popularity"} <= results.keys():
        pairs.append(("game", "popularity"))
    return {
        "arms": rows,
        "differences": {
            f"{a} - {b}": paired(results[a][name], results[b][name], resamples) for a, b in pairs
        },
    }


def paired(a: Sequence[Any], b: Sequence[Any], resamples: int = 1000) -> dict[str, Any]:
    """The difference of two arms: over users (paired bootstrap) and over seeds (Student).

    Args:
        a: `RankingResult`s of one arm, a seed each.
        b: Those of the other, of the same users and seeds.
        resamples: Resamples of the bootstrap.

    Returns:
        The mean `difference`, its interval over `users` (each user's difference is the mean over
        the seeds), its interval over `seeds` (None of one seed), a sign-flip `p`, and `excludes
        zero`: whether both intervals do.
    """
    gap = _mean_values(a) - _mean_values(b)
    low, high = mean_interval(gap, resamples=resamples)
    each = [{LEAD: x.means[LEAD] - y.means[LEAD]} for x, y in zip(a, b, strict=True)]
    seeds = over_seeds(each)[LEAD]
    ends = [(low, high)] if seeds["low"] is None else [(low, high), (seeds["low"], seeds["high"])]
    return {
        "difference": float(gap.mean()),
        "over users": [low, high],
        "over seeds": None if seeds["low"] is None else [seeds["low"], seeds["high"]],
        "p": sign_flip(gap),
        "excludes zero": all(end[0] > 0 for end in ends) or all(end[1] < 0 for end in ends),
        "seeds": len(each),
    }


def _mean_values(results: Sequence[Any]) -> np.ndarray:
    return np.mean([result.values(LEAD) for result in results], axis=0)


def _claim(results: dict[str, Any], resamples: int) -> dict[str, Any]:
    """What may be said about the game, and about adding rows at all."""
    found = {
        arm: paired(results[arm]["all"], results["none"]["all"], resamples)
        for arm in results
        if arm != "none"
    }
    helped = [a for a, gap in found.items() if gap["excludes zero"] and gap["difference"] > 0]
    claim: dict[str, Any] = {"better than none": helped, "game": None}
    if not {"game", "popularity"} <= results.keys():
        return claim
    gap = paired(results["game"]["all"], results["popularity"]["all"], resamples)
    fine = gap["excludes zero"] and gap["difference"] > 0 and "game" in helped
    claim["game"] = bool(fine and gap["seeds"] >= SEEDS_FOR_A_CLAIM)
    claim["why"] = (
        f"game - popularity is {gap['difference']:+.4f} over {gap['seeds']} seeds; a benefit of "
        f"the game is claimed only where the intervals of that and of game - none lie above zero "
        f"and there are {SEEDS_FOR_A_CLAIM} seeds."
    )
    return claim
