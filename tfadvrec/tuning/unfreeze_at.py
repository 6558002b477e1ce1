"""Gradual unfreezing: more of a model trains from one epoch to the next."""

from collections.abc import Mapping
from typing import Any

import keras

from tfadvrec.tuning.freezing import unfreezable, unfreeze


class UnfreezeAt(keras.callbacks.Callback):
    """Unfreezes parts of a model when an epoch of `fit` begins.

    The step is traced, and compiled, again when something was unfrozen. After a restart with
    `initial_epoch`, what should train by then is unfrozen at once.

    Args:
        schedule: Epoch, counted from 0 -> a pattern, see `unfreeze`.

    Raises:
        ValueError: An epoch is not an integer from 0, or (when `fit` begins) a pattern names
            nothing.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> model = tar.MatrixFactorization(n_users=3, n_items=5, dimension=4, seed=0)
    >>> model.compile("adam", loss=tar.losses.BayesianPersonalizedRanking())
    >>> _ = tar.tuning.freeze(model, "item")
    >>> x = {"user_id": np.array([0, 2]), "item_id": np.array([[1, 4], [0, 3]])}
    >>> y = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> schedule = UnfreezeAt({2: "item"})
    >>> _ = model.fit(x, y, epochs=3, callbacks=[schedule], verbose=0)
    >>> len(model.trainable_variables)
    2

    Reference: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL
    2018, section 3.3.
    """

    def __init__(self, schedule: Mapping[int, str]) -> None:
        super().__init__()
        wrong = [e for e in schedule if not isinstance(e, int) or isinstance(e, bool) or e < 0]
        if wrong or not schedule:
            raise ValueError(
                "the schedule is {epoch: pattern}, epochs counted from 0. Received: "
                f"{dict(schedule)!r}"
            )
        self.schedule = dict(sorted(schedule.items()))

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks every pattern before the first epoch."""
        for pattern in self.schedule.values():
            unfreezable(self.model, pattern)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Unfreezes what is due."""
        due = [pattern for at, pattern in self.schedule.items() if at <= epoch]
        changed = [unfreeze(self.model, pattern) for pattern in due]
        if any(changed):
            self.model.make_train_function(force=True)
