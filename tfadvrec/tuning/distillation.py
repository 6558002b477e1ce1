"""Teacher and student: a small model learns the scores of a big one."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.model_training import ModelTraining
from tfadvrec.losses import MASKED
from tfadvrec.training.blocks import batch_rows


@keras.saving.register_keras_serializable(package="tfadvrec")
class Distillation(ModelTraining):
    """Trains a student on its own loss plus a term that follows a teacher's scores.

    In a row of candidates, with the teacher's scores t and the student's s, p = softmax(t / T) and
    q = softmax(s / T), the term is `weight * T^2 * sum_j p_j ln(p_j / q_j)`, summed over the rows
    of the batch as the package's losses are. Its gradient in s is `weight * T * (q - p)`, which is
    near `weight * (s - t) / candidates`, both centred, when T is high. Candidates labelled -1 take
    no part. Without a compiled loss the student follows the teacher alone; `weight=0` is plain
    training.

    The teacher is any model that scores the same rows; its vectors may have another length, and it
    may have been trained against an adversary. It is called for inference, gets no gradient, and is
    no part of this model: it is neither saved nor exported. In-batch scores are corrected for how
    often items are sampled on both sides alike, as the student's are.

    `AdversarialTraining(Distillation(student, teacher), ...)` trains the student against an
    adversary that climbs all of the loss above, the teacher's scores being those of the clean batch
    (robust distillation). The other way round there is nothing to train: the adversary's step would
    not run, which is an error.

    Args:
        student: The model to train, compiled or not, with a score a candidate:
            `(batch, candidates)`.
        teacher: A built model that gives scores of the same shape for the same inputs.
        weight: The weight of the term, 0 or more.
        temperature: T, above 0. Higher values tell the student more of how the teacher orders what
            it does not prefer.
        name: The Keras model name.

    Raises:
        ValueError: A number is out of range, the teacher has no weights, or a training that the
            student would not get is put inside.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(30, 60, n_interactions=300)
    >>> teacher = tar.MatrixFactorization(n_users=30, n_items=60, dimension=32, seed=0)
    >>> student = tar.MatrixFactorization(n_users=30, n_items=60, dimension=4, seed=1)
    >>> distilled = tar.tuning.Distillation(student, teacher, weight=0.5, temperature=2.0)
    >>> distilled.compile("adam", loss=tar.losses.InBatchSoftmax())
    >>> data = tar.data.pairs(log, batch_size=50, negatives=8)
    >>> sorted(distilled.fit(data, epochs=1, verbose=0).history)
    ['distillation_loss', 'loss']

    Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015,
    arXiv:1503.02531, section 2; against an adversary: Goldblum et al., Adversarially Robust
    Distillation, AAAI 2020, equation 3.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        weight: float = 1.0,
        *,
        temperature: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(student, name=name)
        if not 0 <= weight < math.inf or not 0 < temperature < math.inf:
            raise ValueError(
                "weight is a finite number from 0 and temperature one above 0. Received: "
                f"weight={weight!r}, temperature={temperature!r}"
            )
        if isinstance(student, ModelTraining):
            raise ValueError(
                f"a {type(student).__name__} inside a Distillation would not run its own step. "
                "Give the student itself, and for a student that is trained against an adversary "
                "put the distillation inside: AdversarialTraining(Distillation(student, teacher), "
                "...)."
            )
        while isinstance(teacher, ModelTraining):
            teacher = teacher.model
        if teacher is student or not teacher.built:
            raise ValueError(
                f"the teacher {teacher.name!r} must be another model than the student and have "
                "weights: train it, load it, or call it once."
            )
        vars(self)["teacher"] = teacher  # past Keras's tracking: no part of this model
        self.weight, self.temperature = float(weight), float(temperature)
        with self.distribute_strategy.scope():
            self._distillation_tracker = keras.metrics.Mean(name="distillation_loss")
        self.trackers = [self._distillation_tracker]

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; a teacher that keeps what ranks brings it up to date first."""
        for layer in self.teacher._flatten_layers():
            if hasattr(layer, "settle"):
                layer.settle()
        return super().fit(x, y, *positional, **options)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ) -> tf.Tensor:
        """The student's loss, and in training the term that follows the teacher."""
        student = self.model
        own = type(student).compute_loss is not keras.Model.compute_loss
        if own or student._compile_loss is not None or student.losses or not training:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        else:
            loss = tf.zeros([])
        if not training or self.weight == 0:
            return loss
        term = self.term(y, self.teacher_scores(x), y_pred, sample_weight)
        rows = batch_rows(x)
        self._distillation_tracker.update_state(
            term / tf.cast(rows, term.dtype), sample_weight=rows
        )
        return tf.cast(loss, term.dtype) + self.weight * term

    def teacher_scores(self, inputs: Any) -> tf.Tensor:
        """The teacher's scores of a batch, corrected for sampling as the student's are.

        Args:
            inputs: What the student is called with.

        Returns:
            float32, as the teacher gives them; no gradient flows through them.
        """
        plain, probability = inputs, None
        if isinstance(inputs, Mapping) and "sampling_probability" in inputs:
            plain = {k: v for k, v in inputs.items() if k != "sampling_probability"}
            probability = tf.cast(inputs["sampling_probability"], tf.float32)
        inference = {"training": False} if self.teacher._call_has_training_arg else {}
        scores = tf.cast(self.teacher(plain, **inference), tf.float32)
        correction = getattr(self.model, "correction", None)
        if probability is not None and correction is not None:
            shared = probability.shape.rank == 1
            scores = correction(scores, probability[None, :] if shared else probability)
        return tf.stop_gradient(scores)

    def term(self, labels: Any, taught: Any, scores: Any, sample_weight: Any = None) -> tf.Tensor:
        """What the student pays for not following the teacher, without its weight.

        Args:
            labels: `(batch, candidates)`; candidates labelled -1 are left out. Or None.
            taught: `(batch, candidates)` scores of the teacher.
            scores: `(batch, candidates)` scores of the student.
            sample_weight: `(batch,)` or `(batch, 1)` weights of the rows, or None.

        Returns:
            A float32 scalar, the sum over the batch.

        Raises:
            ValueError: The scores are not `(batch, candidates)` with two candidates or more, or the
                weights are not one a row.

        Example:

        >>> import numpy as np
        >>> import tfadvrec as tar
        >>> one, other = (
        ...     tar.MatrixFactorization(n_users=3, n_items=5, dimension=4) for _ in range(2)
        ... )
        >>> distilled = tar.tuning.Distillation(one, other)
        >>> found = distilled.term(None, np.array([[np.log(3.0), 0.0]]), np.zeros((1, 2)))
        >>> round(float(found), 4)  # 3/4 ln(3/2) + 1/4 ln(1/2)
        0.1308
        """
        taught, scores = (tf.cast(part, tf.float32) for part in (taught, scores))
        shape = scores.shape
        if shape.rank != 2 or shape[1] == 1 or not shape.is_compatible_with(taught.shape):
            raise ValueError(
                "distillation follows the teacher's preferences among a row's candidates: it "
                "needs scores (batch, candidates) of both models, two candidates or more. "
                f"Received: student {shape}, teacher {taught.shape}. Use data.pairs or "
                "data.in_batch."
            )
        known = tf.ones_like(scores, tf.bool) if labels is None else tf.not_equal(labels, -1)
        log_p, log_q = (
            tf.nn.log_softmax(tf.where(known, part / self.temperature, MASKED), axis=-1)
            for part in (taught, scores)
        )
        gaps = tf.where(known, tf.exp(log_p) * (log_p - log_q), 0.0)
        rows = self.temperature**2 * tf.reduce_sum(gaps, axis=-1)
        return tf.reduce_sum(rows if sample_weight is None else rows * _of_rows(sample_weight))

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict[str, Any]:
        """The metrics of the student, and the mean of the term over the rows."""
        own = {self._distillation_tracker.name: self._distillation_tracker.result()}
        return {**super().compute_metrics(x, y, y_pred, sample_weight), **own}

    def get_config(self) -> dict[str, Any]:
        """The student and the numbers; not the teacher."""
        return {
            "student": keras.saving.serialize_keras_object(self.model),
            "weight": self.weight,
            "temperature": self.temperature,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], *, teacher: keras.Model | None = None
    ) -> "Distillation":
        """Makes the training again, around a fresh student and the teacher that is given."""
        if teacher is None:
            raise ValueError(
                "a teacher is never part of a configuration. Make Distillation(student, teacher, "
                "...) anew, or pass from_config(config, teacher=...)."
            )
        config = dict(config)
        student = keras.saving.deserialize_keras_object(config.pop("student"))
        return cls(student, teacher, **config)


def _of_rows(sample_weight: Any) -> tf.Tensor:
    """Keras's sample weights as one number a row."""
    weights = tf.cast(sample_weight, tf.float32)
    if weights.shape.rank == 2 and weights.shape[1] == 1:
        return weights[:, 0]
    if weights.shape.rank != 1:
        raise ValueError(
            "distillation takes one weight a row, (batch,) or (batch, 1). Received: "
            f"{weights.shape}"
        )
    return weights
