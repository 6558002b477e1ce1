"""Membership inference: can one tell from the synthetic log who was in the real one?"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.data import Interactions
from tfadvrec.synthesis.binomial import rate, receiver_curve, threshold_at
from tfadvrec.synthesis.profiles import nearest_similarity
from tfadvrec.synthesis.shared_items import active_users, of_users

Rebuild = Callable[[Interactions, int], Interactions]
"""`(log, seed)` -> the synthetic log that the generator makes when it learns from `log`."""

RATES = (0.001, 0.01)
OUTLIERS = 0.1
_CLIP = 1e-3

SHADOW = (
    "Shadow models: the generator was trained again on random halves of all users, members and "
    "non-members alike. A user's score is the log-likelihood ratio of the similarity of the "
    "nearest synthetic profile (Jaccard, logit) under normals fitted to the shadows with and "
    "without that user (means of the user, variances pooled)."
)
REFERENCE = (
    "No generator to retrain was given, so this is the weaker attack: the similarity of the "
    "nearest synthetic profile (Jaccard, logit) minus that of the nearest profile in a reference "
    "population, random half of the holdout, who are neither members nor counted as non-members. "
    "A low rate here does not show that shadow models would fail too."
)
POLICY = (
    "The record is the user. The threshold is the smallest that lets at most the stated share of "
    "non-members through; it is found on the same non-members, and a rate below one non-member "
    "means that none may pass. Intervals are exact binomial ones (Clopper-Pearson, 95%), given "
    "the threshold. A blind guess has a true-positive rate equal to its false-positive rate. "
    f"Outliers are the {OUTLIERS:.0%} of users whose nearest other real user is farthest; they "
    "are judged at everybody's threshold. Scores are not calibrated for each person: a low rate "
    "overall does not bound anyone's own risk."
)


def membership(
    synthetic: Interactions,
    train: Interactions,
    holdout: Interactions,
    *,
    rebuild: Rebuild | None = None,
    shadows: int = 16,
    seed: int = 0,
) -> dict[str, Any]:
    """Attacks the synthetic log: who of `train` and `holdout` did its generator learn from?

    Args:
        synthetic: The synthetic log.
        train: Members: users whom the generator learnt from, all of them.
        holdout: Non-members: users of the same population, none of them in `train`.
        rebuild: Trains the generator on a log and draws from it. Without it the attack has a
            reference population instead of shadows, and says so.
        shadows: How often to rebuild.
        seed: Seed of halves and rebuilds.

    Returns:
        A JSON-able record: `members`, `non-members`, `at` (false-positive rate -> the true- and
        false-positive rates with counts and exact intervals), `outliers` (the same of the slice),
        `curve`, `attack` and `policy` in words.

    Raises:
        ValueError: When a user is in both logs, or too few are there.

    Reference: Carlini et al., Membership inference attacks from first principles (S&P 2022).
    """
    _refuse_shared(train, holdout)
    rng = np.random.default_rng(seed)
    logs = [of_users(log, active_users(log)) for log in (train, holdout)]
    if min(log.n_users for log in logs) < 10:
        raise ValueError(
            f"membership inference needs 10 members and 10 non-members with interactions, got "
            f"{logs[0].n_users} and {logs[1].n_users}."
        )
    pool = _pooled(*logs)
    member = np.arange(pool.n_users) < logs[0].n_users
    taken = pool.csr()
    observed = _closeness(taken, synthetic)
    if rebuild is None:
        score, counted = _by_reference(taken, observed, member, rng)
        attack, made = REFERENCE, 0
    else:
        score, counted = _by_shadows(pool, taken, observed, rebuild, shadows, rng)
        attack, made = SHADOW, shadows
    alone = nearest_similarity(taken, taken, skip_self=True)
    outlier = alone <= np.quantile(alone, OUTLIERS)
    return {
        "status": "RUN",
        **_rates(score, member, counted, outlier),
        "attack": attack,
        "shadows": made,
        "policy": POLICY,
    }


def _rates(
    score: np.ndarray, member: np.ndarray, counted: np.ndarray, outlier: np.ndarray
) -> dict[str, Any]:
    """Rates at the small false-positive rates, for everybody and for outliers."""
    inside, outside = score[counted & member], score[counted & ~member]
    at, slice_at = {}, {}
    for wanted in RATES:
        threshold = threshold_at(outside, wanted)
        passed = score > threshold
        for found, kept in ((at, counted), (slice_at, counted & outlier)):
            found[f"{wanted:g}"] = {
                "true positives": _share(passed, kept & member),
                "false positives": _share(passed, kept & ~member),
                "blind guess": wanted,
            }
    return {
        "members": len(inside),
        "non-members": len(outside),
        "at": at,
        "outliers": slice_at,
        "curve": receiver_curve(inside, outside),
    }


def _share(passed: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    return rate(int((passed & kept).sum()), int(kept.sum()))


def _by_reference(
    taken: sparse.csr_matrix, observed: np.ndarray, member: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Similarity to the synthetic log beyond that to people who are neither."""
    others = np.flatnonzero(~member)
    reference = rng.permutation(others)[: len(others) // 2]
    counted = np.ones(len(member), bool)
    counted[reference] = False
    usual = _logit(nearest_similarity(taken, taken[reference]))
    return observed - usual, counted


def _by_shadows(
    pool: Interactions,
    taken: sparse.csr_matrix,
    observed: np.ndarray,
    rebuild: Rebuild,
    shadows: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood ratio under the shadows with and without each user."""
    if shadows < 4:
        raise ValueError(f"shadows: expected 4 or more generators, got {shadows}.")
    drawn = np.empty((shadows, pool.n_users))
    inside = np.zeros((shadows, pool.n_users), bool)
    # in pairs of complements every user is inside half of the shadows
    for turn in range(shadows):
        if turn % 2 == 0:
            half = rng.permutation(pool.n_users)[: pool.n_users // 2]
            inside[turn] = np.isin(np.arange(pool.n_users), half)
        else:
            inside[turn] = ~inside[turn - 1]
        log = of_users(pool, np.flatnonzero(inside[turn]))
        drawn[turn] = _closeness(taken, rebuild(log, int(rng.integers(2**31))))
    fits = [_normal(drawn, mask) for mask in (inside, ~inside)]
    like = [-((observed - mean) ** 2) / (2 * var) - np.log(var) / 2 for mean, var in fits]
    return like[0] - like[1], np.ones(pool.n_users, bool)


def _normal(drawn: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Each user's mean over the masked shadows, and the pooled variance around it."""
    count = mask.sum(axis=0)
    mean = (drawn * mask).sum(axis=0) / count
    square = (((drawn - mean) ** 2) * mask).sum()
    return mean, float(square / max(1, (count - 1).sum())) + 1e-6


def _closeness(taken: sparse.csr_matrix, synthetic: Interactions) -> np.ndarray:
    return _logit(nearest_similarity(taken, synthetic.csr()[active_users(synthetic)]))


def _logit(similarity: np.ndarray) -> np.ndarray:
    clipped = np.clip(similarity, _CLIP, 1 - _CLIP)
    return np.log(clipped / (1 - clipped))


def _pooled(train: Interactions, holdout: Interactions) -> Interactions:
    """Both logs' users as one log, members first; columns and features that both have."""

    def joined(key: str) -> np.ndarray | None:
        parts = [getattr(log, key) for log in (train, holdout)]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    def both(side: str) -> dict[str, np.ndarray]:
        a, b = (getattr(log, side) for log in (train, holdout))
        return {key: np.concatenate([a[key], b[key]]) for key in a if key in b}

    return train.replace(
        user=np.concatenate([train.user, holdout.user + np.int32(train.n_users)]),
        item=np.concatenate([train.item, holdout.item]),
        rating=joined("rating"),
        time=joined("time"),
        columns=both("columns"),
        user_ids=np.concatenate([train.user_ids, holdout.user_ids]),
        user_features=both("user_features"),
        name=f"{train.name} with holdout",
    )


def _refuse_shared(train: Interactions, holdout: Interactions) -> None:
    ids = [log.user_ids[active_users(log)] for log in (train, holdout)]
    if ids[0].dtype.kind != ids[1].dtype.kind:
        raise ValueError("user ids are integers in one of train and holdout and text in the other.")
    shared = np.intersect1d(*ids)
    if len(shared):
        raise ValueError(
            f"{len(shared)} users are in train and in the holdout (first {shared[:3].tolist()}). "
            "The record of membership inference is the user: hold whole users out before the "
            "generator is trained."
        )
