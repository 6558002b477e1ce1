"""The discriminator of (user, class, item), where the item is a distribution over the catalogue."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfadvrec.games.networks import dense


class TripleJudge(keras.Model):
    """Says how much a triple looks like an interaction.

    The inner product of the user's and the item's vector, plus what a network makes of both, of
    the class and of their product.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        classes: Number of classes.
        dimension: Length of the vectors.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that training drops.
        seed: Seed of the initial values and of dropout.
        name: The Keras model name.

    Shapes: `{"user_id": (batch,), "class": (batch,), "item": (batch, n_items)}` gives logits
    `(batch, 1)`.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        classes: int,
        dimension: int = 32,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        tables = {}
        for offset, (key, size) in enumerate(
            {"user": n_users, "class": classes, "item": n_items}.items()
        ):
            start = keras.initializers.TruncatedNormal(stddev=0.1, seed=3 * seed + offset)
            tables[key] = self.add_weight(
                shape=(size, dimension), initializer=start, name=f"{key}_vectors"
            )
        self.tables = tables
        self.network = dense(
            hidden,
            out=1,
            input_width=4 * dimension,
            dropout=dropout,
            seed=seed,
            name="network",
        )
        self.built = True

    def call(self, example: dict[str, Any], training: bool | None = None) -> Any:
        """Logits of triples; see the class."""
        user = ops.take(self.tables["user"], example["user_id"], axis=0)
        kind = ops.take(self.tables["class"], example["class"], axis=0)
        item = ops.matmul(example["item"], self.tables["item"])
        match = ops.concatenate([user, kind, item, user * item], axis=-1)
        fit = ops.sum(user * item, axis=-1, keepdims=True)
        return self.network(match, training=training) + fit
