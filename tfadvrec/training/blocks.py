"""Training steps behind Keras's `fit`: merged rows, and blocks in one compiled loop."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfadvrec import _replicas
from tfadvrec.data.block import Block
from tfadvrec.data.row_block import RowBlock
from tfadvrec.data.sequence_block import SequenceBlock
from tfadvrec.training.frozen import optimized_variables, trainable_state
from tfadvrec.training.gradients import ready
from tfadvrec.training.replica_training import ReplicaTraining

BLOCKS = (Block, RowBlock, SequenceBlock)
SPECS = tuple(kind.Spec for kind in BLOCKS)


def run_block(
    model: keras.Model,
    block: Block | RowBlock | SequenceBlock,
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


class BlockTraining(ReplicaTraining):
    """Mixed into a `keras.Model`: `fit` takes blocks as well as batches, and merges rows.

    The gradient of a table is summed over the repeated rows of a batch before the optimizer
    sees it (Keras's adaptive optimizers square the occurrences one by one otherwise). A class
    that needs a step of its own overrides `train_on`, which is always given one batch.

    XLA compiles the loop over a block wherever the layers support it, on a CPU too, where Keras's
    `jit_compile="auto"` leaves plain steps uncompiled; `compile(jit_compile=False)` forbids it. A
    layer whose work has no XLA form says so with `uncompiled_by_design = True`.
    """

    _jit_asked: bool | str | None = "auto"
    _in_compiled_block = False
    _compiled_for: tuple[Any, Any] | None = None
    _traced_with: tuple[Any, ...] | None = None

    def compile(self, *positional: Any, **options: Any) -> None:
        """As in Keras; on several replicas nothing is compiled by XLA."""
        self._check_for_replicas(options)
        self._jit_asked, self._compiled_for = options.get("jit_compile", "auto"), None
        with self.distribute_strategy.scope():
            super().compile(*positional, **options)
        self._check_scope(self.optimizer)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As in Keras, which leaves this to classes whose `compile` is their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; a `tf.data.Dataset` is taken in its own order, without a warning.

        With blocks, the step is compiled before the first epoch begins. Where that fails, a
        `UserWarning` says why, and blocks run uncompiled with the same results;
        `compile(jit_compile=True)` makes it an error.
        """
        self._check_for_workers()
        self._forget_stale_step()
        if isinstance(x, tf.data.Dataset):
            options.setdefault("shuffle", False)
            if isinstance(x.element_spec, SPECS):
                x = _class_weighted(x, options.pop("class_weight", None))
            if isinstance(x.element_spec, SPECS) and not self._distributed:
                self._compile_blocks(x.element_spec, "train")
                x = self._one_iterator(x, options)
            x = self._shared_out(x, options, "steps_per_epoch")
        if "validation_data" in options:
            held_out = options["validation_data"]
            options["validation_data"] = self._shared_out(held_out, options, "validation_steps")
        self._build_optimizers()
        return super().fit(x, y, *positional, **options)

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras; what is trainable now is what the step trains, compiled before or not."""
        self._build_optimizers()
        self._forget_stale_step()
        return super().make_train_function(force)

    def _forget_stale_step(self) -> None:
        """Forgets a step that was traced when other weights were trainable."""
        now = trainable_state(self)
        if self._traced_with != now:
            self.train_function = None
            vars(self)["_traced_with"] = now  # plain data: nothing for Keras to track

    def _optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """Each optimizer, and what it updates."""
        return [(self.optimizer, optimized_variables(self))]

    def _build_optimizers(self) -> None:
        """Makes the optimizers' variables; a step that makes some is traced twice."""
        if getattr(self, "optimizer", None) is None or not self._all_made():
            return
        unbuilt = [both for both in self._optimized() if not both[0].built]
        if unbuilt:
            with self.distribute_strategy.scope():
                for optimizer, variables in unbuilt:
                    optimizer.build(variables)

    def _all_made(self) -> bool:
        """Whether no layer makes variables when it is first called."""
        return all(
            layer.built or type(layer).build is keras.Layer.build
            for layer in self._flatten_layers(include_self=False)
        )

    def _one_iterator(self, blocks: tf.data.Dataset, options: dict[str, Any]) -> tf.data.Dataset:
        """One iterator for all epochs: making one costs as much as training on 20,000 rows."""
        steps = int(blocks.cardinality())
        if steps < 1 or self.steps_per_execution > 1 or options.get("steps_per_epoch"):
            return blocks
        options["steps_per_epoch"] = steps
        return blocks.repeat()

    def evaluate(self, x: Any = None, y: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras; blocks are compiled first, as in `fit`."""
        self._settle()
        blocks = isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, SPECS)
        if blocks and not self._distributed:
            self._compile_blocks(x.element_spec, "test")
        x = self._shared_out(x, options, "steps")
        return super().evaluate(x, y, *positional, **options)

    def predict(self, x: Any = None, *positional: Any, **options: Any) -> Any:
        """As in Keras."""
        self._settle()
        return super().predict(x, *positional, **options)

    def _settle(self) -> None:
        """Lets layers bring up to date what they keep for inference."""
        for layer in self._flatten_layers():
            if hasattr(layer, "settle"):
                layer.settle()

    def train_step(self, data: Any) -> Mapping[str, tf.Tensor]:
        """One step: a batch as Keras knows it, or a `Block` of batches."""
        return self._step(data, self.train_on)

    def test_step(self, data: Any) -> Mapping[str, tf.Tensor]:
        """One step of evaluation, on a batch or on a `Block` of batches."""
        return self._step(data, self.test_on)

    def _step(
        self, data: Any, step: Callable[[Any], Mapping[str, tf.Tensor]]
    ) -> Mapping[str, tf.Tensor]:
        if not isinstance(data, BLOCKS):
            return step(data)
        self._in_compiled_block = self._compiles_blocks()
        try:
            return run_block(self, data, step, jit_compile=self._in_compiled_block)
        finally:
            self._in_compiled_block = False

    def test_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Evaluates one batch, as Keras does."""
        return super().test_step(data)

    def train_on(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Trains on one batch: Keras's own step, with the rows of sparse gradients merged."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._loss_tracker.update_state(_replicas.unscaled(loss), sample_weight=batch_rows(x))
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
        return not self.run_eagerly and self._jit_asked is not False

    def _compile_blocks(self, spec: Any, kind: str) -> None:
        """Makes all variables, and compiles the `kind` step on a block of no steps."""
        name = f"{kind}_function"
        if not self.compiled or self._compiled_for == (getattr(self, name), spec):
            return  # where the model is not compiled, Keras says so
        none = _no_steps(spec)
        self.build_on(none.batch(0))
        if not self._compiles_blocks():
            return
        without = [layer for layer in self._flatten_layers() if not layer.supports_jit]
        if without:
            meant = all(getattr(layer, "uncompiled_by_design", False) for layer in without)
            names = sorted({layer.name for layer in without})
            self._fall_back(f"layers {names} do not support it", quiet=meant)
            return
        if self.steps_per_execution > 1:
            return
        getattr(self, f"make_{name}")()
        try:
            getattr(self, name)(iter(tf.data.Dataset.from_tensors(none)))
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            why = [line for line in error.message.splitlines() if "unsupported" in line]
            if self._jit_asked is True or not why:
                raise
            self._fall_back(why[0].split("on XLA_CPU_JIT: ")[-1].split("{{")[0])
            return
        self._compiled_for = (getattr(self, name), spec)

    def _fall_back(self, why: str, *, quiet: bool = False) -> None:
        if self._jit_asked is True:
            raise ValueError(f"jit_compile=True, but XLA cannot compile {self.name!r}: {why}")
        if not quiet:
            warnings.warn(
                f"XLA cannot compile the step of {self.name!r}: {why}. Blocks run "
                "uncompiled: the same results, several times slower. Pass jit_compile=False to "
                "compile() to say that this is meant.",
                stacklevel=4,
            )
        self._jit_asked, self.train_function, self.test_function = False, None, None

    def build_on(self, data: Any) -> None:
        """Makes the variables of layers and compiled metrics, from the shapes of one batch.

        Inside the loop over a block no variable can be made, so `fit` and `evaluate` do this
        before it.
        """
        self._symbolic_build(data_batch=data)


def _no_steps(spec: Any) -> Block | RowBlock | SequenceBlock:
    """A block of a dataset's shapes with nothing in it."""
    zeros = [tf.zeros(p.shape, p.dtype) for p in tf.nest.flatten(spec, expand_composites=True)]
    return tf.nest.pack_sequence_as(spec, zeros, expand_composites=True)


def _class_weighted(data: tf.data.Dataset, given: Mapping[int, float] | None) -> tf.data.Dataset:
    """Puts Keras's `class_weight` into the blocks of a dataset."""
    if given is None:
        return data
    if not isinstance(data.element_spec, Block.Spec):
        raise ValueError("class_weight is for blocks of pairs, points and in_batch.")
    if data.element_spec.weight.shape[-1]:
        raise ValueError("class_weight and the sampler's weight cannot be used together.")
    weights = tf.constant([given.get(c, 1.0) for c in range(max(given) + 1)], tf.float32)
    return data.map(lambda block: block.with_class_weight(weights))


def batch_rows(x: Any) -> tf.Tensor:
    """The number of examples in a batch of inputs, a scalar int32 tensor."""
    return tf.shape(next(part for part in keras.tree.flatten(x) if part is not None))[0]
