"""Models that the augmentation ablation trains, each a function of a log, a seed and steps."""

import keras

from tfadvrec import losses
from tfadvrec.data import Interactions, pairs
from tfadvrec.models import EASE, MatrixFactorization
from tfadvrec.synthesis.mixing import real_rows


def linear(
    log: Interactions, *, seed: int = 0, steps: int = 0, regularization: float = 100.0
) -> EASE:
    """EASE, fitted to all rows and given the real ones as its users' histories.

    Args:
        log: A log, mixed or not.
        seed: Not used: the solution is closed.
        steps: Not used either.
        regularization: EASE's.
    """
    model = EASE(n_users=log.n_users, n_items=log.n_items, regularization=regularization)
    return model.fit(log).bind(real_rows(log))


def factors(
    log: Interactions,
    *,
    seed: int = 0,
    steps: int = 2000,
    dimension: int = 32,
    regularization: float = 0.0,
    learning_rate: float = 0.05,
    batch_size: int = 512,
) -> MatrixFactorization:
    """Matrix factorisation trained pairwise for exactly so many steps, whatever the log's length.

    Args:
        log: A log, mixed or not.
        seed: Of the start and the batches.
        steps: Batches.
        dimension: Width of the vectors.
        regularization: The model's.
        learning_rate: Adagrad's.
        batch_size: Positives in a batch, at most the log's length.
    """
    model = MatrixFactorization(
        n_users=log.n_users,
        n_items=log.n_items,
        dimension=dimension,
        regularization=regularization,
        seed=seed,
    ).bind(log)
    model.compile(
        keras.optimizers.Adagrad(learning_rate, initial_accumulator_value=0.1),
        loss=losses.BayesianPersonalizedRanking(),
        jit_compile=True,
    )
    batches = pairs(log, batch_size=min(batch_size, len(log)), seed=seed).repeat()
    model.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0)
    return model
