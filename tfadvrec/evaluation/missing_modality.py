"""How a ranking holds while more and more items lack one of their modalities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.evaluation.ranking_task import RankingTask

RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


def missing_modality_curve(
    model: Any,
    task: RankingTask,
    modality: str,
    *,
    rates: Sequence[float] = RATES,
    imputations: Sequence[str] = ("zero", "mean"),
    without: Any = None,
    seeds: Sequence[int] = (0,),
    metric: str = "ndcg",
    k: int = 10,
    threads: int | None = None,
) -> list[dict[str, Any]]:
    """Ranks with a modality taken from a growing share of the items.

    A seed orders the items; a rate takes the modality from the first of them, so
    that with one seed every item that lacks it at a rate lacks it at all higher ones.

    Args:
        model: A model with `hidden(modality, items, impute=...)`, such as `Multimodal`.
        task: What is ranked for whom.
        modality: Its name.
        rates: Shares of the items, from 0 to 1.
        imputations: What stands in for the modality: `"zero"`, nothing; `"mean"`, the mean of the
            items that have it.
        without: A model that was trained without the modality, or None; it is the same at all
            rates.
        seeds: Each orders the items anew; rates between 0 and 1 are ranked once a seed.
        metric: A metric of `RankingTask.evaluate`.
        k: The cut.
        threads: As there.

    Returns:
        One row a rate and imputation: `{"modality", "rate", "imputation", "value", "sd", "kept"}`,
        the mean and spread over seeds, and the share of the model's own value at rate 0; the
        imputation of the model without is `"model without"`.

    Raises:
        ValueError: A rate is not from 0 to 1.

    Example:

    >>> import tfadvrec as tar
    >>> from tfadvrec.models import Multimodal
    >>> log = tar.data.synthetic(n_users=30, n_items=20, n_interactions=300, seed=0)
    >>> split = tar.data.leave_last_out(log, validation=False)
    >>> model = Multimodal.for_log(split.train, dimension=4, seed=0)
    >>> task = RankingTask(split.train, split.test)
    >>> name = model.modalities[0].name
    >>> rows = missing_modality_curve(model, task, name, rates=[0, 1], imputations=["zero"])
    >>> [(row["rate"], row["imputation"]) for row in rows]
    [(0.0, 'zero'), (1.0, 'zero')]
    """
    if not all(0 <= rate <= 1 for rate in rates) or not seeds:
        raise ValueError(f"rates are shares from 0 to 1 and seeds some, got {rates!r}, {seeds!r}.")

    def value(one: Any) -> float:
        means = task.evaluate(one, k=k, metrics=[metric], threads=threads).means
        return float(next(iter(means.values())))

    clean, rows = value(model), []

    def row(rate: float, imputation: str, values: Sequence[float]) -> dict[str, Any]:
        mean = float(np.mean(values))
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return {
            "modality": modality,
            "rate": float(rate),
            "imputation": imputation,
            "value": mean,
            "sd": sd,
            "kept": mean / clean if clean else float("nan"),
        }

    for imputation in imputations:
        for rate in rates:
            values = [clean]
            if rate:
                values = []
                for seed in seeds[:1] if rate == 1 else seeds:
                    with model.hidden(modality, missing(model, rate, seed), impute=imputation):
                        values.append(value(model))
            rows.append(row(rate, imputation, values))
    if without is not None:
        alone = value(without)
        rows += [row(rate, "model without", [alone]) for rate in rates]
    return rows


def missing(model: Any, rate: float, seed: int) -> np.ndarray:
    """The items that lack a modality at a rate: the first of the seed's order."""
    order = np.random.default_rng(seed).permutation(model.n_items)
    return order[: round(rate * model.n_items)]
