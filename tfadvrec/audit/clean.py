"""Clean quality of the model, its twin and the baselines, with intervals and paired differences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfadvrec.audit.baselines import default_baselines
from tfadvrec.audit.evidence import Evidence, entry, number
from tfadvrec.audit.victim import Victim
from tfadvrec.evaluation import RankingTask, compare


def clean_quality(
    victims: list[Victim],
    task: RankingTask,
    baselines: Mapping[str, Any] | None,
    train: Any,
    seed: int,
    resamples: int,
    say: Any,
) -> dict[str, Any]:
    """Clean quality of model, twin and baselines, and the model's paired differences to them."""
    own, main = baselines is None, victims[0]
    if own:
        say("fitting the baselines")
    models, remarks = default_baselines(train, seed, given=baselines)
    results = {name: task.evaluate(one, k=main.k) for name, one in models.items()}
    rivals = {victim.role: victim.clean for victim in victims[1:]} | results
    return {
        "clean": {victim.role: _quality(victim.clean, resamples, seed) for victim in victims},
        "baselines": {name: _quality(result, resamples, seed) for name, result in results.items()},
        "baselines_remark": remarks,
        "clean_differences": {
            name: compare(main.clean, result, main.lead, resamples=resamples, seed=seed).to_dict()
            for name, result in rivals.items()
        },
    }


def _quality(result: Any, resamples: int, seed: int) -> dict[str, Any]:
    table = Evidence(resamples=resamples, seed=seed)
    for name, values in result.per_user.items():
        table.add(name, values)
    means = {
        name: table.estimate(name)
        if not np.isnan(table.columns[name]).all()
        else entry(np.nan, np.array([np.nan]))
        for name in table.columns
    }
    overall = {
        name: {"value": number(value), "low": None, "high": None}
        for name, value in result.overall.items()
    }
    return means | overall
