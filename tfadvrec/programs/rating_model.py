"""Rating predictors: means alone, and a matrix factorisation of what they leave."""

import itertools
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np

from tfadvrec.data import Interactions, points
from tfadvrec.losses import SquaredError
from tfadvrec.models import MatrixFactorization
from tfadvrec.programs.playing import PAYS

DAMPING = 5.0


@dataclass(frozen=True, eq=False)
class Means:
    """Predicts a rating by the mean, what the item and what the user differ from it.

    Attributes:
        mean: Of all ratings.
        item: float64 `(n_items,)`, damped towards 0 where there are few ratings.
        user: float64 `(n_users,)`, of what the items leave.

    Example:
        >>> log = Interactions.from_arrays([1, 1, 2], ["a", "b", "a"], rating=[5.0, 3.0, 4.0])
        >>> means = Means.of(log, damping=0.0)
        >>> means.mean, means.item.tolist(), means.user.tolist()
        (4.0, [0.5, -1.0], [0.25, -0.5])
    """

    mean: float
    item: np.ndarray
    user: np.ndarray

    @classmethod
    def of(cls, log: Interactions, *, damping: float = DAMPING) -> Self:
        """The means of a log; `damping` ratings without a difference are added to each."""
        mean = float(log.rating.mean(dtype=np.float64))
        left = log.rating - mean
        item = _damped(log.item, left, log.n_items, damping)
        return cls(mean, item, _damped(log.user, left - item[log.item], log.n_users, damping))

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Ratings of pairs of rows, float64 `(n,)`."""
        return self.mean + self.item[item] + self.user[user]


def _damped(rows: np.ndarray, values: np.ndarray, count: int, damping: float) -> np.ndarray:
    sums = np.bincount(rows, values, minlength=count)
    return sums / np.maximum(np.bincount(rows, minlength=count) + damping, 1e-12)


@dataclass(frozen=True, eq=False)
class Factorised:
    """Means, and the inner product of a user's and an item's vector for what they leave.

    Attributes:
        means: The means.
        users: float64 `(n_users, dimension)`.
        items: float64 `(n_items, dimension)`.
    """

    means: Means
    users: np.ndarray
    items: np.ndarray

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Ratings of pairs of rows, float64 `(n,)`."""
        return self.means.predict(user, item) + np.einsum(
            "nd,nd->n", self.users[user], self.items[item]
        )

    def attacked(
        self, user: np.ndarray, item: np.ndarray, rating: np.ndarray, *, epsilon: float
    ) -> np.ndarray:
        """Ratings after both vectors of each pair moved by `epsilon` up their squared error.

        One step along the gradient, which is the error's sign times the other vector: the fast
        gradient attack, with the error known.

        Args:
            user: Rows `(n,)`.
            item: Rows `(n,)`.
            rating: What was given, `(n,)`.
            epsilon: Length of the move of each vector.

        Reference: Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015;
        on the vectors of a factorisation, He et al., SIGIR 2018.
        """
        u, i = self.users[user], self.items[item]
        error = np.sign(self.predict(user, item) - rating)[:, None]
        moved_u, moved_i = u + epsilon * error * _unit(i), i + epsilon * error * _unit(u)
        return self.means.predict(user, item) + np.einsum("nd,nd->n", moved_u, moved_i)

    def fold_in(self, log: Interactions, *, ridge: float) -> Self:
        """The same items with the users of another log, fitted by ridge regression.

        Args:
            log: What is known of the new users; its items are the same.
            ridge: Weight of a vector's squared length for each of the user's ratings.
        """
        left = log.rating - self.means.mean - self.means.item[log.item]
        own = _damped(log.user, left, log.n_users, DAMPING)
        left = left - own[log.user]
        dimension = self.items.shape[1]
        users = np.zeros((log.n_users, dimension))
        order = np.argsort(log.user, kind="stable")
        bounds = np.searchsorted(log.user[order], np.arange(log.n_users + 1))
        for row, (start, stop) in enumerate(itertools.pairwise(bounds)):
            part = order[start:stop]
            if len(part):
                known = self.items[log.item[part]]
                square = known.T @ known + ridge * len(part) * np.eye(dimension)
                users[row] = np.linalg.solve(square, known.T @ left[part])
        return type(self)(Means(self.means.mean, self.means.item, own), users, self.items)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def factorise(
    log: Interactions,
    *,
    dimension: int = 16,
    epochs: int = 15,
    ridge: float = 0.1,
    learning_rate: float = 0.01,
    batch_size: int = 512,
    seed: int = 0,
    wrapped: Any = None,
) -> Factorised:
    """Trains a `MatrixFactorization` with squared error on what the means leave.

    Args:
        log: A log with ratings.
        dimension: Length of the vectors.
        epochs: Passes over the log.
        ridge: Weight of the vectors' squared lengths beside a rating's squared error.
        learning_rate: Adam's.
        batch_size: Ratings in a batch.
        seed: Seed of initial values and order.
        wrapped: A function of the model that gives what is trained in its place, such as
            `AdversarialTraining` around it.
    """
    means = Means.of(log)
    left = (log.rating - means.predict(log.user, log.item)).astype(np.float32)
    model = MatrixFactorization(
        n_users=log.n_users,
        n_items=log.n_items,
        dimension=dimension,
        regularization=ridge * dimension,
        initial_scale=0.1,
        seed=seed,
    )
    trained = model if wrapped is None else wrapped(model)
    trained.compile(
        keras.optimizers.Adam(learning_rate), SquaredError(reduction="sum_over_batch_size")
    )
    size = min(batch_size, len(log))
    steps = len(log) // size
    batches = points(
        log.replace(rating=left),
        batch_size=size,
        negatives=0,
        target="rating",
        seed=seed,
        block=steps if epochs * steps >= PAYS else None,
    )
    trained.fit(batches, epochs=epochs, verbose=0)
    users = np.asarray(model.user_embedding.embeddings, np.float64)
    return Factorised(means, users, np.asarray(model.item_embedding.embeddings, np.float64))
