"""What every ranker can do."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.data.checks import DataError
from tfadvrec.training.blocks import BlockTraining

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "tfadvrec trains and serves on TensorFlow, but Keras runs on the "
        f"{keras.backend.backend()!r} backend in this process. Set KERAS_BACKEND=tensorflow before "
        "anything imports keras."
    )


class Recommender(BlockTraining, keras.Model):
    """A Keras model that ranks a catalogue for users.

    A subclass builds its weights in the constructor and implements `call` and `score_catalogue`;
    a factorised one implements `embed_users` and `embed_items` and gets `score_catalogue` from
    them. Users and items are *rows* of the model's tables; `bind` or `set_ids` tells which id of
    the caller each row stands for.

    Args:
        n_users: Rows of the user side.
        n_items: Rows of the item side.
        name: The Keras model name.

    Shapes of `call`: `{"user_id": (batch,), "item_id": (batch, candidates)}` gives scores
    `(batch, candidates)`; an `item_id` of shape `(candidates,)` means the same candidates for
    every user.
    """

    def __init__(self, *, n_users: int, n_items: int, name: str | None = None) -> None:
        super().__init__(name=name)
        for label, size in (("n_users", n_users), ("n_items", n_items)):
            if not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{label} must be a positive integer. Received: {size!r}")
        self.n_users, self.n_items = int(n_users), int(n_items)
        self._ids: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        self.matched: Any = None

    # -- ids ------------------------------------------------------------------------------

    @property
    def user_ids(self) -> np.ndarray | None:
        """The caller's id of each user row, or None before `bind` or `set_ids`."""
        return self._ids[0]

    @property
    def item_ids(self) -> np.ndarray | None:
        """The caller's id of each item row, or None before `bind` or `set_ids`."""
        return self._ids[1]

    def set_ids(self, user_ids: np.ndarray | None, item_ids: np.ndarray | None) -> None:
        """Names the rows.

        Args:
            user_ids: `(n_users,)` unique ids, text or integer, or None.
            item_ids: `(n_items,)` unique ids, text or integer, or None.

        Raises:
            ValueError: A length differs from the table's.
        """
        for label, ids, size in (
            ("user_ids", user_ids, self.n_users),
            ("item_ids", item_ids, self.n_items),
        ):
            if ids is not None and len(ids) != size:
                raise ValueError(f"{label} must name {size} rows. Received: {len(ids)} ids")
        self._ids = (user_ids, item_ids)

    def bind(self, log: "Interactions") -> "Recommender":
        """Takes the ids of a log, and, in models that need it, the users' history.

        Keras's functions that were traced with another log are traced anew when they are next
        used. A training around the model (`AdversarialTraining`) has its own: compile it again.

        Args:
            log: Interactions whose vocabularies have this model's rows.

        Returns:
            The model itself.
        """
        self.set_ids(log.user_ids, log.item_ids)
        self.train_function = self.test_function = self.predict_function = None
        return self

    # -- scores ---------------------------------------------------------------------------

    def score_catalogue(self, users: Any) -> tf.Tensor:
        """Scores of every item for each user.

        Args:
            users: `(batch,)` integer rows.

        Returns:
            float32 `(batch, n_items)`.
        """
        rows = check_rows(users, self.n_users, "user")
        users = tf.cast(self.embed_users(rows), tf.float32)
        items = tf.cast(self.embed_items(tf.range(self.n_items)), tf.float32)
        return tf.matmul(users, items, transpose_b=True)

    def predict(self, x: Any, **options: Any) -> np.ndarray:
        """As in Keras, after a check that every row exists."""
        if isinstance(x, Mapping):
            for key, size in (("user_id", self.n_users), ("item_id", self.n_items)):
                if key in x:
                    check_rows(x[key], size, key.removesuffix("_id"))
        return super().predict(x, **options)

    def recommend(
        self,
        users: Sequence[Any],
        k: int = 10,
        *,
        exclude: "Interactions | None" = None,
        unknown: str = "error",
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best items of each user, in the caller's own ids.

        Args:
            users: User ids.
            k: How many items, at most `n_items`.
            exclude: A log whose interactions are left out of its users' lists (usually the
                training log), or None. It has the model's own ids, in the model's order.
            unknown: What a user id that the model does not know gets: `"error"`, the ranking of
                the `"mean"` user, or an `"empty"` row.

        Returns:
            Item ids `(users, k)` and scores `(users, k)`, best first. A slot that nothing is
            left for has an empty id (text) or -1 (integers) and the lowest float32 as its score.

        Raises:
            DataError: An unknown user id with `unknown="error"`, or `exclude` has other ids.
        """
        from tfadvrec.models.ranking import recommend

        return recommend(self, users, k, exclude=exclude, unknown=unknown)

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """Which weights have a row a user or an item: `{path: ("user" | "item", axis)}`."""
        return {
            path: (side, 0)
            for path, side in ((w.path, self._side(w)) for w in self.weights)
            if side is not None
        }

    def _side(self, weight: keras.Variable) -> str | None:
        names = weight.path.split("/")
        for side in ("user", "item"):
            if any(part in (f"{side}_embedding", f"{side}_rows") for part in names):
                return side
        return None

    @classmethod
    def from_preset(
        cls,
        preset: str,
        item_ids: Sequence[Any] | None = None,
        user_ids: Sequence[Any] | None = None,
        id_map: Mapping[Any, Any] | str | None = None,
        **options: Any,
    ) -> "Recommender":
        """Loads a zoo preset by name, or a preset folder by path; see `tfadvrec.presets.load`."""
        from tfadvrec import presets

        return presets.load(
            preset, item_ids=item_ids, user_ids=user_ids, id_map=id_map, expected=cls, **options
        )

    def save_to_preset(self, folder: str, **options: Any) -> None:
        """Writes a preset folder; see `tfadvrec.presets.save`."""
        from tfadvrec import presets

        presets.save(self, folder, **options)


def check_rows(rows: Any, size: int, side: str) -> tf.Tensor:
    """Checks that integer rows exist, where their values are known, and makes them a tensor.

    Inside a compiled graph values are not known, and a row out of range is silently another row:
    so this runs at the boundary.

    Args:
        rows: Integer rows, any shape.
        size: The number of rows of the table.
        side: `"user"` or `"item"`, for the message.

    Returns:
        int32 tensor of the same shape.

    Raises:
        DataError: A row is not an integer, negative, or not below `size`.
    """
    if isinstance(rows, keras.KerasTensor) or (tf.is_tensor(rows) and not hasattr(rows, "numpy")):
        return tf.cast(rows, tf.int32)
    values = np.asarray(rows)
    if values.dtype.kind not in "iu":
        raise DataError(
            f"{side} rows must be integers. Received: {values.dtype}, first values "
            f"{values.ravel()[:5].tolist()}. Look ids up first: log.lookup_users(ids), "
            "log.lookup_items(ids)."
        )
    bad = np.flatnonzero((values.ravel() < 0) | (values.ravel() >= size))
    if len(bad):
        shown = ", ".join(f"{values.ravel()[i]} at position {i}" for i in bad[:5])
        raise DataError(
            f"{len(bad)} {side} rows lie outside the table of {size} rows "
            f"(0 to {size - 1}): {shown}."
        )
    return tf.convert_to_tensor(values, tf.int32)
