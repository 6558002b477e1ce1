"""Propensity-weighted evaluation: a policy's value from logged bandit feedback."""

from typing import Any

import numpy as np

from tfadvrec.evaluation.off_policy_result import OffPolicyResult


def off_policy_value(
    reward: Any,
    propensity: Any,
    policy: Any,
    *,
    action: Any = None,
    predicted: Any = None,
    clip: float | None = None,
    owner: Any = None,
) -> OffPolicyResult:
    """Estimates what a policy would earn from rewards that another policy logged.

    With w = policy(logged action) / propensity: IPS is mean(w r); the self-normalised one is
    sum(w r) / sum(w), with less variance and a bias that vanishes; the doubly robust one is
    mean(sum_a policy(a) q(a) + w (r - q(logged action))), right where either the propensities or
    the model q are. All need the logging policy to have tried what the policy does.

    Args:
        reward: What was earned, `(n,)`.
        propensity: The logging policy's probability of the logged action, `(n,)`, in (0, 1].
        policy: The policy's probabilities of all actions `(n, actions)`, or of the logged action
            alone `(n,)`, which gives no doubly robust estimate.
        action: Columns of the logged actions, integers `(n,)`; needed with `(n, actions)`.
        predicted: q, the model's reward of each action, `(n, actions)`, fitted on other rows;
            None for no doubly robust estimate.
        clip: The largest weight that counts, None for any: less variance, more bias.
        owner: Whose the rows are, `(n,)`; None resamples rows.

    Returns:
        An `OffPolicyResult`.

    Raises:
        ValueError: Shapes or values cannot be meant; offending rows are named.

    Example:

    >>> result = off_policy_value(
    ...     reward=[1, 0, 0, 1], propensity=[0.5] * 4, policy=[[0.0, 1.0]] * 4, action=[0, 0, 1, 1])
    >>> result.means["ips"], result.means["logged"]
    (0.5, 0.5)

    Reference: Dudik et al., Doubly Robust Policy Evaluation and Learning, ICML 2011, equations 1
    and 2; Swaminathan, Joachims, The Self-Normalized Estimator, NeurIPS 2015, equation 10.
    """
    reward, propensity = (np.asarray(values, np.float64) for values in (reward, propensity))
    policy = np.asarray(policy, np.float64)
    if reward.ndim != 1 or propensity.shape != reward.shape or len(policy) != len(reward):
        raise ValueError(
            "reward and propensity must have one shape (n,), and policy n rows. Received: "
            f"{reward.shape}, {propensity.shape}, {policy.shape}"
        )
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0, or None. Received: {clip!r}")
    _refuse("reward is not finite", ~np.isfinite(reward), reward)
    _refuse("propensity outside (0, 1]", ~((propensity > 0) & (propensity <= 1)), propensity)
    chosen, own = _of_logged(policy, action)
    weight = own / propensity
    if clip is not None:
        weight = np.minimum(weight, clip)
    corrected = None
    if predicted is not None:
        corrected = _doubly_robust(reward, weight, policy, chosen, np.asarray(predicted, float))
    owner = np.arange(len(reward)) if owner is None else np.asarray(owner)
    if owner.shape != reward.shape:
        raise ValueError(f"owner must have shape {reward.shape}. Received: {owner.shape}")
    return OffPolicyResult(reward, weight, corrected, owner)


def _of_logged(policy: np.ndarray, action: Any) -> tuple[np.ndarray | None, np.ndarray]:
    """The columns of the logged actions, and the policy's probability of them."""
    _refuse("policy outside [0, 1]", ~((policy >= 0) & (policy <= 1)), policy)
    if policy.ndim == 1:
        return None, policy
    _refuse("policy does not add up to 1", np.abs(policy.sum(axis=1) - 1) > 1e-6, policy.sum(1))
    chosen = np.asarray(-1 if action is None else action)
    if chosen.shape != (len(policy),) or chosen.dtype.kind not in "iu":
        raise ValueError(
            "policy has a column an action, so action= must be integers (n,): the columns of the "
            f"logged actions. Received: {'None' if action is None else chosen.shape}"
        )
    _refuse("action has no column", (chosen < 0) | (chosen >= policy.shape[1]), chosen)
    return chosen, policy[np.arange(len(policy)), chosen]


def _doubly_robust(
    reward: np.ndarray,
    weight: np.ndarray,
    policy: np.ndarray,
    chosen: np.ndarray | None,
    predicted: np.ndarray,
) -> np.ndarray:
    if chosen is None or predicted.shape != policy.shape:
        raise ValueError(
            "predicted rewards need the policy's probabilities of all actions, in one shape "
            f"(n, actions). Received: predicted {predicted.shape}, policy {policy.shape}"
        )
    _refuse("predicted is not finite", ~np.isfinite(predicted), predicted)
    own = predicted[np.arange(len(predicted)), chosen]
    return (policy * predicted).sum(axis=1) + weight * (reward - own)


def _refuse(what: str, bad: np.ndarray, values: np.ndarray) -> None:
    rows = np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))
    if rows.size:
        shown = "; ".join(f"row {row}: {values[row].tolist()}" for row in rows[:3])
        raise ValueError(f"{what} in {rows.size} rows ({shown}).")
