"""SimGCL and XSimGCL: LightGCN with noise on the way, and views of a vector drawn together."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.models.light_gcn import LightGCN
from tfadvrec.presets import register


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class SimGCL(LightGCN):
    """LightGCN that also draws noisy views of a batch's vector together, and apart from others'.

    In training noise of length `noise` that keeps every coordinate's sign is added after each
    layer. A contrastive loss (InfoNCE of cosines) compares views of the batch's users, and of its
    items. With `cross_layer` None two noisy passes are compared, and a clean third one ranks
    (SimGCL); with a number, one noisy pass ranks, and its output is compared with that layer
    (XSimGCL: a third of the work). What ranks is the mean over layers 1 to `layers`.

    Args:
        n_users: Number of users.
        n_items: Number of items.
        dimension: Length of the vectors.
        layers: How often vectors are spread, 1 or more.
        contrast: Weight of the contrastive loss, beside a ranking loss that is summed over the
            batch: the two means are multiplied by the batch size.
        noise: Length of the noise that is added to each vector after each layer.
        temperature: What cosines are divided by.
        cross_layer: The layer that the output is compared with, from 1 to `layers`; None for two
            passes.
        regularization: As in `LightGCN`.
        initial_scale: As in `LightGCN`.
        seed: Seed of initial values and noise, or None.
        name: The Keras model name.

    Shapes: see `Recommender`.

    Reference: Yu et al., Are Graph Augmentations Necessary? SIGIR 2022, equations 7 and 8; Yu et
    al., XSimGCL, TKDE 2023, equation 10.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dimension: int = 64,
        layers: int = 3,
        contrast: float = 0.2,
        noise: float = 0.2,
        temperature: float = 0.15,
        cross_layer: int | None = 1,
        regularization: float = 1e-4,
        initial_scale: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            n_users=n_users,
            n_items=n_items,
            dimension=dimension,
            layers=layers,
            regularization=regularization,
            initial_scale=initial_scale,
            seed=seed,
            name=name,
        )
        if layers < 1 or (cross_layer is not None and not 1 <= cross_layer <= layers):
            raise ValueError(
                "layers must be 1 or more, and cross_layer None or from 1 to layers. Received: "
                f"layers={layers}, cross_layer={cross_layer}"
            )
        if contrast < 0 or noise < 0 or temperature <= 0:
            raise ValueError(
                "contrast and noise must be 0 or more and temperature above 0. Received: "
                f"contrast={contrast}, noise={noise}, temperature={temperature}"
            )
        self.contrast, self.noise, self.temperature = contrast, noise, temperature
        self.cross_layer = cross_layer
        self.noise_seed = keras.random.SeedGenerator(seed)

    def spread(self) -> tf.Tensor:
        """The mean over layers 1 to the last, `(n_users + n_items, dimension)`, users first."""
        return _mean(self._noisy_layers(noise=0.0))

    def _noisy_layers(self, *, noise: float) -> list[tf.Tensor]:
        vectors, layers = self._together(), []
        for _ in range(self.depth):
            vectors = self.graph.neighbours(vectors)
            if noise:
                vectors += self._noise(vectors, noise)
            layers.append(vectors)
        return layers

    def _noise(self, vectors: tf.Tensor, length: float) -> tf.Tensor:
        """Noise of one length a row, whose coordinates have the signs of the vectors'."""
        drawn = keras.random.uniform(tf.shape(vectors), seed=self.noise_seed)
        return length * tf.sign(tf.stop_gradient(vectors)) * tf.math.l2_normalize(drawn, axis=-1)

    def _spread(self, users: Any, items: Any) -> tf.Tensor:
        if not self.contrast:
            return (
                _mean(self._noisy_layers(noise=self.noise)) if self.cross_layer else self.spread()
            )
        layers = self._noisy_layers(noise=self.noise)
        view = _mean(layers)
        if self.cross_layer is None:
            other, ranking = _mean(self._noisy_layers(noise=self.noise)), self.spread()
        else:
            other, ranking = layers[self.cross_layer - 1], view
        positive = items if items.shape.rank == 1 else items[:, 0]
        nodes = [tf.reshape(users, [-1]), positive + self.n_users]
        apart = [self._contrast(view, other, tf.unique(rows)[0]) for rows in nodes]
        batch = tf.cast(tf.shape(users)[0], view.dtype)
        self.add_loss(_replicas.summed(self.contrast * batch * tf.add_n(apart)))
        return ranking

    def _contrast(self, view: tf.Tensor, other: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """InfoNCE of the rows' two views, averaged."""
        first, second = (
            tf.math.l2_normalize(tf.gather(table, rows), axis=-1) for table in (view, other)
        )
        return _information(first, second / self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "contrast": self.contrast,
            "noise": self.noise,
            "temperature": self.temperature,
            "cross_layer": self.cross_layer,
        }


def _mean(layers: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(layers) / len(layers)


@tf.custom_gradient
def _information(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Mean cross-entropy of picking each row's own partner, by inner products `(rows, rows)`.

    The gradient needs the softmax alone: a third of what is computed where every step between
    products and loss is differentiated by itself.
    """
    products = tf.matmul(first, second, transpose_b=True)
    shares = tf.nn.softmax(products)
    # the logarithm of the sum, from the largest share: no other can be trusted not to be 0
    total = tf.reduce_max(products, axis=1) - tf.math.log(tf.reduce_max(shares, axis=1))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        each = upstream / tf.cast(tf.shape(first)[0], first.dtype)
        return (
            each * (tf.matmul(shares, second) - second),
            each * (tf.matmul(shares, first, transpose_a=True) - first),
        )

    return tf.reduce_mean(total - tf.reduce_sum(first * second, axis=1)), gradient
