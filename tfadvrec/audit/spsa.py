"""An attack without gradients: simultaneous perturbation (SPSA) on the tables."""

import numpy as np

from tfadvrec.audit.attacker import Attacker, Deltas


def spsa(
    attacker: Attacker,
    epsilon: float,
    *,
    steps: int = 8,
    directions: int = 5,
    seed: int = 0,
) -> tuple[Deltas, int]:
    """Climbs the loss by differences of loss values along random directions.

    Each estimate is the mean over random sign vectors z of (L(d + c z) - L(d - c z)) / (2 c) z,
    with c a hundredth of epsilon; each row then takes the same normalised and projected step as in
    the projected gradient attack. The loss is that of one batch, a fixed random part of the
    training interactions. With so few queries for so many numbers it is a weak attack: it finds
    gradients that are badly masked, not robustness.

    Args:
        attacker: The model's attacker.
        epsilon: Largest length of a row's move.
        steps: Steps.
        directions: Random directions of each estimate; two loss values each.
        seed: Seed of the directions.

    Returns:
        The perturbation and the number of loss values asked for.

    Reference:
        Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient
        approximation, 1992; as an attack: Uesato et al., ICML 2018.
    """
    rng = np.random.default_rng(seed)
    shapes = [(len(clean), clean.size // max(len(clean), 1)) for clean in attacker.clean]
    deltas = [np.zeros(shape, np.float32) for shape in shapes]
    probe, size = epsilon / 100, 2.5 * epsilon / steps
    for _ in range(steps):
        estimate = [np.zeros(shape, np.float32) for shape in shapes]
        for _ in range(directions):
            signs = [rng.integers(0, 2, shape).astype(np.float32) * 2 - 1 for shape in shapes]
            up, down = (_loss(attacker, deltas, signs, change) for change in (probe, -probe))
            for total, sign in zip(estimate, signs, strict=True):
                total += np.float32((up - down) / (2 * probe)) * sign
        deltas = [
            _project(delta + size * _unit(gradient), epsilon)
            for delta, gradient in zip(deltas, estimate, strict=True)
        ]
    named = {
        variable.path: np.reshape(delta, variable.shape)
        for variable, delta in zip(attacker.variables, deltas, strict=True)
    }
    return named, 2 * steps * directions


def _loss(attacker: Attacker, deltas: list, signs: list, change: float) -> float:
    moved = {
        variable.path: np.reshape(delta + np.float32(change) * sign, variable.shape)
        for variable, delta, sign in zip(attacker.variables, deltas, signs, strict=True)
    }
    with attacker.moved(moved):
        return attacker.gradient(attacker.scale, batches=1)[0]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _project(rows: np.ndarray, epsilon: float) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.minimum(1.0, epsilon / np.maximum(length, 1e-12))
