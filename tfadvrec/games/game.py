"""A game between a generator and a discriminator, behind Keras's `fit`."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.games import noise
from tfadvrec.games.losses import GameLoss, NonSaturating
from tfadvrec.games.penalties import added_noise, feature_distance, slopes
from tfadvrec.games.rehearsal import Rehearsal, shaped_like, unwrapped
from tfadvrec.games.states import kept, leaves
from tfadvrec.training.blocks import SPECS, BlockTraining
from tfadvrec.training.gradients import ready

Example = Any


class Game(BlockTraining, keras.Model):
    """Two networks with an optimizer each; a concrete game says what each of them is shown.

    Every batch trains the discriminator; every `discriminator_steps`-th one then trains the
    generator, `generator_steps` times with fresh noise. A step of one leaves the other as it was,
    batch statistics included. What is random depends on the game's seed and the number of the
    step alone, so blocks of any size and plain batches give the same weights.

    A concrete game implements `fake`, and where the defaults do not fit `real`, `judge`,
    `generator_penalty`, `discriminator_penalty`, or the two losses. `save_weights` keeps both
    networks, both optimizers and the number of the step; `save` writes the product alone.

    Args:
        generator: What makes examples.
        discriminator: What tells them from real ones: examples to logits.
        packing: How many examples the discriminator judges together (PacGAN).
        seed: What noise is drawn from.
        name: The Keras model name.

    Attributes:
        conditions: Keys of an example that are given, not made: they are never interpolated,
            disturbed or penalised.
        xla_on_cpu: Whether `jit_compile="auto"` means XLA where there is no GPU.
        turn: int32 variable: how many batches there have been.
        discriminator_steps: int32 variable; callbacks may change it.
        instance_noise: float32 variable: deviation of the noise on what the discriminator sees.
        noisy: Whether `compile` asked for such noise at all.

    Reference: Goodfellow et al., Generative Adversarial Nets, NIPS 2014, algorithm 1; packing: Lin
    et al., PacGAN, NeurIPS 2018.
    """

    conditions: tuple[str, ...] = ()
    xla_on_cpu = True

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        *,
        packing: int = 1,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if packing < 1:
            raise ValueError(f"packing must be 1 or more examples. Received: {packing!r}")
        self.generator, self.discriminator = generator, discriminator
        self.packing, self.seed = int(packing), int(seed)
        self.turn = self._state("turn", "int32")
        self.discriminator_steps = self._state("discriminator_steps", "int32")
        self.instance_noise = self._state("instance_noise", "float32")
        self._trackers: dict[str, keras.metrics.Mean] = {}

    def _state(self, name: str, dtype: str) -> keras.Variable:
        return self.add_weight(
            shape=(),
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    # -- what a concrete game says --------------------------------------------------------

    def real(self, batch: Any, seed: tf.Tensor) -> Example:
        """The real examples of a batch: a tensor, or a dict or tuple of tensors."""
        return batch

    def fake(self, batch: Any, seed: tf.Tensor) -> Example:
        """As many generated examples, differentiable in the generator.

        Args:
            batch: What the dataset yields.
            seed: int32 `(2,)`, for `tfadvrec.games.noise`.
        """
        raise NotImplementedError

    def judge(self, example: Example, training: bool = True) -> tf.Tensor:
        """The discriminator's logits, float32: one for each pack of examples."""
        logits = self.discriminator(self.packed(example), training=training)
        return tf.cast(tf.reshape(logits, [-1]), tf.float32)

    def generator_penalty(
        self, batch: Any, fake: Example, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """What else the generator minimises: name -> scalar; logged under the names."""
        return {}

    def discriminator_penalty(
        self, batch: Any, real: Example, fake: Example, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """What else the discriminator minimises: name -> scalar; logged under the names."""
        return {}

    @property
    def product(self) -> Any:
        """What the game is played for; what is saved, served and measured."""
        return self.generator

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generator's optimizer updates."""
        return self.generator.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """What the discriminator's optimizer updates."""
        return self.discriminator.trainable_variables

    # -- the two losses -------------------------------------------------------------------

    def discriminator_loss(
        self, batch: Any, real: Example, fake: Example, seed: tf.Tensor
    ) -> Mapping[str, tf.Tensor]:
        """The parts of what the discriminator minimises: name -> scalar."""
        real = self._disturbed(real, noise.fold(seed, 1))
        fake = self._disturbed(fake, noise.fold(seed, 2))
        of_real, of_fake = self.judge(real), self.judge(fake)
        self._track_judgement(of_real, of_fake)
        parts = {"adversarial": self.game_loss.discriminator(of_real, of_fake)}
        if self.game_loss.gradient_penalty:
            between = self.between(real, fake, noise.fold(seed, 3))
            length = tf.sqrt(slopes(self, between) + 1e-10)
            penalty = tf.reduce_mean(tf.square(length - 1.0))
            parts["gradient_penalty"] = self.game_loss.gradient_penalty * penalty
        if self.game_loss.r1:
            parts["r1"] = 0.5 * self.game_loss.r1 * tf.reduce_mean(slopes(self, real))
        return parts

    def generator_loss(self, batch: Any, fake: Example, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """The parts of what the generator minimises against the discriminator: name -> scalar."""
        fake = self._disturbed(fake, noise.fold(seed, 4))
        parts = {"adversarial": self.game_loss.generator(self.judge(fake))}
        if self.feature_matching:
            real = self._disturbed(self.real(batch, noise.fold(seed, 5)), noise.fold(seed, 6))
            parts["feature_matching"] = self.feature_matching * feature_distance(self, real, fake)
        return parts

    def between(self, real: Example, fake: Example, seed: tf.Tensor) -> Example:
        """Examples between real and generated ones, one share a pack, for the penalty."""
        first = leaves(self, real)[0]
        packs = tf.shape(first)[0] // self.packing
        share = tf.repeat(noise.uniform_batch(seed, [packs]), self.packing)

        def mixed(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
            part = tf.reshape(share, [-1] + [1] * (a.shape.rank - 1))
            return part * tf.cast(a, tf.float32) + (1.0 - part) * tf.cast(b, tf.float32)

        both = zip(leaves(self, real), leaves(self, fake), strict=True)
        return self._changed(real, [mixed(a, b) for a, b in both])

    def packed(self, example: Example) -> Example:
        """Examples side by side, `packing` of them a row."""
        if self.packing == 1:
            return example

        def pack(value: tf.Tensor) -> tf.Tensor:
            rows = value.shape[0]
            if rows is not None and rows % self.packing:
                raise ValueError(
                    f"packing {self.packing} examples needs a batch that it divides. Received: "
                    f"{rows} examples"
                )
            return tf.reshape(value, [-1, self.packing * value.shape[-1]])

        return keras.tree.map_structure(pack, example)

    # -- Keras ----------------------------------------------------------------------------

    def compile(
        self,
        generator_optimizer: Any = "adam",
        discriminator_optimizer: Any = "adam",
        loss: GameLoss | None = None,
        *,
        discriminator_steps: int = 1,
        generator_steps: int = 1,
        adversarial_weight: float = 1.0,
        instance_noise: float | None = None,
        feature_matching: float = 0.0,
        jit_compile: bool | str = "auto",
        **options: Any,
    ) -> None:
        """Says how the game is played.

        Args:
            generator_optimizer: As in Keras. With `use_ema=True`, `fit` ends with the averages of
                the generator's weights in their place.
            discriminator_optimizer: As in Keras; its own learning rate makes two time scales.
            loss: A value such as `Wasserstein()`; `NonSaturating()` by default.
            discriminator_steps: Batches that train the discriminator for each that trains the
                generator too.
            generator_steps: Updates of the generator on such a batch.
            adversarial_weight: Weight of the adversarial part of the generator's loss; at 0 there
                is no game, and the generator trains on its penalties alone.
            instance_noise: Deviation of normal noise on all that the discriminator sees; None for
                no such noise (a number, 0 too, can be changed while training).
            feature_matching: Weight of the squared distance between the mean features (the input
                of the discriminator's last layer) of real and generated examples.
            jit_compile: As in Keras; `"auto"` is XLA, on a CPU only if the game's class says that
                it is worth compiling for there (`xla_on_cpu`).
            **options: Keras's, such as `run_eagerly`.

        Raises:
            ValueError: A number is out of its range, or the discriminator's optimizer averages.
        """
        for label, value, least in (
            ("discriminator_steps", discriminator_steps, 1),
            ("generator_steps", generator_steps, 1),
            ("adversarial_weight", adversarial_weight, 0),
            ("instance_noise", instance_noise or 0, 0),
            ("feature_matching", feature_matching, 0),
        ):
            if not value >= least:
                raise ValueError(f"{label} must be {least} or more. Received: {value!r}")
        if jit_compile == "auto" and not (self.xla_on_cpu or tf.config.list_logical_devices("GPU")):
            jit_compile = False
        super().compile(optimizer=discriminator_optimizer, jit_compile=jit_compile, **options)
        if self.optimizer.use_ema:
            raise ValueError("averaging (use_ema=True) is for the generator's optimizer only.")
        with self.distribute_strategy.scope():
            self.generator_optimizer = self._scaled(keras.optimizers.get(generator_optimizer))
        self._check_scope(self.generator_optimizer)
        self.game_loss = loss or NonSaturating()
        self.generator_steps = int(generator_steps)
        self.adversarial_weight = float(adversarial_weight)
        self.feature_matching = float(feature_matching)
        self.discriminator_steps.assign(int(discriminator_steps))
        self.noisy = instance_noise is not None
        self.instance_noise.assign(instance_noise or 0.0)

    def _scaled(self, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self.dtype_policy.name != "mixed_float16" or scaled:
            return optimizer
        return keras.optimizers.LossScaleOptimizer(optimizer)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The generator's output."""
        return self.generator(inputs, training=training)

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras, on what `batches` gives or any data that the game's methods understand."""
        if not self.compiled:
            raise ValueError("call compile() before fit().")
        if not (isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, SPECS)):
            self.build_on(shaped_like(x if y is None else (x, y), 2 * self.packing))
        history = super().fit(x, y, *positional, **options)
        self.generator_optimizer.finalize_variable_values(self.generator_variables)
        return history

    def build_on(self, data: Any) -> None:
        """Makes the variables of networks, optimizers and metrics, from the shapes of a batch."""
        with self.distribute_strategy.scope():
            Rehearsal(self._rehearse).hold(unwrapped(data))
            for optimizer, variables in self._optimized():
                optimizer.build(variables)
        self.built = True

    def _optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        return [
            (self.generator_optimizer, self.generator_variables),
            (self.optimizer, self.discriminator_variables),
        ]

    def train_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Trains the discriminator on a batch, and the generator when it is its turn."""
        batch, turn = unwrapped(data), self.turn.value
        seed = noise.fold(tf.stack([self.seed, turn]), 0)
        if self.adversarial_weight:
            self._train_discriminator(batch, seed)
        last = turn % self.discriminator_steps.value == self.discriminator_steps.value - 1
        self.branch(last, lambda: self._train_generator(batch, seed), lambda: None)
        self.turn.assign_add(1)
        return self.get_metrics_result()

    def way(self) -> bool | None:
        """Under a strategy, whether the generator trains in the next step."""
        if not self._distributed:
            return None
        steps = int(self.discriminator_steps.numpy())
        return int(self.turn.numpy()) % steps == steps - 1

    def test_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Both losses on a batch; nothing is trained."""
        batch = unwrapped(data)
        seed = noise.fold(tf.stack([self.seed, -1]), 0)
        with kept(self.generator), kept(self.discriminator):
            if self.adversarial_weight:
                self._discriminator_parts(batch, seed)
            self._generator_parts(batch, noise.fold(seed, 7))
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What is logged: losses, judgements, gradient norms, penalties."""
        return list(self._trackers.values()) if self.compiled else []

    def save(self, filepath: Any, **options: Any) -> None:
        """Saves the product, as Keras does."""
        self.product.save(filepath, **options)

    # -- a step ---------------------------------------------------------------------------

    def _discriminator_parts(self, batch: Any, seed: tf.Tensor) -> tf.Tensor:
        real = self.real(batch, noise.fold(seed, 8))
        with kept(self.generator):
            fake = self.fake(batch, noise.fold(seed, 9))
        fake = keras.tree.map_structure(tf.stop_gradient, fake)
        parts = dict(self.discriminator_loss(batch, real, fake, seed))
        parts |= self.discriminator_penalty(batch, real, fake, seed)
        return self._total("discriminator", parts)

    def _generator_parts(self, batch: Any, seed: tf.Tensor) -> tf.Tensor:
        fake = self.fake(batch, noise.fold(seed, 10))
        parts = {}
        if self.adversarial_weight:
            with kept(self.discriminator):
                against = self.generator_loss(batch, fake, seed)
            parts |= {key: self.adversarial_weight * part for key, part in against.items()}
        parts |= self.generator_penalty(batch, fake, seed)
        if not parts:
            raise ValueError(
                f"{type(self).__name__} has no generator_penalty, so adversarial_weight=0 leaves "
                "its generator nothing to minimise."
            )
        return self._total("generator", parts)

    def _total(self, side: str, parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
        for name, part in parts.items():
            if name != "adversarial":
                self.track(name, part)
        total = tf.add_n([tf.cast(part, tf.float32) for part in parts.values()])
        self.track(f"{side}_loss", total)
        return total

    def _train_discriminator(self, batch: Any, seed: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = _replicas.shared(self._discriminator_parts(batch, seed))
            loss = self.optimizer.scale_loss(loss)
        self._update("discriminator", tape, loss, self.optimizer, self.discriminator_variables)
        clip = getattr(self.game_loss, "clip", None)
        for variable in self.discriminator_variables if clip else ():
            _replicas.own(variable).assign(tf.clip_by_value(variable.value, -clip, clip))

    def _train_generator(self, batch: Any, seed: tf.Tensor) -> None:
        for step in range(self.generator_steps):
            with tf.GradientTape() as tape:
                loss = self._generator_parts(batch, noise.fold(seed, 11 + step))
                loss = self.generator_optimizer.scale_loss(_replicas.shared(loss))
            optimizer = self.generator_optimizer
            self._update("generator", tape, loss, optimizer, self.generator_variables)

    def _update(
        self,
        side: str,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        optimizer: keras.optimizers.Optimizer,
        variables: list[keras.Variable],
    ) -> None:
        gradients = tape.gradient(loss, [v.value for v in variables])
        gradients = [ready(g, optimizer, compiled=self.compiled_by_xla) for g in gradients]
        given = [g for g in gradients if g is not None]
        if not given:
            raise ValueError(f"the {side}'s loss depends on none of its weights.")
        scale = _replicas.shared(optimizer.scale_loss(tf.constant(1.0)))
        self.track(f"{side}_gradient_norm", tf.linalg.global_norm(given) / scale)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    # -- logs -----------------------------------------------------------------------------

    def track(self, name: str, value: tf.Tensor) -> None:
        """Logs the mean of a scalar over an epoch."""
        if name not in self._trackers:
            self._trackers[name] = keras.metrics.Mean(name=name)
        self._trackers[name].update_state(value)

    def _track_judgement(self, of_real: tf.Tensor, of_fake: tf.Tensor) -> None:
        if self.game_loss.has_accuracy:
            edge = 0.5 if type(self.game_loss).__name__ == "LeastSquares" else 0.0
            self.track("accuracy_real", tf.reduce_mean(tf.cast(of_real > edge, tf.float32)))
            self.track("accuracy_fake", tf.reduce_mean(tf.cast(of_fake < edge, tf.float32)))
        else:
            self.track("critic_gap", tf.reduce_mean(of_real) - tf.reduce_mean(of_fake))

    def _rehearse(self, batch: Any) -> tf.Tensor:
        """A step without updates, which makes every variable that one needs."""
        seed = tf.constant([self.seed, 0], tf.int32)
        loss = self._generator_parts(batch, seed)
        sides = ["generator"]
        if self.adversarial_weight:
            loss += self._discriminator_parts(batch, seed)
            sides.append("discriminator")
        for side in sides:
            self.track(f"{side}_gradient_norm", loss)
        return loss

    # -- examples -------------------------------------------------------------------------

    def _disturbed(self, example: Example, seed: tf.Tensor) -> Example:
        if not self.noisy:
            return example
        given = leaves(self, example)
        return self._changed(example, added_noise(given, self.instance_noise.value, seed))

    def _changed(self, example: Example, values: list[tf.Tensor]) -> Example:
        """The example with other values where it is made, not given."""
        if isinstance(example, Mapping):
            made = {k: v for k, v in example.items() if k not in self.conditions}
            return {**example, **keras.tree.pack_sequence_as(made, values)}
        return keras.tree.pack_sequence_as(example, values)
