"""A network that rebuilds whole rows of interactions; what it fills in is the recommendation."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec._row_sums import row_sums
from tfadvrec.data import Interactions
from tfadvrec.data.multi_hot import multi_hot
from tfadvrec.models.baselines.fitting import bound
from tfadvrec.models.history import History
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.row_network import RowNetwork
from tfadvrec.presets import register

SIDES = ("item", "user")


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class CollaborativeGenerator(Recommender):
    """Maps a row of interactions to a row of scores, through dense layers with a linear output.

    With `side="item"` a row is an item and its columns are the users who took it; with
    `side="user"` a row is a user and its columns the items taken. `games.CollaborativeGame` trains
    it. The output layer is linear, so a score is an inner product: on one side the last hidden
    values of the row, on the other the output layer's column, with the bias appended. Vectors are
    computed from the bound log whenever they are asked for and never kept.

    With `side="item"` no weight has a row an item: a new item is ranked as soon as a bound log
    says who took it. With `side="user"` the same holds for users, who can also be given by their
    history alone.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        hidden: Widths of the hidden layers, at least one.
        side: Whose rows are rebuilt, `"item"` or `"user"`.
        activation: A Keras activation's name, that of the hidden layers.
        condition: What a row is rebuilt from: its `"profile"` of interactions, its `"row"` number
            (a one-hot input), or `"both"`. With `"row"` no log is needed for ranking.
        noise: Width of a noise input; ranking takes noise zero.
        seed: Seed of the initial values, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; besides, `{"history": (batch, length)}` in place of users
    (`side="user"` only), no `"item_id"` for the whole catalogue, and `{"profile": (batch, width)}`
    (with `"row": (batch,)` where that is a condition) for the rebuilt rows `(batch, width)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"])
    >>> model = CollaborativeGenerator(n_users=2, n_items=2, hidden=[8], seed=0).bind(log)
    >>> bought = np.array([[1.0, 0.0]])  # jam: by the first user
    >>> bool(np.allclose(model({"profile": bought})[0], model.score_catalogue([0, 1])[:, 0]))
    True

    Reference: Chae et al., CFGAN: A Generic Collaborative Filtering Framework based on Generative
    Adversarial Networks (CIKM 2018), section 3; rows by number: Perez Maurera et al., An
    Evaluation Study of Generative Adversarial Networks for Collaborative Filtering (ECIR 2022).
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        hidden: Sequence[int] = (400,),
        side: str = "item",
        activation: str = "sigmoid",
        condition: str = "profile",
        noise: int = 0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        if side not in SIDES:
            raise ValueError(f"side must be one of {SIDES}. Received: {side!r}")
        self.hidden, self.side, self.activation = tuple(hidden), side, activation
        self.condition, self.noise, self.seed = condition, int(noise), seed
        self.width, self.n_rows = (n_items, n_users) if side == "user" else (n_users, n_items)
        self.network = RowNetwork(
            width=self.width,
            n_rows=self.n_rows,
            hidden=self.hidden,
            activation=activation,
            condition=condition,
            noise=self.noise,
            seed=seed,
            name="network",
        )
        self._history: History | None = None
        self._profiles: History | None = None
        self.built = True

    def bind(self, log: Interactions) -> Self:
        """Takes the log's ids, and its interactions as the rows to rebuild."""
        super().bind(log)
        matrix = log.csr()
        self._history = History(matrix)
        self._profiles = self._history if self.side == "user" else History(matrix.T.tocsr())
        return self

    # -- the network ----------------------------------------------------------------------

    def rebuild(self, profile: Any, rows: Any = None, noise: Any = None) -> tf.Tensor:
        """What the network makes of rows of interactions.

        Args:
            profile: `(batch, width)` of ones and zeros.
            rows: `(batch,)`, which rows these are, where the condition has them.
            noise: `(batch, noise)`, zero where None.

        Returns:
            `(batch, width)`.
        """
        return self.network(profile, rows, noise)

    def _row_vectors(self, rows: Any, *, compiled: bool = False) -> tf.Tensor:
        """The last hidden values of rows of the bound log, with a 1 appended."""
        first = None
        if self.condition != "row":
            log = bound(self._profiles, self)  # XLA knows no sparse tensors
            first = self.network.first(log.dense(rows) if compiled else log.sparse(rows))
        return self._with_one(self.network.last_hidden(first, rows))

    def _column_vectors(self, rows: Any) -> tf.Tensor:
        """The output layer's columns, with the bias appended."""
        out = self.network.out
        kernel = ops.take(ops.transpose(out.kernel), rows, axis=0)
        return ops.concatenate([kernel, ops.take(out.bias, rows, axis=0)[:, None]], axis=-1)

    @staticmethod
    def _with_one(values: tf.Tensor) -> tf.Tensor:
        return ops.concatenate([values, ops.ones_like(values[:, :1])], axis=-1)

    # -- ranking --------------------------------------------------------------------------

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users, `(batch, last hidden width + 1)`."""
        rows = check_rows(rows, self.n_users, "user")
        return self._row_vectors(rows) if self.side == "user" else self._column_vectors(rows)

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items, `(batch, last hidden width + 1)`."""
        rows = check_rows(rows, self.n_items, "item")
        return self._column_vectors(rows) if self.side == "user" else self._row_vectors(rows)

    def embed_history(self, history: Any) -> tf.Tensor:
        """Vectors of users who are known by what they took, for `side="user"`.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Raises:
            ValueError: Rows are items, or the condition needs to know which user it is.
        """
        if self.side != "user" or self.condition != "profile":
            raise ValueError(
                "a history alone is ranked with side='user' and condition='profile'. Received: "
                f"side={self.side!r}, condition={self.condition!r}"
            )
        first = self.network.first(multi_hot(history, self.n_items))
        return self._with_one(self.network.last_hidden(first))

    def score_history(self, history: Any) -> tf.Tensor:
        """Scores of every item for users who are known by what they took; see `embed_history`.

        Args:
            history: int item rows `(batch, length)`, -1 as padding.

        Returns:
            float32 `(batch, n_items)`.
        """
        users, items = self.embed_history(history), self.embed_items(tf.range(self.n_items))
        return tf.matmul(tf.cast(users, tf.float32), tf.cast(items, tf.float32), transpose_b=True)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        if "profile" in inputs:
            return self.rebuild(inputs["profile"], inputs.get("row"))
        every = ops.arange(self.n_items, dtype="int32")
        items = ops.convert_to_tensor(inputs.get("item_id", every))
        if self.side == "user":
            if "history" in inputs:
                users = self.embed_history(inputs["history"])
            else:
                users = self._row_vectors(inputs["user_id"], compiled=bool(training))
            candidates = self._column_vectors(ops.reshape(items, [-1]))
        else:
            users = self._column_vectors(ops.convert_to_tensor(inputs["user_id"]))
            candidates = self._row_vectors(ops.reshape(items, [-1]), compiled=bool(training))
        if len(items.shape) == 1:
            return ops.matmul(users, ops.transpose(candidates))
        candidates = ops.reshape(candidates, [*ops.shape(items), users.shape[-1]])
        return row_sums(users[:, None, :] * candidates)[..., 0]

    def history_lengths(self, users: Any) -> np.ndarray:
        """How many items users took in the bound log, int64 `(batch,)`."""
        return np.diff(bound(self._history, self).starts.numpy())[np.asarray(users)]

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The layers that have a row a column of the profile, or a row a row."""
        across = "item" if self.side == "user" else "user"
        network = self.network
        sides = {network.out.kernel.path: (across, 1), network.out.bias.path: (across, 0)}
        for key, side in (("profile", across), ("row", self.side)):
            if key in network.kernels:
                sides[network.kernels[key].path] = (side, 0)
        return sides

    def probe_inputs(self) -> dict[str, np.ndarray]:
        """A few rows of interactions, as a preset's probe asks for."""
        rows = np.linspace(0, self.n_rows - 1, min(4, self.n_rows)).astype(np.int32)
        columns = np.arange(self.width)[None, :]
        profile = ((columns * 7 + rows[:, None]) % 11 == 0).astype(np.float32)
        return {"profile": profile, **({"row": rows} if self.condition != "profile" else {})}

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "hidden": list(self.hidden),
            "side": self.side,
            "activation": self.activation,
            "condition": self.condition,
            "noise": self.noise,
            "seed": self.seed,
            "name": self.name,
        }
