"""A recurrent network over a user's last events."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec.models.dropout import Dropout
from tfadvrec.models.sequence_recommender import SequenceRecommender
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class Recurrent(SequenceRecommender):
    """Ranks what comes next by gated recurrent units that read the last events (GRU4Rec).

    The state after the last event, mapped linearly to `dimension`, is the user's vector. Train it
    on `tfadvrec.data.sequences` of the same `length`.

    Args:
        n_users: Number of users. No weight has a row a user.
        n_items: Number of items.
        dimension: Length of the vectors.
        length: How many of a user's last events are read.
        units: Width of the state.
        layers: Recurrent layers, one on top of the other.
        dropout: Share of each layer's inputs that training drops.
        time_aware: Whether the time since the event before is read too.
        initial_scale: Standard deviation of the truncated normal that item vectors start from.
        seed: Seed of initial values and dropout, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; histories and candidates for each event: see `call`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> model = Recurrent(n_users=1, n_items=9, dimension=4, length=3, units=5, seed=0)
    >>> model.embed_history([[8, 1, -1], [2, -1, -1]]).shape
    TensorShape([2, 4])

    Reference: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR
    2016; trained on every event with sampled negatives, Hidasi, Karatzoglou, CIKM 2018.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 64,
        length: int = 50,
        units: int = 100,
        layers: int = 1,
        dropout: float = 0.25,
        time_aware: bool = False,
        initial_scale: float = 0.05,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            n_users=n_users,
            n_items=n_items,
            dimension=dimension,
            length=length,
            dropout=dropout,
            time_aware=time_aware,
            initial_scale=initial_scale,
            seed=seed,
            name=name,
        )
        if units < 1 or layers < 1:
            raise ValueError(
                f"units and layers must be 1 or more. Received: units={units!r}, layers={layers!r}"
            )
        self.units, self.depth = int(units), int(layers)
        self.cells = [self._cell(number) for number in range(layers)]
        self.drops = [self.drop] + [
            Dropout(dropout, seed=self.part_seed(f"drop_{n}"), name=f"drop_{n}")
            for n in range(1, layers)
        ]
        self.out = keras.layers.Dense(
            dimension,
            kernel_initializer=keras.initializers.GlorotUniform(seed=self.part_seed("out")),
            name="out",
        )
        for layer in (*self.drops[1:], self.out):
            layer.build((None, length, units))
        self.built = True

    def _cell(self, number: int) -> keras.layers.GRU:
        layer = keras.layers.GRU(
            self.units,
            return_sequences=True,
            use_cudnn=False,  # it cannot be compiled by XLA, and wants padding behind
            kernel_initializer=keras.initializers.GlorotUniform(
                seed=self.part_seed(f"kernel_{number}")
            ),
            recurrent_initializer=keras.initializers.Orthogonal(
                seed=self.part_seed(f"recurrent_{number}")
            ),
            name=f"gru_{number}",
        )
        layer.build((None, self.length, self.units if number else self.dimension))
        return layer

    def read(self, vectors: tf.Tensor, known: tf.Tensor, training: bool | None) -> tf.Tensor:
        """See `SequenceRecommender.read`."""
        values = vectors
        for drop, cell in zip(self.drops, self.cells, strict=True):
            values = cell(drop(values, training=training), mask=known, training=training)
        return self.out(values)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "layers": self.depth}
