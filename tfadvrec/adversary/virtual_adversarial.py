"""The move that changes the scores most, whatever the labels."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.adversary.magnitude import Magnitude
from tfadvrec.adversary.perturbation import Perturbation, direction

KINDS = ("auto", "softmax", "bernoulli", "squared")


@keras.saving.register_keras_serializable(package="tfadvrec")
class VirtualAdversarial(Perturbation):
    """Moves rows to where the model contradicts its own clean scores; labels are not looked at.

    The direction is found by power iteration from a random one. `AdversarialTraining` then adds
    `weight` times the divergence between clean and moved scores to the clean loss, in place of
    the loss under attack; the clean side is a constant, regularisers count once, and
    `adversarial_loss` is the divergence.

    Args:
        epsilon: The radius, in the units of the rows: a number or a `Magnitude`.
        steps: Power iterations.
        probe: The length of the probing move, as a share of `epsilon`.
        divergence: `"softmax"`: KL between the distributions over the last axis (a row's
            candidates); `"bernoulli"`: KL between the probabilities of single logits;
            `"squared"`: half the squared difference, for ratings; `"auto"`: bernoulli where the
            last axis is 1 or there is none, softmax elsewhere. Outputs are logits, not
            probabilities.
        ignored: The label of candidates that take no part; None if there is no such label.
        reduction: `"sum"` or `"mean"` over the examples, as the compiled loss has it.
        norm: `"l2"` or `"linf"`.

    Example:

    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=4, n_items=6, dimension=8, seed=0)
    >>> smooth = tar.AdversarialTraining(model, tar.adversary.VirtualAdversarial(0.5), 1.0)

    Reference: Miyato et al., Virtual Adversarial Training, TPAMI 41(8), 2019, algorithm 1.
    """

    def __init__(
        self,
        epsilon: float | Magnitude,
        *,
        steps: int = 1,
        probe: float = 0.1,
        divergence: str = "auto",
        ignored: float | None = -1.0,
        reduction: str = "sum",
        norm: str = "l2",
    ) -> None:
        super().__init__(epsilon, norm=norm)
        if steps < 1 or not 0 < probe <= 1:
            raise ValueError(
                "steps must be 1 or more and probe above 0, at most 1. Received: "
                f"steps={steps!r}, probe={probe!r}"
            )
        if divergence not in KINDS or reduction not in ("sum", "mean"):
            raise ValueError(
                f'divergence must be one of {KINDS} and reduction "sum" or "mean". Received: '
                f"{divergence!r}, {reduction!r}"
            )
        self.steps, self.probe, self.divergence = steps, probe, divergence
        self.ignored, self.reduction = ignored, reduction

    def start(self, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_normal(tf.shape(rows), seed, dtype=rows.dtype, alg="philox")
        return self.epsilon * direction(drawn, self.norm)

    def step(self, delta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return self.epsilon * direction(gradient, self.norm)

    def disagreement(self, labels: Any, clean: Any, moved: Any) -> tf.Tensor:
        """How far moved outputs are from clean ones, a scalar.

        Args:
            labels: Of the batch; only which of them are `ignored` is looked at.
            clean: The clean outputs.
            moved: The moved outputs, of the same structure.
        """
        flat = [keras.tree.flatten(part) for part in (labels, clean, moved)]
        if len(flat[0]) != len(flat[1]):
            flat[0] = [None] * len(flat[1])
        return tf.add_n([self._of_one(*parts) for parts in zip(*flat, strict=True)])

    def _of_one(self, labels: Any, clean: tf.Tensor, moved: tf.Tensor) -> tf.Tensor:
        clean, moved = (tf.cast(part, tf.float32) for part in (tf.stop_gradient(clean), moved))
        known = self._known(labels, clean)
        kind = self.divergence
        if kind == "auto":
            single = clean.shape.rank < 2 or clean.shape[-1] == 1
            kind = "bernoulli" if single else "softmax"
        values = {"softmax": _softmax, "bernoulli": _bernoulli, "squared": _squared}[kind](
            clean, moved, known
        )
        total = tf.reduce_sum(values)
        if self.reduction == "sum":
            return total
        return total / tf.cast(tf.shape(clean)[0] * _replicas.count(), tf.float32)

    def _known(self, labels: Any, clean: tf.Tensor) -> tf.Tensor:
        """1 where a score takes part."""
        rank = None if labels is None else len(labels.shape)
        if self.ignored is None or rank != clean.shape.rank:
            return tf.ones_like(clean)
        return tf.cast(tf.cast(labels, tf.float32) != self.ignored, tf.float32) * tf.ones_like(
            clean
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "steps": self.steps,
            "probe": self.probe,
            "divergence": self.divergence,
            "ignored": self.ignored,
            "reduction": self.reduction,
        }


def _softmax(clean: tf.Tensor, moved: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """KL(clean || moved) of the distributions over the last axis."""
    absent = -1e9 * (1.0 - known)
    before, after = (tf.nn.log_softmax(part + absent) for part in (clean, moved))
    return tf.reduce_sum(known * tf.exp(before) * (before - after), axis=-1)


def _bernoulli(clean: tf.Tensor, moved: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """KL(clean || moved) of the probability that each logit stands for."""
    chance = tf.sigmoid(clean)
    cross = tf.nn.softplus(moved) - chance * moved
    return known * (cross - (tf.nn.softplus(clean) - chance * clean))


def _squared(clean: tf.Tensor, moved: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    return 0.5 * known * tf.square(moved - clean)
