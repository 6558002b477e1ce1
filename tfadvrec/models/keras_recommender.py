"""Any Keras model as a `Recommender`, for evaluation, lists and the robustness report."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.models.baselines.fitting import pick
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.training.inner_files import InnerFiles

PAIRS, USERS = 65_536, 1_024  # what the model is given at once by default


class KerasRecommender(InnerFiles, Recommender):
    """Ranks with a Keras model that knows nothing of this package.

    `inputs` says what the model is given for rows of users and items, in TensorFlow operations
    (it is traced): features, histories and text ids are gathered from tables by row. The model
    is the one that was given, not a copy: training the one trains the other, and saving the
    recommender saves the model.

    Args:
        model: The Keras model, built or not.
        n_users: Number of users.
        n_items: Number of items.
        inputs: `inputs(users, items)` for a model that scores pairs: int32 rows `(n,)` and `(n,)`
            to the model's inputs. `inputs(users)` for one that scores all items of a user at once.
        output: Which output has the scores: a key or a position of several, a function of the
            model's output, or None for the only one. Pairs have scores `(n,)` or `(n, 1)`, users
            `(n, n_items)`; higher is better. Logits, not probabilities: those saturate.
        chunk: Rows that the model is given at once in `score_catalogue`; 65,536 pairs or 1,024
            users where None. Memory does not grow beyond that with the catalogue.
        name: The Keras model name; the model's own where None.

    Raises:
        TypeError: `inputs` takes other arguments.
        ValueError: The model has no such output, or gives other shapes than one score each.

    Example:

    >>> import numpy as np
    >>> import tfadvrec as tar
    >>> user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    >>> vectors = [keras.layers.Embedding(4, 8)(user), keras.layers.Embedding(6, 8)(item)]
    >>> mine = keras.Model({"user": user, "item": item}, keras.layers.Dot(1)(vectors))
    >>> model = tar.models.KerasRecommender(
    ...     mine, n_users=4, n_items=6, inputs=lambda users, items: {"user": users, "item": items}
    ... )
    >>> model.score_catalogue([0, 3]).shape.as_list()
    [2, 6]
    """

    # the scoring graph has a loop over chunks: see `tfadvrec.audit.sanity_model`
    scores_in_chunks = True

    def __init__(
        self,
        model: keras.Model,
        n_users: int,
        n_items: int,
        *,
        inputs: Callable[..., Any],
        output: str | int | Callable[[Any], Any] | None = None,
        chunk: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name or model.name)
        self.model = model
        self._inputs, self._output = inputs, output  # Keras has `inputs` and `output` of its own
        self.of_pairs = _takes_pairs(inputs)
        # a model that scores whole catalogues is asked once a user: see `tfadvrec.audit.by_user`
        self.reads_histories = not self.of_pairs
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be 1 or more, or None. Received: {chunk!r}")
        self.chunk = int(chunk or (PAIRS if self.of_pairs else USERS))
        self._scores(*self._probe(), training=False)
        self.built = True
        self._catalogue = tf.function(
            self._in_chunks, input_signature=[tf.TensorSpec([None], tf.int32)]
        )

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        """Scores of candidates; see `Recommender`."""
        users = tf.cast(tf.convert_to_tensor(inputs["user_id"]), tf.int32)
        items = tf.cast(tf.convert_to_tensor(inputs["item_id"]), tf.int32)
        if not self.of_pairs:
            return pick(self._scores(users, training=training), items)
        shape = tf.concat([tf.shape(users), tf.shape(items)[-1:]], 0)
        pairs = (tf.broadcast_to(rows, shape) for rows in (users[:, None], items))
        scores = self._scores(*(tf.reshape(rows, [-1]) for rows in pairs), training=training)
        return tf.ensure_shape(tf.reshape(scores, shape), [users.shape[0], items.shape[-1]])

    def score_catalogue(self, users: Any) -> tf.Tensor:
        """Scores of every item for each user, float32 `(batch, n_items)`, chunk by chunk.

        Raises:
            ValueError: A score is NaN.
        """
        rows = check_rows(users, self.n_users, "user")
        if rows.shape[0] == 0:
            return tf.zeros([0, self.n_items])
        scores = self._catalogue(rows)
        if hasattr(scores, "numpy"):
            _check_numbers(scores, rows)
        return scores

    def get_config(self) -> dict[str, Any]:
        """What it was made of, as plain JSON; `inputs` is code, so it cannot be made from it."""
        return {
            "model": {"class": type(self.model).__name__, "name": self.model.name},
            "n_users": self.n_users,
            "n_items": self.n_items,
            "inputs": str(inspect.signature(self._inputs)),
            "output": "a function" if callable(self._output) else self._output,
            "chunk": self.chunk,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KerasRecommender":
        raise TypeError(
            "KerasRecommender holds functions, which are not stored. Load the model inside with "
            "keras.saving.load_model, and make the KerasRecommender around it again."
        )

    def _probe(self) -> list[tf.Tensor]:
        """The first and the last row of each side: a call with them makes the variables."""
        users = tf.constant([0, self.n_users - 1])
        return [users, tf.constant([0, self.n_items - 1])] if self.of_pairs else [users]

    def _scores(self, *rows: tf.Tensor, training: bool | None) -> tf.Tensor:
        """The model's scores: float32 `(n,)` of pairs, `(n, n_items)` of users."""
        given = {"training": training} if self.model._call_has_training_arg else {}
        scores = _picked(self.model(self._inputs(*rows), **given), self._output)
        found = scores.shape
        if self.of_pairs and found.rank == 2 and found[1] == 1:
            scores = scores[:, 0]
        wanted = [None] if self.of_pairs else [None, self.n_items]
        count = rows[0].shape[0]
        whole = [count, *wanted[1:]]
        if not scores.shape.is_compatible_with(whole) or not scores.dtype.is_floating:
            raise ValueError(
                f"the model gives {scores.dtype.name} of shape {found} for "
                f"{'?' if count is None else count} {'pairs' if self.of_pairs else 'users'}; "
                f"expected floating-point scores {_expected(self.of_pairs, self.n_items)}. "
                "inputs(users, items) is for models that score pairs, inputs(users) for those "
                "that score all items at once; output names one output, or is a function of it."
            )
        return tf.cast(tf.ensure_shape(scores, wanted), tf.float32)

    def _in_chunks(self, users: tf.Tensor) -> tf.Tensor:
        """Scores of the whole catalogue, the model called on at most `chunk` rows at once."""
        width = self.n_items if self.of_pairs else 1
        total = tf.size(users, tf.int64) * width
        size = tf.minimum(tf.constant(self.chunk, tf.int64), tf.maximum(total, 1))

        def at(start: tf.Tensor) -> tf.Tensor:
            place = tf.minimum(start + tf.range(size), total - 1)
            rows = [tf.gather(users, place // width)]
            if self.of_pairs:
                rows.append(tf.cast(place % width, tf.int32))
            return self._scores(*rows, training=False)

        shape = [None] if self.of_pairs else [None, self.n_items]
        parts = tf.map_fn(
            at,
            tf.range(0, total, size),
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
            parallel_iterations=1,
        )
        scores = tf.reshape(parts, [-1, *shape[1:]])[:total]
        return tf.ensure_shape(tf.reshape(scores, [-1, self.n_items]), [None, self.n_items])


def _takes_pairs(inputs: Callable[..., Any]) -> bool:
    """Whether `inputs` takes users and items, or users alone."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p
        for p in inspect.signature(inputs).parameters.values()
        if p.default is p.empty and p.kind in kinds
    ]
    if len(needed) not in (1, 2):
        raise TypeError(
            "inputs must be a function of (users, items), for a model that scores pairs, or of "
            f"(users), for one that scores all items of a user. Received: {inputs!r} with "
            f"{inspect.signature(inputs)}"
        )
    return len(needed) == 2


def _picked(outputs: Any, output: str | int | Callable[[Any], Any] | None) -> tf.Tensor:
    """One output of a model."""
    if callable(output):
        outputs = output(outputs)
    elif output is not None:
        try:
            outputs = outputs[output]
        except (KeyError, IndexError, TypeError):
            raise ValueError(
                f"the model has no output {output!r}. It gives {_described(outputs)}."
            ) from None
    if not tf.is_tensor(outputs):
        raise ValueError(
            f"the model gives {_described(outputs)}. Name the one with the scores: output='...', "
            "its position, or a function of all of it."
        )
    return outputs


def _described(outputs: Any) -> str:
    if isinstance(outputs, dict):
        return f"outputs named {sorted(outputs)}"
    if isinstance(outputs, list | tuple):
        return f"{len(outputs)} outputs, at positions 0 to {len(outputs) - 1}"
    return f"one output, a {type(outputs).__name__}"


def _expected(of_pairs: bool, n_items: int) -> str:
    return "(pairs,) or (pairs, 1)" if of_pairs else f"(users, {n_items})"


def _check_numbers(scores: tf.Tensor, users: tf.Tensor) -> None:
    if not tf.reduce_any(tf.math.is_nan(scores)):
        return
    row, item = np.argwhere(np.isnan(scores))[0]
    raise ValueError(
        f"the model scores NaN for user row {int(users[row])} and item row {item}, and maybe for "
        "others. Look for a diverged training run (lower the learning rate, clip the gradients) "
        "or for missing values in the features that `inputs` gathers."
    )
