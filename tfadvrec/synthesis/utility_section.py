"""Train on synthetic data, test on real people: does the synthetic log teach how to rank?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.evaluation.bootstrap import bootstrap_means, percentiles
from tfadvrec.evaluation.ranking_task import RankingTask
from tfadvrec.models import EASE, ItemKNN, MostPopular, Recommender
from tfadvrec.synthesis.independent import independent_columns

Builder = Callable[[Interactions], Recommender]
"""A log -> a fitted model that ranks a user from what the user took."""

LEAD = "ndcg@10"
GRIDS: dict[str, tuple[dict[str, Any], ...]] = {
    "EASE": tuple({"regularization": value} for value in (30.0, 100.0, 300.0, 1000.0)),
    "ItemKNN": tuple({"neighbours": n, "shrink": s} for s in (20.0, 100.0, 0.0) for n in (50, 200)),
}
_CLASSES = {"EASE": EASE, "ItemKNN": ItemKNN}


def utility(
    train: Interactions,
    synthetic: Interactions,
    test: Interactions,
    *,
    validation: Interactions | None = None,
    models: Sequence[str] | Mapping[str, Builder] = ("EASE",),
    k: Sequence[int] = (10, 20),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Ranks real test users with models that learnt from the synthetic log.

    A model learns from a log, then gets the real users' training histories and ranks the
    catalogue for them. It learns from the synthetic log, from the real one, and from one with
    independent columns of as many interactions as the synthetic one; popularity in the real log
    stands beside. Settings of each come from the validation part with equal candidates.

    Args:
        train: Real training histories.
        synthetic: The synthetic log, of other users and the same items.
        test: Real held-out interactions.
        validation: Real interactions that settings are chosen on, masked in the test; without it
            every model has its second candidate (a usual setting).
        models: Names out of `EASE` and `ItemKNN`, or name -> function of a log that gives a
            fitted `Recommender` without weights of users.
        k: Cuts.
        resamples: Resamples of the bootstrap over users.
        seed: Seed of resampling and of the reference sampler.

    Returns:
        A JSON-able record: `models` (name -> `rows`, `ratio` of synthetic to real and of
        independent columns to real, each with an interval), `popularity`, `counts`, `mask`.

    Raises:
        ValueError: A model has weights of users, so it cannot rank people it has not met.
    """
    free = independent_columns(train, min(len(synthetic), len(train)), seed=seed)
    learnt = {"real": train, "synthetic": synthetic, "independent columns": free}
    seen = () if validation is None else (validation,)
    task = RankingTask(train, test, seen=seen)
    tuning = None if validation is None else RankingTask(train, validation)
    say = {"resamples": resamples, "seed": seed}
    popular = MostPopular(n_users=train.n_users, n_items=train.n_items).fit(train)
    popularity = task.evaluate(popular, k=k, metrics=("ndcg", "recall", "hr"))
    record: dict[str, Any] = {
        "status": "RUN",
        "lead": LEAD,
        "k": list(k),
        "counts": dict(task.counts),
        "mask": task.mask,
        "policy": popularity.policy,
        "tuned": tuning is not None,
        "popularity": _row(popularity, **say),
        "models": {},
    }
    for name, builders in _builders(models).items():
        rows, values = {}, {}
        for label, log in learnt.items():
            setting, model = _chosen(builders, log, train, tuning)
            result = task.evaluate(model, k=k, metrics=("ndcg", "recall", "hr"))
            values[label] = result.values(LEAD)
            rows[label] = {**_row(result, **say), "setting": setting, "interactions": len(log)}
        record["models"][name] = {
            "rows": rows,
            "ratio": _ratio(values["synthetic"], values["real"], **say),
            "ratio of independent columns": _ratio(
                values["independent columns"], values["real"], **say
            ),
        }
    return record


def for_real_users(model: Recommender, real: Interactions) -> Recommender:
    """The same model for other users: its weights of items, and their histories.

    Args:
        model: A fitted model that ranks from history.
        real: The log whose users are to be ranked for.

    Returns:
        A model of the same class that is bound to `real`.

    Raises:
        ValueError: If the model has weights of users, or other items.
    """
    if model.n_items != real.n_items:
        raise ValueError(
            f"{type(model).__name__} knows {model.n_items} items and {real.name!r} has "
            f"{real.n_items}: the synthetic log must have the real one's item vocabulary."
        )
    fresh = type(model).from_config({**model.get_config(), "n_users": real.n_users})
    of_users = [path for path, (side, _) in model.row_weights().items() if side == "user"]
    shapes = [tuple(tuple(w.shape) for w in m.weights) for m in (model, fresh)]
    if of_users or shapes[0] != shapes[1]:
        raise ValueError(
            f"{type(model).__name__} has weights of users ({', '.join(of_users) or 'by shape'}), "
            "and no synthetic user is in the test. Use a model that ranks from history, such as "
            "EASE or ItemKNN."
        )
    fresh.set_weights(model.get_weights())
    return fresh.bind(real)


def _builders(
    models: Sequence[str] | Mapping[str, Builder],
) -> dict[str, list[tuple[dict[str, Any], Builder]]]:
    """Name -> candidates, each a setting and what fits it."""
    if isinstance(models, Mapping):
        return {name: [({}, build)] for name, build in models.items()}
    unknown = [name for name in models if name not in _CLASSES]
    if unknown:
        raise ValueError(
            f"models: expected {', '.join(_CLASSES)} or name -> function of a log, got {unknown}."
        )

    def of(name: str, setting: dict[str, Any]) -> Builder:
        return lambda log: _CLASSES[name](n_users=log.n_users, n_items=log.n_items, **setting).fit(
            log
        )

    return {name: [(setting, of(name, setting)) for setting in GRIDS[name]] for name in models}


def _chosen(
    candidates: list[tuple[dict[str, Any], Builder]],
    log: Interactions,
    train: Interactions,
    tuning: RankingTask | None,
) -> tuple[dict[str, Any], Recommender]:
    """The candidate that ranks the validation items best; without them the second."""
    if len(candidates) == 1 or tuning is None:
        setting, build = candidates[min(1, len(candidates) - 1)]
        return setting, for_real_users(build(log), train)
    best: tuple[float, dict[str, Any], Recommender] | None = None
    for setting, build in candidates:
        model = for_real_users(build(log), train)
        value = tuning.evaluate(model, k=10, metrics=("ndcg",)).means[LEAD]
        if best is None or value > best[0]:
            best = (value, setting, model)
    return best[1], best[2]


def _row(result: Any, *, resamples: int, seed: int) -> dict[str, Any]:
    """Means with intervals over users."""
    row = {}
    for name, value in result.means.items():
        low, high = result.interval(name, resamples=resamples, seed=seed)
        row[name] = {"value": value, "low": low, "high": high}
    return {"metrics": row}


def _ratio(a: np.ndarray, b: np.ndarray, *, resamples: int, seed: int) -> dict[str, float | None]:
    """Mean of `a` over mean of `b`, the same users resampled in both."""
    if not b.mean() > 0:
        return {"value": None, "low": None, "high": None}
    drawn = bootstrap_means(np.stack([a, b], axis=1), resamples=resamples, seed=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = percentiles(drawn[:, 0] / drawn[:, 1])
    return {"value": float(a.mean() / b.mean()), "low": low, "high": high}
