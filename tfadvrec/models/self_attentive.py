"""Self-attention over a user's last events."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfadvrec.models.attention_block import AttentionBlock
from tfadvrec.models.sequence_recommender import SequenceRecommender
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class SelfAttentive(SequenceRecommender):
    """Ranks what comes next by causal self-attention over the last events (SASRec).

    Item vectors times the square root of `dimension`, plus a learned vector a position, go through
    blocks that normalise before they attend; the last event's result, normalised, is the user's
    vector. Train it on `tfadvrec.data.sequences` of the same `length`.

    Args:
        n_users: Number of users. No weight has a row a user.
        n_items: Number of items.
        dimension: Length of the vectors.
        length: How many of a user's last events are read.
        blocks: Attention blocks.
        heads: Attention heads; they divide `dimension`.
        dropout: Share that training drops, of vectors, attention and inside the blocks.
        time_aware: Whether the time since the event before is read too.
        initial_scale: Standard deviation of the truncated normal that vectors start from.
        seed: Seed of initial values and dropout, or None.
        name: The Keras model name.

    Shapes: see `Recommender`; histories and candidates for each event: see `call`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> from tfadvrec.data import Interactions
    >>> log = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"], time=[1, 2, 3])
    >>> model = SelfAttentive(n_users=2, n_items=2, dimension=4, length=3, seed=0).bind(log)
    >>> known = model.score_catalogue([0])
    >>> bool(np.allclose(model.score_history([[0, 1, -1]]), known, atol=1e-6))  # jam, then tea
    True

    Reference: Kang, McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section III;
    moved history vectors: Miyato, Dai, Goodfellow, Adversarial Training Methods for
    Semi-Supervised Text Classification, ICLR 2017.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 50,
        length: int = 50,
        blocks: int = 2,
        heads: int = 1,
        dropout: float = 0.5,
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
        if blocks < 1 or heads < 1 or dimension % heads:
            raise ValueError(
                "blocks must be 1 or more, and heads divide dimension. Received: "
                f"blocks={blocks!r}, heads={heads!r}, dimension={dimension!r}"
            )
        self.blocks, self.heads = int(blocks), int(heads)
        self.positions = self.add_weight(
            shape=(length, dimension),
            initializer=keras.initializers.TruncatedNormal(
                stddev=initial_scale, seed=self.part_seed("positions")
            ),
            name="positions",
        )
        self.layers_of_attention = [
            AttentionBlock(
                dimension=dimension,
                heads=heads,
                dropout=dropout,
                seed=self.part_seed(f"block_{depth}"),
                name=f"block_{depth}",
            )
            for depth in range(blocks)
        ]
        self.normalize = keras.layers.LayerNormalization(epsilon=1e-8, name="norm_out")
        for layer in (*self.layers_of_attention, self.normalize):
            layer.build((None, length, dimension))
        self._causal = np.tri(length, dtype=bool)[None]
        self.built = True

    def read(self, vectors: tf.Tensor, known: tf.Tensor, training: bool | None) -> tf.Tensor:
        """See `SequenceRecommender.read`."""
        shown = ops.cast(known, vectors.dtype)[..., None]
        values = vectors + ops.cast(self.positions, vectors.dtype)
        values = self.drop(values, training=training) * shown
        mask = ops.logical_and(known[:, None, :], ops.convert_to_tensor(self._causal))
        for block in self.layers_of_attention:
            values = block(values, mask, training=training) * shown
        return self.normalize(values) * shown

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "blocks": self.blocks, "heads": self.heads}
