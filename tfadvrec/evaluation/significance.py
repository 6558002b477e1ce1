"""Is the difference more than chance: paired intervals and tests, correction, spread over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.evaluation.bootstrap import mean_interval
from tfadvrec.evaluation.difference import Difference

_BLOCK = 4_000_000


def compare(
    a: Any,
    b: Any,
    metric: str = "ndcg@10",
    *,
    resamples: int = 1000,
    permutations: int = 5000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Paired difference of two results on the same users: `a` minus `b`.

    Args:
        a: A `RankingResult`.
        b: Another, of the same users.
        metric: A metric that both have per user.
        resamples: Resamples of the bootstrap interval.
        permutations: Random sign flips of the randomisation test; its smallest p-value is
            1 / (permutations + 1).
        level: Coverage of the interval.
        seed: Seed of both.

    Returns:
        A `Difference`.

    Raises:
        ValueError: If the results are of different users, or lack the metric.
    """
    if not np.array_equal(a.users, b.users):
        raise ValueError(
            f"the results are of different users ({len(a.users)} and {len(b.users)}, "
            f"{len(np.intersect1d(a.users, b.users))} in common), so they cannot be paired. "
            "Evaluate both models on the same split with the same `users` and `seen`."
        )
    gap = a.values(metric) - b.values(metric)
    gap = gap[~np.isnan(gap)]
    low, high = mean_interval(gap, resamples=resamples, level=level, seed=seed)
    return Difference(
        metric=metric,
        difference=float(gap.mean()),
        low=low,
        high=high,
        p_value=sign_flip(gap, permutations=permutations, seed=seed),
        wilcoxon=_wilcoxon(gap),
        users=len(gap),
        resamples=resamples,
        permutations=permutations,
    )


def sign_flip(gap: np.ndarray, *, permutations: int = 5000, seed: int = 0) -> float:
    """Two-sided p-value of the paired randomisation test on `(users,)` differences.

    Under the hypothesis of no difference each user's sign is a coin flip. The observed outcome
    counts as one of the flips, so the p-value is never zero.

    Example:

    >>> sign_flip(np.zeros(10)), sign_flip(np.ones(30), permutations=999)
    (1.0, 0.001)
    """
    moved = np.abs(gap[gap != 0])
    if not len(moved):
        return 1.0
    rng = np.random.default_rng(seed)
    observed = abs(gap.sum()) - 1e-12 * moved.sum()
    block = max(1, _BLOCK // len(moved))
    extreme = 0
    for start in range(0, permutations, block):
        size = min(block, permutations - start)
        heads = rng.integers(0, 2, (size, len(moved)), dtype=np.int8).astype(bool)
        flipped = 2.0 * (heads @ moved) - moved.sum()
        extreme += int(np.count_nonzero(np.abs(flipped) >= observed))
    return (extreme + 1) / (permutations + 1)


def _wilcoxon(gap: np.ndarray) -> float:
    from scipy import stats

    moved = gap[gap != 0]
    if not len(moved):
        return 1.0
    method = (
        "exact" if len(moved) < 10 and len(np.unique(np.abs(moved))) == len(moved) else "asymptotic"
    )
    return float(stats.wilcoxon(moved, method=method).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction for several tests: adjusted p-values under the same names.

    Example:

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}

    Reference:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    names = sorted(p_values, key=lambda name: p_values[name])
    adjusted, running = {}, 0.0
    for turn, name in enumerate(names):
        running = max(running, min(1.0, (len(names) - turn) * float(p_values[name])))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def over_seeds(results: Sequence[Any], *, level: float = 0.95) -> dict[str, dict[str, Any]]:
    """Mean, spread and interval of each metric over training seeds.

    The interval is Student's, over the seeds' means: it covers other training seeds on the same
    users, and does not replace the bootstrap over users.

    Args:
        results: One `RankingResult` (or mapping name -> mean) for each training seed.
        level: Coverage of the interval.

    Returns:
        Metric name -> `{"mean", "sd", "low", "high", "seeds", "values"}`; with one seed the
        spread is `None`.

    Example:

    >>> row = over_seeds([{"ndcg@10": 0.1}, {"ndcg@10": 0.2}, {"ndcg@10": 0.3}])["ndcg@10"]
    >>> round(row["mean"], 3), round(row["sd"], 3), row["seeds"]
    (0.2, 0.1, 3)
    """
    from scipy import stats

    if not results:
        raise ValueError("over_seeds needs at least one result")
    means = [result if isinstance(result, Mapping) else result.means for result in results]
    shared = [name for name in means[0] if all(name in other for other in means)]
    table: dict[str, dict[str, Any]] = {}
    for name in shared:
        values = [float(mean[name]) for mean in means]
        centre, count = float(np.mean(values)), len(values)
        sd = float(np.std(values, ddof=1)) if count > 1 else None
        half = (
            None if sd is None else float(stats.t.ppf(0.5 + level / 2, count - 1)) * sd / count**0.5
        )
        table[name] = {
            "mean": centre,
            "sd": sd,
            "low": None if half is None else centre - half,
            "high": None if half is None else centre + half,
            "seeds": count,
            "values": values,
        }
    return table
