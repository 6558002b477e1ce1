"""One batch under attack: passes, their gradients, and the rows that move."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.example_losses import example_losses
from tfadvrec.adversary.look_ups import LookUps, slices
from tfadvrec.adversary.magnitude import RowSet, Scene
from tfadvrec.adversary.outputs import Called, Outputs
from tfadvrec.adversary.rows import InputRows, LookUpRows, OutputRows, Rows, VariableRows
from tfadvrec.adversary.target import Target
from tfadvrec.optimizers.row_slots import RowSlots
from tfadvrec.training.gradients import Gradient, add_gradients

Divergence = Callable[[Any], tf.Tensor]


@dataclass(frozen=True)
class Pass:
    """What a pass over a batch gave.

    Attributes:
        loss: The loss, regularisers included; a scalar.
        y_pred: The model's output.
        update: Gradients of the (scaled) loss, one a trainable variable.
        attack: Gradients of the (scaled) loss without regularisers, one a set of rows.
    """

    loss: tf.Tensor
    y_pred: Any
    update: list[Gradient]
    attack: list[tf.Tensor]


class Batch:
    """A batch of a model that is being trained against an adversary.

    Args:
        model: The model, compiled.
        data: `(x, y, sample_weight)`.
        target: What is attacked.
        row_slots: Finds the repeated rows of look-ups.
    """

    def __init__(self, model: keras.Model, data: Any, target: Target, row_slots: RowSlots) -> None:
        self.model, self.target, self.row_slots = model, target, row_slots
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.flat = list(keras.tree.flatten(self.x))
        self.positions = target.select(self.x)
        for i in self.positions:
            self.flat[i] = tf.convert_to_tensor(self.flat[i])
        self.targets = target.find(model)
        self.rows: list[Rows] = []
        self.look_ups = LookUps(model)
        self.looked_up: dict[int, tf.Tensor] = {}
        self.shifts: dict[int, tf.Tensor] = {}
        self.outputs = Outputs(model, target.pattern) if target.kind == "outputs" else None
        self.called: list[Called] = []
        self.places: list[int] | None = None

    def first_pass(self) -> Pass:
        """The clean pass; it also finds the rows to move."""
        variables = self.model.trainable_variables
        y_pred, loss, gradients, penalty = self._gradients(variables)
        by_id = {id(v): g for v, g in zip(variables, gradients, strict=False)}
        attack = [by_id[id(v)] for v in self.targets] + gradients[len(variables) :]
        sources = [*self.targets, *self.positions, *self.called]
        self.live = [source for source, g in zip(sources, attack, strict=True) if g is not None]
        if not self.live:
            raise ValueError(self._nothing())
        self.positions = [source for source in self.live if isinstance(source, int)]
        self.places = [source.place for source in self.live if isinstance(source, Called)]
        attack = [g for g in attack if g is not None]
        self.rows = [self._rows(source, g) for source, g in zip(self.live, attack, strict=True)]
        return Pass(loss, y_pred, _added(gradients, penalty), self._flat(attack))

    def moved_pass(self, divergence: Divergence | None = None, *, attack: bool = False) -> Pass:
        """A pass at the moved rows, for the update.

        Args:
            divergence: Of the output; stands in for the loss.
            attack: Whether the pass gives the gradients of the moved rows too.
        """
        variables = self.model.trainable_variables
        y_pred, loss, gradients, penalty = self._gradients(variables, divergence=divergence)
        update = _added(gradients, penalty)
        if not attack:
            return Pass(loss, y_pred, update, [])
        by_id = {id(v): g for v, g in zip(variables, gradients, strict=False)}
        of_tables = [by_id[id(v)] for v in self._live_variables()]
        return Pass(loss, y_pred, update, self._flat(of_tables + gradients[len(variables) :]))

    def attack_gradients(self, divergence: Divergence | None = None) -> list[tf.Tensor]:
        """The gradients of the moved rows alone, for a further step of the attack."""
        tables = self._live_variables()
        return self._flat(self._gradients(tables, regularized=False, divergence=divergence)[2])

    def scene(self, clean: Pass, norm: str, *, step: tf.Tensor, epoch: tf.Tensor | None) -> Scene:
        """The batch as magnitudes see it, after the first pass."""
        sets = [
            RowSet(
                rows.name, rows.before, tf.reduce_any(g != 0, -1, keepdims=True), rows.per_example
            )
            for rows, g in zip(self.rows, clean.attack, strict=True)
        ]
        return Scene(
            sets=sets,
            norm=norm,
            inputs=self.x,
            examples=tf.shape(next(part for part in self.flat if part is not None))[0],
            losses=lambda: example_losses(self.model, self.y, clean.y_pred),
            step=step,
            epoch=epoch,
        )

    def _live_variables(self) -> list[keras.Variable]:
        return [source for source in self.live if not isinstance(source, int | Called)]

    def _rows(self, source: keras.Variable | int | Called, gradient: Gradient) -> Rows:
        if isinstance(source, int):
            return InputRows(self.flat, source)
        if isinstance(source, Called):
            return OutputRows(source, self.target.per, self.shifts)
        if self.target.kind == "tables" and _of_look_ups(gradient, self.looked_up.get(id(source))):
            return LookUpRows(source, gradient.indices, self.row_slots, self.shifts)
        return VariableRows(source, whole=self.target.kind == "variables")

    def _nothing(self) -> str:
        if self.outputs is not None and not self.called:
            layers = [layer.name for layer in self.outputs.layers]
            return (
                f"outputs_of({self.target.pattern!r}) names {layers[:10]}, which gave out no "
                "floating-point tensor in a training pass. Name a layer that is called then."
            )
        return "the loss does not depend on anything that the target names"

    def _flat(self, gradients: list[Gradient]) -> list[tf.Tensor]:
        flat = [part.flat(g) for part, g in zip(self.rows, gradients, strict=True)]
        optimizer = self.model.optimizer
        dynamic = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if optimizer.loss_scale_factor is None and not dynamic:
            return flat
        # a scaled loss may overflow until its scale is found: such rows stay where they are
        finite = [tf.reduce_all(tf.math.is_finite(g), axis=-1, keepdims=True) for g in flat]
        return [tf.where(mask, g, 0) for mask, g in zip(finite, flat, strict=True)]

    def _gradients(
        self,
        variables: list[keras.Variable],
        *,
        regularized: bool = True,
        divergence: Divergence | None = None,
    ) -> tuple[Any, tf.Tensor, list[Gradient], list[Gradient]]:
        """A pass: output, loss, gradients of the bare loss, of the penalty.

        Those of the bare loss are by variables, inputs and outputs of layers.
        """
        watched = [self.flat[i] for i in self.positions]
        scale = self.model.optimizer.scale_loss
        with tf.GradientTape(persistent=True) as tape:
            for value in watched:
                tape.watch(value)
            with self.look_ups.seen(tape, self.shifts) as seen, self._seen_outputs(tape) as called:
                y_pred = self._forward()
            loss, penalty = self._loss(y_pred, divergence)
            bare = scale(loss if penalty is None else loss - penalty)
            scaled_penalty = None if penalty is None else scale(penalty)
        watched += self._attacked(called)
        gradients = self._sourced(tape, bare, variables, seen, watched)
        penalties = [None] * len(variables)
        if scaled_penalty is not None and regularized:
            penalties = self._sourced(tape, scaled_penalty, variables, seen, [])
        return y_pred, loss, gradients, penalties

    def _sourced(
        self,
        tape: tf.GradientTape,
        value: tf.Tensor,
        variables: list[keras.Variable],
        seen: Mapping[int, list[tuple[tf.Tensor, tf.Tensor]]],
        others: list[tf.Tensor],
    ) -> list[Gradient]:
        """Gradients of variables, what is looked up in them included, and of other tensors."""
        found = [seen.get(id(v), []) for v in variables]
        vectors = [[vector for _, vector in parts] for parts in found]
        sources = ([v.value for v in variables], vectors, others)
        direct, of_vectors, of_others = tape.gradient(value, sources)
        gradients = []
        for variable, other, parts, of_parts in zip(
            variables, direct, found, of_vectors, strict=True
        ):
            known = self.looked_up.get(id(variable))
            looked_up = slices(parts, of_parts, variable, rows=known)
            if looked_up is not None:
                self.looked_up[id(variable)] = looked_up.indices
            gradients.append(add_gradients(looked_up, other))
        return gradients + list(of_others)

    def _seen_outputs(self, tape: tf.GradientTape) -> Any:
        return self.outputs.seen(tape, self.shifts) if self.outputs else nullcontext([])

    def _attacked(self, called: list[Called]) -> list[tf.Tensor]:
        """The outputs of a pass that are attacked: all in the first one, then the live ones."""
        if self.places is None:
            self.called = called
            return [output.value for output in called]
        if len(called) != len(self.called):
            raise ValueError(
                f"outputs_of({self.target.pattern!r}) saw {len(self.called)} outputs in the clean "
                f"pass and {len(called)} in a later one of the same batch. Name layers that every "
                "pass calls equally often."
            )
        return [called[place].value for place in self.places]

    def _forward(self) -> Any:
        x = keras.tree.pack_sequence_as(self.x, self.flat)
        training = {"training": True} if self.model._call_has_training_arg else {}
        return self.model(x, **training)

    def _loss(
        self, y_pred: Any, divergence: Divergence | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What a pass minimises, and which part of it no attack follows."""
        if divergence is not None:
            return divergence(y_pred), None
        loss = self.model._compute_loss(self.x, self.y, y_pred, self.sample_weight, training=True)
        return loss, self._penalty(loss.dtype)

    def _penalty(self, dtype: tf.DType) -> tf.Tensor | None:
        """What Keras's own `compute_loss` has added to the compiled loss, if there is one."""
        own = type(self.model).compute_loss is not keras.Model.compute_loss
        if own or self.model._compile_loss is None or not self.model.losses:
            return None
        return tf.add_n([tf.cast(tf.reduce_sum(part), dtype) for part in self.model.losses])


def _added(first: list[Gradient], second: list[Gradient]) -> list[Gradient]:
    return [add_gradients(a, b) for a, b in zip(first, second, strict=False)]


def _of_look_ups(gradient: Gradient, rows: tf.Tensor | None) -> bool:
    """Whether a table's gradient comes from its look-ups alone."""
    return isinstance(gradient, tf.IndexedSlices) and gradient.indices is rows
