"""Losses of games, as values: what the discriminator and the generator make of its logits."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class GameLoss:
    """What both sides of a game minimise, from the discriminator's logits.

    Every loss is a mean over examples (or packs of them). The penalties belong to the loss,
    because some losses are wrong without them; the game computes them.

    Args:
        gradient_penalty: Weight of the penalty that draws the length of the discriminator's
            gradient to 1, between real and generated examples.
        r1: Weight gamma of `gamma / 2` times the squared length of that gradient at real examples.
        label_smoothing: How far below 1 the real examples' target lies, for losses with targets.

    Example:

    >>> import tensorflow as tf
    >>> zeros = tf.zeros([4])
    >>> losses = (NonSaturating(), LeastSquares(), Hinge())
    >>> [round(float(loss.discriminator(zeros, zeros)), 3) for loss in losses]
    [1.386, 0.5, 2.0]

    Raises:
        ValueError: A weight is negative, or the smoothing outside 0 to 1.
    """

    has_accuracy = True

    def __init__(
        self,
        *,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        if not (gradient_penalty >= 0 and r1 >= 0):
            raise ValueError(
                "gradient_penalty and r1 must be 0 or more. Received: "
                f"gradient_penalty={gradient_penalty!r}, r1={r1!r}"
            )
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1). Received: {label_smoothing!r}")
        self.gradient_penalty, self.r1 = float(gradient_penalty), float(r1)
        self.label_smoothing = float(label_smoothing)

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """What the discriminator minimises.

        Args:
            real: Logits of real examples, any shape.
            fake: Logits of generated ones.

        Returns:
            A scalar.
        """
        raise NotImplementedError

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        """What the generator minimises; see `discriminator`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "gradient_penalty": self.gradient_penalty,
            "r1": self.r1,
            "label_smoothing": self.label_smoothing,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GameLoss":
        """The loss that `get_config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({settings})"


class _CrossEntropy(GameLoss):
    """The discriminator's cross-entropy, which two losses share."""

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        smooth = self.label_smoothing
        of_real = (1.0 - smooth) * ops.softplus(-real) + smooth * ops.softplus(real)
        return ops.mean(of_real) + ops.mean(ops.softplus(fake))


@keras.saving.register_keras_serializable(package="tfadvrec.games")
class Minimax(_CrossEntropy):
    """Cross-entropy; the generator maximises what the discriminator minimises.

    Its gradient vanishes when the discriminator is sure: mostly of interest as the definition.

    Args: see `GameLoss`.

    Reference: Goodfellow et al., Generative Adversarial Nets, NIPS 2014, equation 1.
    """

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        return -ops.mean(ops.softplus(fake))


@keras.saving.register_keras_serializable(package="tfadvrec.games")
class NonSaturating(_CrossEntropy):
    """Cross-entropy; the generator maximises the chance that its examples are called real.

    Args: see `GameLoss`; with `r1=10` the form of Mescheder et al., ICML 2018.

    Reference: Goodfellow et al., Generative Adversarial Nets, NIPS 2014, section 3.
    """

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        return ops.mean(ops.softplus(-fake))


@keras.saving.register_keras_serializable(package="tfadvrec.games")
class LeastSquares(GameLoss):
    """Squared distance of the logits from 1 for real and 0 for generated examples.

    Args: see `GameLoss`.

    Reference: Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017, equation 9.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        target = 1.0 - self.label_smoothing
        return 0.5 * ops.mean(ops.square(real - target)) + 0.5 * ops.mean(ops.square(fake))

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        return 0.5 * ops.mean(ops.square(fake - 1.0))


@keras.saving.register_keras_serializable(package="tfadvrec.games")
class Hinge(GameLoss):
    """Margins of one on both sides for the discriminator, the mean logit for the generator.

    Args: see `GameLoss`; smoothing lowers the real side's margin.

    Reference: Miyato et al., Spectral Normalization for Generative Adversarial Networks, ICLR
    2018, equations 16 and 17.
    """

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        margin = 1.0 - self.label_smoothing
        return ops.mean(ops.relu(margin - real)) + ops.mean(ops.relu(1.0 + fake))

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        return -ops.mean(fake)


@keras.saving.register_keras_serializable(package="tfadvrec.games")
class Wasserstein(GameLoss):
    """The critic's mean difference, an estimate of the Wasserstein-1 distance.

    A critic must be 1-Lipschitz: by the gradient penalty, by clipping its weights, or by spectral
    normalisation of its layers (then set `gradient_penalty=0`). It calls nothing real or fake, so
    there is no accuracy; the game logs the gap between the means.

    Args:
        gradient_penalty: As in `GameLoss`.
        clip: Largest size of a critic's weight after each of its steps, or None.
        r1: As in `GameLoss`.

    Reference: Arjovsky et al., Wasserstein GAN, ICML 2017, algorithm 1 (clipping); Gulrajani et
    al., Improved Training of Wasserstein GANs, NIPS 2017, equation 3 (penalty).
    """

    has_accuracy = False

    def __init__(
        self, *, gradient_penalty: float = 10.0, clip: float | None = None, r1: float = 0.0
    ) -> None:
        super().__init__(gradient_penalty=gradient_penalty, r1=r1)
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be above 0, or None. Received: {clip!r}")
        self.clip = clip

    def discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        return ops.mean(fake) - ops.mean(real)

    def generator(self, fake: tf.Tensor) -> tf.Tensor:
        return -ops.mean(fake)

    def get_config(self) -> dict[str, Any]:
        return {"gradient_penalty": self.gradient_penalty, "clip": self.clip, "r1": self.r1}
