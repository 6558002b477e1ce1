"""Terms of a game's losses that need more than logits: slopes, features, noise."""

from typing import Any

import keras
import tensorflow as tf

from tfadvrec.games import noise
from tfadvrec.games.states import in_float32, leaves


def slopes(game: Any, example: Any) -> tf.Tensor:
    """Squared length of the discriminator's gradient at each pack of examples.

    Computed in float32 under any precision: in float16 its second derivative drives the loss
    scale to 1.

    Args:
        game: The game, for its `judge`.
        example: Where; only what is made counts, not what is given.

    Returns:
        float32 `(packs,)`, differentiable in the discriminator's weights.
    """
    made = [tf.cast(part, tf.float32) for part in leaves(game, example)]
    with tf.GradientTape() as tape, in_float32(game.discriminator):
        for part in made:
            tape.watch(part)
        total = tf.reduce_sum(game.judge(game._changed(example, made)))
    found = [g for g in tape.gradient(total, made) if g is not None]
    packs = tf.shape(made[0])[0] // game.packing
    return tf.add_n([tf.reduce_sum(tf.square(tf.reshape(g, [packs, -1])), axis=1) for g in found])


def feature_distance(game: Any, real: Any, fake: Any) -> tf.Tensor:
    """Squared distance of the mean features of real and generated examples, a scalar.

    Reference: Salimans et al., Improved Techniques for Training GANs, NIPS 2016, section 3.1.

    Raises:
        ValueError: The discriminator is no `keras.Sequential`, whose layers can be stopped at.
    """
    if not isinstance(game.discriminator, keras.Sequential):
        raise ValueError(
            "feature_matching reads the input of the last layer of a keras.Sequential. Received "
            f"a discriminator of {type(game.discriminator).__name__}"
        )

    def mean(example: Any) -> tf.Tensor:
        values = game.packed(example)
        for layer in game.discriminator.layers[:-1]:
            wants = {"training": True} if layer._call_has_training_arg else {}
            values = layer(values, **wants)
        return tf.reduce_mean(tf.cast(values, tf.float32), axis=0)

    return tf.reduce_sum(tf.square(tf.stop_gradient(mean(real)) - mean(fake)))


def added_noise(values: list[tf.Tensor], deviation: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
    """Tensors with normal noise added."""
    drawn = [noise.normal_batch(noise.fold(seed, i), tf.shape(v)) for i, v in enumerate(values)]
    return [v + tf.cast(deviation * d, v.dtype) for v, d in zip(values, drawn, strict=True)]
