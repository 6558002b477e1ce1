"""The callback that balances a game: discriminator steps and noise from its accuracy."""

from typing import Any

import keras


class AdaptiveBalance(keras.callbacks.Callback):
    """Keeps the discriminator neither blind nor certain.

    After an epoch the mean of its accuracies on real and on fake examples is compared with a
    band. Above the band the discriminator is too strong: it loses a step, and where it has one
    step only, what it sees is disturbed more. Below the band it is too weak: first the
    disturbance is taken back, then it gains a step. The rules are in the order that undoes the
    last change first. Both values go into the epoch's logs (`discriminator_steps` and the
    strength under its name).

    Adaptive discriminator augmentation steers the mean sign of the real logits to 0.6, which is an
    accuracy of 0.8: the upper end of the band here. Noise that fades as the game comes into
    balance is instance noise.

    Args:
        low: Lower end of the band.
        high: Upper end.
        max_steps: Most discriminator steps for a generator step.
        strength: Name of the game's variable that disturbs what the discriminator sees, such as
            `"instance_noise"`; None to set the steps alone.
        change: What is added to the strength or taken from it after an epoch.
        max_strength: Its largest value.

    Raises:
        ValueError: If an option does not fit.

    Reference: Karras et al., Training Generative Adversarial Networks with Limited Data, NeurIPS
    2020, section 3.1; Sønderby et al., Amortised MAP Inference for Image Super-Resolution, ICLR
    2017, section 3.2.
    """

    def __init__(
        self,
        *,
        low: float = 0.6,
        high: float = 0.8,
        max_steps: int = 5,
        strength: str | None = "instance_noise",
        change: float = 0.05,
        max_strength: float = 1.0,
    ):
        super().__init__()
        if not 0.5 <= low < high < 1.0:
            raise ValueError(
                f"the band must lie between chance and certainty, 0.5 <= low < high < 1, got "
                f"low={low}, high={high}"
            )
        if max_steps < 1 or change <= 0 or max_strength < 0:
            raise ValueError(
                "max_steps must be at least 1, change above 0 and max_strength not negative, got "
                f"max_steps={max_steps}, change={change}, max_strength={max_strength}"
            )
        self.low, self.high, self.max_steps = low, high, max_steps
        self.strength, self.change, self.max_strength = strength, change, max_strength

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Looks whether the game can be balanced so.

        Raises:
            ValueError: If its loss gives no accuracy, or the strength is no variable of its.
        """
        loss = getattr(self.model, "game_loss", None)
        if not getattr(loss, "has_accuracy", False):
            raise ValueError(
                f"{type(loss).__name__} gives no accuracy to balance by, and a critic that "
                "estimates a distance should be trained close to its best: set "
                "compile(discriminator_steps=5) instead of AdaptiveBalance."
            )
        if self.strength is None:
            return
        if not isinstance(getattr(self.model, self.strength, None), keras.Variable):
            raise ValueError(
                f"strength={self.strength!r} is no variable of {type(self.model).__name__}; name "
                "one, or None to set the steps alone."
            )
        if self.strength == "instance_noise" and not getattr(self.model, "noisy", True):
            raise ValueError(
                "the game was compiled without instance noise, so its strength has no effect: "
                "compile(instance_noise=0.0), or AdaptiveBalance(strength=None)."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets steps and strength for the next epoch, and writes them into `logs`.

        Raises:
            ValueError: If the game logs no accuracy.
        """
        both = [(logs or {}).get(name) for name in ("accuracy_real", "accuracy_fake")]
        if None in both:
            raise ValueError(
                f"{type(self.model).__name__} logs no accuracy_real and accuracy_fake, so that "
                "AdaptiveBalance has nothing to go by."
            )
        accuracy = float(sum(both)) / 2
        if accuracy > self.high:
            self._weaken()
        elif accuracy < self.low:
            self._strengthen()
        logs["discriminator_steps"] = self._steps
        if self.strength is not None:
            logs[self.strength] = self._size

    @property
    def _steps(self) -> int:
        return int(self.model.discriminator_steps)

    @property
    def _size(self) -> float:
        return 0.0 if self.strength is None else float(getattr(self.model, self.strength))

    def _weaken(self) -> None:
        if self._steps > 1:
            self.model.discriminator_steps.assign(self._steps - 1)
        elif self.strength is not None:
            more = min(self.max_strength, self._size + self.change)
            getattr(self.model, self.strength).assign(more)

    def _strengthen(self) -> None:
        if self._size > 0:
            less = self._size - self.change
            getattr(self.model, self.strength).assign(less if less > 1e-6 else 0.0)
        elif self._steps < self.max_steps:
            self.model.discriminator_steps.assign(self._steps + 1)
