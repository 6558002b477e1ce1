"""Training steps behind Keras's `fit`: merged rows, and blocks in one compiled loop."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.data.block import Block
from tfadvrec.training.gradients import ready


def run_block(
    model: keras.Model,
    block: Block,
    step: Callable[[Any], Mapping[str, tf.Tensor]],
    *,
    jit_compile: bool = True,
) -> dict[str, tf.Tensor]:
    """Runs `step` on every batch of a block, in one loop.

    Args:
        model: The model whose metrics `step` updates.
        block: The batches.
        step: A `train_step` for one `(inputs, labels)` batch.
        jit_compile: Whether XLA compiles the loop.

    Returns:
        The model's metrics after the last batch.
    """

    def loop() -> None:
        drawn = block.draw()

        def body(index: tf.Tensor) -> list[tf.Tensor]:
            step(block.batch(index, drawn))
            return [index + 1]

        tf.while_loop(lambda index: index < block.steps, body, [tf.constant(0)])

    if model.run_eagerly:
        loop()
    else:
        tf.function(loop, jit_compile=jit_compile, autograph=False)()
    return model.get_metrics_result()


class BlockTraining:
    """Mixed into a `keras.Model`: `fit` takes blocks as well as batches, and merges rows.

    The gradient of a table is summed over the repeated rows of a batch before the optimizer
    sees it (Keras's adaptive optimizers square the occurrences one by one otherwise). A class
    that needs a step of its own overrides `train_on`, which is always given one batch.

    XLA compiles the loop over a block wherever the layers support it, on a CPU too, where Keras's
    `jit_compile="auto"` leaves plain steps uncompiled; `compile(jit_compile=False)` forbids it.
    """

    _jit_asked: bool | str | None = "auto"
    _in_compiled_block = False

    def compile(self, *positional: Any, **options: Any) -> None:
        """As in Keras."""
        self._jit_asked = options.get("jit_compile", "auto")
        super().compile(*positional, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As in Keras, which leaves this to classes whose `compile` is their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; a `tf.data.Dataset` is taken in its own order, without a warning."""
        if isinstance(x, tf.data.Dataset):
            options.setdefault("shuffle", False)
        return super().fit(x, y, *positional, **options)

    def train_step(self, data: Any) -> Mapping[str, tf.Tensor]:
        """One step: a batch as Keras knows it, or a `Block` of batches."""
        if isinstance(data, Block):
            self.build_on(data.batch(0))
            self._in_compiled_block = self._compiles_blocks()
            try:
                return run_block(self, data, self.train_on, jit_compile=self._in_compiled_block)
            finally:
                self._in_compiled_block = False
        return self.train_on(data)

    def train_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Trains on one batch: Keras's own step, with the rows of sparse gradients merged."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._loss_tracker.update_state(loss, sample_weight=batch_rows(x))
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, [v.value for v in variables])
        gradients = [ready(g, self.optimizer, compiled=self.compiled_by_xla) for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    @property
    def compiled_by_xla(self) -> bool:
        """Whether XLA compiles the step that is being traced."""
        return bool(self.jit_compile) or self._in_compiled_block

    def _compiles_blocks(self) -> bool:
        if self.run_eagerly or self._jit_asked is False:
            return False
        return all(layer.supports_jit for layer in self._flatten_layers())

    def build_on(self, data: Any) -> None:
        """Makes the variables of layers and compiled metrics, from the shapes of one batch.

        Inside the loop over a block no variable can be made, so this comes before it.
        """
        self._symbolic_build(data_batch=data)


def batch_rows(x: Any) -> tf.Tensor:
    """The number of examples in a batch of inputs, a scalar int32 tensor."""
    return tf.shape(next(part for part in keras.tree.flatten(x) if part is not None))[0]
