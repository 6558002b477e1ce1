"""Attacks on one model's tables, with everything that they can share compiled once."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.audit.by_user import by_user, in_pairs

Deltas = dict[str, np.ndarray]


class Attacker:
    """Moves a model's tables up a loss, from the gradient over all batches at once.

    Computes what `adversary.attack` computes (a test holds them together), with one compiled
    gradient for the dozens of attacks of a report, and keeps the loss at each step. A model that
    reads a history to score (`reads_histories`) gets its triples user by user, with the same sums.

    Args:
        model: The model under attack.
        batches: `(inputs, labels)` of equal shapes; the loss ignores label -1 (padding).
        loss: Function of labels and scores, summed over a batch.
        variables: The tables under attack.

    Attributes:
        scale: Root mean square of the clean model's margins (positive minus negative score).
    """

    def __init__(
        self,
        model: keras.Model,
        batches: Sequence[tuple[Any, Any]],
        loss: Callable[[Any, Any], tf.Tensor],
        *,
        variables: Sequence[keras.Variable],
    ):
        self.model, self.loss_function, self.variables = model, loss, list(variables)
        self._by_user = getattr(model, "reads_histories", False)
        if self._by_user:
            batches = by_user(batches)
            self.loss_function = lambda labels, scores: loss(*in_pairs(labels, scores))
        self.batches = [tf.nest.map_structure(tf.convert_to_tensor, batch) for batch in batches]
        self._stacked = tf.nest.map_structure(lambda *same: tf.stack(same), *self.batches)
        self.clean = [variable.numpy() for variable in self.variables]
        self._options = {"training": False} if _takes_training(model) else {}
        self._gradients_of = self._compiled(bool(getattr(model, "supports_jit", False)))
        try:
            self.gradient(1.0)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            # Not every layer can be compiled by XLA; the graph computes the same.
            self._gradients_of = self._compiled(False)
            self.gradient(1.0)
        self.scale = self._typical_margin()

    @property
    def norms(self) -> dict[str, float]:
        """Mean row length of each table by its path, and `"all"` over all rows together."""
        rows = {
            variable.path: np.linalg.norm(_matrix(clean), axis=1)
            for variable, clean in zip(self.variables, self.clean, strict=True)
        }
        means = {path: float(length.mean()) for path, length in rows.items()}
        return means | {"all": float(np.concatenate(list(rows.values())).mean())}

    def attack(
        self, perturbation: Any, *, seed: int = 0, scale: float = 1.0
    ) -> tuple[Deltas, list[float]]:
        """One perturbation of the tables.

        Args:
            perturbation: A perturbation of `tfadvrec.adversary`.
            seed: What random perturbations are drawn from.
            scale: The loss sees the scores divided by this.

        Returns:
            Variable path -> perturbation, and the summed loss before each step (empty for
            perturbations that ask for no gradient).
        """
        deltas = [
            perturbation.start(tf.constant(_matrix(clean)), tf.constant([seed, n], tf.int32))
            for n, clean in enumerate(self.clean)
        ]
        losses: list[float] = []
        touched: list[tf.Tensor] = []
        with self._restored():
            for step in range(perturbation.steps):
                if step:
                    self._move(deltas)
                value, gradients = self.gradient(scale)
                losses.append(value)
                touched = touched or [
                    tf.reduce_any(gradient != 0, axis=1, keepdims=True) for gradient in gradients
                ]
                deltas = [
                    tf.where(moves, perturbation.step(delta, gradient), 0)
                    for delta, gradient, moves in zip(deltas, gradients, touched, strict=True)
                ]
        return {
            variable.path: np.reshape(delta.numpy(), variable.shape)
            for variable, delta in zip(self.variables, deltas, strict=True)
        }, losses

    def gradient(
        self, scale: float = 1.0, *, batches: int | None = None
    ) -> tuple[float, list[tf.Tensor]]:
        """The summed loss at the present tables, and its gradient, `(rows, width)` a table.

        Args:
            scale: The loss sees the scores divided by this.
            batches: How many of the batches; all by default.
        """
        count = tf.constant(len(self.batches) if batches is None else batches)
        value, sums = self._gradients_of(self._stacked, tf.constant(scale, tf.float32), count)
        return float(value), [tf.reshape(total, [tf.shape(total)[0], -1]) for total in sums]

    @contextmanager
    def moved(self, deltas: Mapping[str, np.ndarray]) -> Iterator[keras.Model]:
        """The model with a perturbation on; afterwards its tables are what they were."""
        with self._restored():
            self._move([deltas[variable.path] for variable in self.variables])
            yield self.model

    @contextmanager
    def _restored(self) -> Iterator[None]:
        try:
            yield
        finally:
            for variable, clean in zip(self.variables, self.clean, strict=True):
                variable.assign(clean)

    def _move(self, deltas: Sequence[Any]) -> None:
        for variable, clean, delta in zip(self.variables, self.clean, deltas, strict=True):
            variable.assign(clean + tf.reshape(delta, variable.shape))

    def _compiled(self, jit: bool) -> Callable[..., tuple[tf.Tensor, list[tf.Tensor]]]:
        """The summed loss and gradient of the first `count` batches: one loop, one compiled call.

        A call for each batch would take and give back its memory each time, which costs more
        than the arithmetic.
        """

        def of_batch(index: tf.Tensor, stacked: Any, scale: tf.Tensor) -> list[tf.Tensor]:
            x, y = tf.nest.map_structure(lambda part: part[index], stacked)
            sources = [variable.value for variable in self.variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                scores = self.model(x, **self._options)
                value = self.loss_function(y, scores / tf.cast(scale, scores.dtype))
            found = tape.gradient(value, sources, unconnected_gradients="zero")
            return [tf.cast(value, tf.float32), *map(tf.convert_to_tensor, found)]

        @tf.function(jit_compile=jit)
        def gradients_of(
            stacked: Any, scale: tf.Tensor, count: tf.Tensor
        ) -> tuple[tf.Tensor, list[tf.Tensor]]:
            def body(index: tf.Tensor, *sums: tf.Tensor) -> list[tf.Tensor]:
                found = of_batch(index, stacked, scale)
                return [index + 1, *(a + b for a, b in zip(sums, found, strict=True))]

            sums = [tf.zeros([]), *(tf.zeros(v.shape, v.dtype) for v in self.variables)]
            _, value, *gradients = tf.while_loop(
                lambda index, *sums: index < count, body, [tf.constant(0), *sums]
            )
            return value, gradients

        return gradients_of

    def _typical_margin(self) -> float:
        total, count = 0.0, 0
        for x, y in self.batches:
            scores = self.model(x, **self._options)
            y, scores = in_pairs(y, scores) if self._by_user else (y, scores)
            scores = np.asarray(scores)[y.numpy()[:, 0] > 0]
            margin = scores[:, :1] - scores[:, 1:]
            total += float(np.square(margin, dtype=np.float64).sum())
            count += margin.size
        typical = (total / max(count, 1)) ** 0.5
        return typical if np.isfinite(typical) and typical > 0 else 1.0


def _takes_training(model: keras.Model) -> bool:
    parameters = inspect.signature(model.call).parameters
    return "training" in parameters


def _matrix(value: np.ndarray) -> np.ndarray:
    return value.reshape(len(value), -1)
