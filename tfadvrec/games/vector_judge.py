"""The discriminator of a vector and the attributes that it should belong to."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfadvrec.games.networks import dense
from tfadvrec.models.attribute_recommender import AttributeRecommender
from tfadvrec.models.tower import Tower


class VectorJudge(keras.Model):
    """Says how well a vector fits the attributes of a row.

    The attributes' code and the vector are turned to one width; a network sees both and their
    product, coordinate by coordinate, so that whether they fit does not have to be found out by
    additive layers.

    Args:
        model: The recommender whose attributes are read; the judge has vectors of its own for
            their values, and copies only which values each row has.
        width: Width that code and vector are brought to.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that training drops.
        seed: Seed of the initial values and of dropout.
        name: The Keras model name.

    Shapes: `{"row": (batch,), "vector": (batch, dimension)}` gives logits `(batch, 1)`.
    """

    def __init__(
        self,
        model: AttributeRecommender,
        *,
        width: int = 64,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        theirs = model.attributes
        self.attributes = Tower(
            rows=theirs.rows,
            dimension=width,
            columns=theirs.columns,
            id_dimension=0,
            seed=seed,
            name="attributes",
        )
        self.attributes.build()
        for mine, table in zip(self.attributes.tables, theirs.tables, strict=True):
            mine.assign(table)
        start = keras.initializers.GlorotUniform(seed=seed)
        self.project = keras.layers.Dense(width, kernel_initializer=start, name="project")
        self.project.build((None, model.dimension))
        self.network = dense(
            hidden, out=1, input_width=3 * width, dropout=dropout, seed=seed, name="network"
        )
        self.built = True

    def call(self, example: dict[str, Any], training: bool | None = None) -> Any:
        """Logits of pairs; see the class."""
        code = self.attributes(example["row"], training=training)
        vector = self.project(example["vector"])
        pair = ops.concatenate([code, vector, code * vector], axis=-1)
        return self.network(pair, training=training)
