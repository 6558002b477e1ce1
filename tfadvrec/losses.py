"""Losses on `(labels, scores)` of shape `(batch, candidates)`.

Labels are 1 for a positive, 0 for a negative and -1 for a candidate that the loss ignores (an
accidental hit). Losses are *summed* over the batch by default: with the small initial values of
embedding tables, a mean makes Adagrad's and SGD's first steps orders of magnitude too small.
"""

import keras
from keras import ops

MASKED = -1e9


@keras.saving.register_keras_serializable(package="tfadvrec")
class BayesianPersonalizedRanking(keras.losses.Loss):
    """Softplus of negative minus positive score, averaged over the pairs of a row.

    Args:
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels and scores `(batch, candidates)`; `()` after reduction.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> loss = tar.losses.BayesianPersonalizedRanking()
    >>> round(float(loss(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))), 4)
    0.6931

    Reference: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback,
    UAI 2009, section 4.
    """

    def __init__(self, *, reduction: str = "sum", name: str = "bpr", dtype=None) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return _over_pairs(y_true, y_pred, lambda gap: ops.softplus(-gap))


@keras.saving.register_keras_serializable(package="tfadvrec")
class Hinge(keras.losses.Loss):
    """How far a positive fails to lead each negative by a margin, averaged over the pairs.

    Args:
        margin: The lead that costs nothing, in units of the score.
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels and scores `(batch, candidates)`; `()` after reduction.
    """

    def __init__(
        self, margin: float = 1.0, *, reduction: str = "sum", name: str = "hinge", dtype=None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin = margin

    def call(self, y_true, y_pred):
        return _over_pairs(y_true, y_pred, lambda gap: ops.relu(self.margin - gap))

    def get_config(self) -> dict:
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="tfadvrec")
class Logistic(keras.losses.Loss):
    """Binary cross-entropy of the scores as logits, averaged over a row's candidates.

    Args:
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels and scores `(batch, candidates)`; `()` after reduction.
    """

    def __init__(self, *, reduction: str = "sum", name: str = "logistic", dtype=None) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        known = ops.cast(y_true >= 0, y_pred.dtype)
        entropy = ops.softplus(y_pred) - y_true * y_pred
        return ops.sum(known * entropy, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)


@keras.saving.register_keras_serializable(package="tfadvrec")
class SquaredError(keras.losses.Loss):
    """Squared difference of score and label (a rating, or 1 and 0), averaged over a row.

    Every label counts, -1 too: ratings may be negative.

    Args:
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels and scores `(batch, candidates)`; `()` after reduction.
    """

    def __init__(self, *, reduction: str = "sum", name: str = "squared_error", dtype=None) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true), axis=-1)


@keras.saving.register_keras_serializable(package="tfadvrec")
class InBatchSoftmax(keras.losses.Loss):
    """Cross-entropy of the positive among its row's candidates; ignored ones take no part.

    Args:
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels and scores `(batch, candidates)`; `()` after reduction.

    Reference: Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
    Recommendations, RecSys 2019, equations 4-5 (the correction is made by the model, which
    knows the sampling probabilities).
    """

    def __init__(
        self, *, reduction: str = "sum", name: str = "in_batch_softmax", dtype=None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        logits = ops.where(y_true < 0, ops.cast(MASKED, y_pred.dtype), y_pred)
        positive = ops.cast(y_true > 0, y_pred.dtype)
        share = positive / ops.maximum(ops.sum(positive, axis=-1, keepdims=True), 1.0)
        return -ops.sum(share * ops.log_softmax(logits, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="tfadvrec")
class Multinomial(keras.losses.Loss):
    """Negative log-likelihood of whole histories under a softmax over the catalogue.

    Args:
        reduction: As in Keras; `"mean_with_sample_weight"`, the mean over users, by default: the
            models it is for start from weights of ordinary size.
        name: The loss's name.

    Shapes: labels (1 where the user took the item) and scores `(batch, n_items)`; `()` after
    reduction.

    Example:

    >>> import numpy as np
    >>> round(float(Multinomial()(np.array([[1.0, 1.0, 0.0]]), np.zeros((1, 3)))), 4)  # 2 ln 3
    2.1972

    Reference: Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018,
    equation 2.
    """

    def __init__(
        self,
        *,
        reduction: str = "mean_with_sample_weight",
        name: str = "multinomial",
        dtype=None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return -ops.sum(y_true * ops.log_softmax(y_pred, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="tfadvrec")
class DynamicNegatives(keras.losses.Loss):
    """Softplus of the highest negative's score minus the positive's, averaged over positives.

    With `tfadvrec.data.pairs(log, negatives=5)` it is dynamic negative sampling: five uniform
    negatives are drawn for a positive, and the pair with the hardest of them is trained on.

    Args:
        reduction: As in Keras; `"sum"` by default.
        name: The loss's name.

    Shapes: labels (1, 0, and -1 for a candidate that is ignored) and scores `(batch, candidates)`;
    `()` after reduction. A row without a positive or without a negative counts nothing.

    Example:

    >>> import numpy as np
    >>> loss = DynamicNegatives()
    >>> labels, scores = np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, -9.0, 0.5]])
    >>> round(float(loss(labels, scores)), 4)
    0.6931

    Reference: Zhang et al., Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
    Sampling, SIGIR 2013, algorithm 2 (with the weight all on the highest rank).
    """

    def __init__(
        self, *, reduction: str = "sum", name: str = "dynamic_negatives", dtype=None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        negative = ops.equal(y_true, 0)
        lowest = ops.cast(-1e9, y_pred.dtype)
        hardest = ops.max(ops.where(negative, y_pred, lowest), axis=-1, keepdims=True)
        positive = ops.cast(y_true > 0, y_pred.dtype) * ops.cast(
            ops.any(negative, axis=-1, keepdims=True), y_pred.dtype
        )
        total = ops.sum(positive * ops.softplus(hardest - y_pred), axis=-1)
        return total / ops.maximum(ops.sum(positive, axis=-1), 1.0)


def _over_pairs(labels, scores, cost):
    """The mean of `cost(positive score - negative score)` over each row's pairs: `(batch,)`."""
    if scores.shape[-1] == 2:
        # One positive, then one negative: the layout of `pairs` with one negative
        pair = ops.cast((labels[:, :1] > 0) & (labels[:, 1:] == 0), scores.dtype)
        return ops.sum(pair * cost(scores[:, :1] - scores[:, 1:]), axis=-1)
    positive = ops.cast(labels > 0, scores.dtype)[:, :, None]
    negative = ops.cast(ops.equal(labels, 0), scores.dtype)[:, None, :]
    pair = positive * negative
    total = ops.sum(pair * cost(scores[:, :, None] - scores[:, None, :]), axis=(1, 2))
    return total / ops.maximum(ops.sum(pair, axis=(1, 2)), 1.0)
