"""One batch of a TFRS model under attack: passes, their gradients, and the rows that move."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfadvrec.adversary.batch import Pass
from tfadvrec.adversary.magnitude import RowSet, Scene
from tfadvrec.adversary.target import Target
from tfadvrec.tfrs.finding import find
from tfadvrec.tfrs.rows import MovableRows, TableRows, WholeRows
from tfadvrec.tfrs.state import masks, quiet
from tfadvrec.training.gradients import Gradient, add_gradients


class Batch:
    """A batch of a Keras 2 model that is being trained against an adversary.

    Args:
        model: A model with `compute_loss(inputs, training)`.
        inputs: What `compute_loss` is given.
        target: What is attacked.
        seed: int32 scalar that dropout draws from, the same in every pass.
        dense: Whether gradients of tables are made dense, as XLA needs them.

    Attributes:
        penalty: What regularisers add to the loss of the clean pass, after `first_pass`.
    """

    def __init__(
        self, model: Any, inputs: Any, target: Target, seed: tf.Tensor, *, dense: bool
    ) -> None:
        self.model, self.inputs, self.target = model, inputs, target
        self.seed, self.dense = seed, dense
        self.rows: list[MovableRows] = []
        self.live: list[tf.Variable] = []
        self.penalty: tf.Tensor | None = None

    def first_pass(self) -> Pass:
        """The clean pass; it also builds the model and finds the rows to move."""
        loss, self.penalty, tape = self._forward()
        variables = self.model.trainable_variables
        gradients = self._gradients(tape, loss, variables)
        by_id = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        targets = find(self.model, self.target)
        self.live = [v for v in targets if by_id[id(v)] is not None]
        if not self.live:
            raise ValueError("the loss does not depend on anything that the target names")
        attack = [by_id[id(v)] for v in self.live]
        self.rows = [self._rows(v, g) for v, g in zip(self.live, attack, strict=True)]
        update = self._added(gradients, tape, self.penalty, variables)
        return Pass(loss, None, update, self._flat(attack))

    def moved_pass(self, *, attack: bool = False) -> Pass:
        """A pass at the moved rows, for the update.

        Args:
            attack: Whether the pass gives the gradients of the moved rows too.
        """
        variables = self.model.trainable_variables
        loss, penalty, tape = self._forward(moved=True)
        gradients = self._gradients(tape, loss, variables)
        by_id = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        flat = self._flat([by_id[id(v)] for v in self.live]) if attack else []
        return Pass(loss, None, self._added(gradients, tape, penalty, variables), flat)

    def attack_gradients(self) -> list[tf.Tensor]:
        """The gradients of the moved rows alone, for a further step of the attack."""
        loss, _, tape = self._forward(moved=True)
        return self._flat(self._gradients(tape, loss, self.live))

    def scene(self, clean: Pass, norm: str, *, step: tf.Tensor, epoch: tf.Tensor | None) -> Scene:
        """The batch as magnitudes see it, after the first pass."""
        sets = [
            RowSet(rows.name, rows.before, tf.reduce_any(g != 0, -1, keepdims=True))
            for rows, g in zip(self.rows, clean.attack, strict=True)
        ]
        return Scene(sets, norm, inputs=self.inputs, losses=_no_losses, step=step, epoch=epoch)

    def _forward(self, *, moved: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.GradientTape]:
        """Loss, what regularisers add, and the tape that has seen them.

        Weights are regularised where they lie, not where the attack has moved them.
        """
        with tf.GradientTape(persistent=True) as tape:
            with masks(self.model, self.seed), self._moved(moved):
                loss = self.model.compute_loss(self.inputs, training=True)
            penalty = tf.reduce_sum([tf.reduce_sum(part) for part in self.model.losses])
        return loss, penalty, tape

    @contextmanager
    def _moved(self, moved: bool) -> Iterator[None]:
        if not moved:
            yield
            return
        try:
            for rows in self.rows:
                rows.put()
            with quiet(self.model):
                yield
        finally:
            for rows in self.rows:
                rows.restore()

    def _gradients(
        self, tape: tf.GradientTape, value: tf.Tensor, variables: list[tf.Variable]
    ) -> list[Gradient]:
        gradients = tape.gradient(value, variables)
        if not self.dense:
            return gradients
        return [None if g is None else tf.convert_to_tensor(g) for g in gradients]

    def _added(
        self,
        gradients: list[Gradient],
        tape: tf.GradientTape,
        penalty: tf.Tensor,
        variables: list[tf.Variable],
    ) -> list[Gradient]:
        """Gradients of the loss with those of the regularisers, where there are any."""
        if not self.model.losses:
            return gradients
        penalties = self._gradients(tape, penalty, variables)
        return [add_gradients(a, b) for a, b in zip(gradients, penalties, strict=True)]

    def _rows(self, variable: tf.Variable, gradient: Gradient) -> MovableRows:
        if self.target.kind == "tables" and isinstance(gradient, tf.IndexedSlices):
            return TableRows(variable, gradient)
        return WholeRows(variable, single=self.target.kind == "variables")

    def _flat(self, gradients: list[Gradient]) -> list[tf.Tensor]:
        return [rows.flat(g) for rows, g in zip(self.rows, gradients, strict=True)]


def _no_losses() -> tf.Tensor:
    raise ValueError(
        "sizes by loss need a loss for each example, and a TFRS model's compute_loss gives one "
        "number. Use a number, RelativeEpsilon or WarmUp."
    )
