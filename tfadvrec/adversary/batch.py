"""One batch under attack: passes, their gradients, and the rows that move."""

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.adversary.rows import InputRows, Rows, VariableRows
from tfadvrec.adversary.target import Target
from tfadvrec.training.gradients import Gradient, add_gradients, merge_rows


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
        dense: Whether merged gradients are dense (see `merge_rows`).
    """

    def __init__(self, model: keras.Model, data: Any, target: Target, *, dense: bool) -> None:
        self.model, self.dense, self.target = model, dense, target
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.flat = list(keras.tree.flatten(self.x))
        self.positions = target.select(self.x)
        for i in self.positions:
            self.flat[i] = tf.convert_to_tensor(self.flat[i])
        self.targets = target.find(model)
        self.rows: list[Rows] = []

    def first_pass(self) -> Pass:
        """The clean pass; it also finds the rows to move."""
        y_pred, loss, gradients, penalty = self._gradients(self.model.trainable_variables)
        merged = [merge_rows(g, dense=self.dense) for g in gradients]
        inputs = merged[len(self.model.trainable_variables) :]
        by_id = {id(v): g for v, g in zip(self.model.trainable_variables, merged, strict=False)}
        attack = [by_id[id(v)] for v in self.targets] + inputs
        sources = [*self.targets, *self.positions]
        self.live = [source for source, g in zip(sources, attack, strict=True) if g is not None]
        if not self.live:
            raise ValueError("the loss does not depend on anything that the target names")
        attack = [g for g in attack if g is not None]
        whole = self.target.kind == "variables"
        self.rows = [
            InputRows(self.flat, source)
            if isinstance(source, int)
            else VariableRows(source, g, whole=whole)
            for source, g in zip(self.live, attack, strict=True)
        ]
        return Pass(loss, y_pred, self._updates(merged, penalty), self._flat(attack))

    def moved_pass(self) -> Pass:
        """A pass at the moved rows, for the update."""
        y_pred, loss, gradients, penalty = self._gradients(self.model.trainable_variables)
        return Pass(loss, y_pred, self._updates(gradients, penalty), [])

    def attack_gradients(self) -> list[tf.Tensor]:
        """The gradients of the moved rows alone, for a further step of the attack."""
        tables = [source for source in self.live if not isinstance(source, int)]
        _, _, gradients, _ = self._gradients(tables, regularized=False)
        return self._flat([merge_rows(g, dense=self.dense) for g in gradients])

    def _flat(self, gradients: list[Gradient]) -> list[tf.Tensor]:
        flat = [part.flat(g) for part, g in zip(self.rows, gradients, strict=True)]
        # a scaled loss may overflow until its scale is found: such rows stay where they are
        finite = [tf.reduce_all(tf.math.is_finite(g), axis=-1, keepdims=True) for g in flat]
        return [tf.where(mask, g, 0) for mask, g in zip(finite, flat, strict=True)]

    def _updates(self, gradients: list[Gradient], penalty: list[Gradient]) -> list[Gradient]:
        return [
            add_gradients(g, p, weight=1.0, dense=self.dense)
            for g, p in zip(gradients, penalty, strict=False)
        ]

    def _gradients(
        self, variables: list[keras.Variable], *, regularized: bool = True
    ) -> tuple[Any, tf.Tensor, list[Gradient], list[Gradient]]:
        """A pass: output, loss, gradients of the bare loss (variables, inputs), of the penalty."""
        sources = [v.value for v in variables]
        watched = [self.flat[i] for i in self.positions]
        scale = self.model.optimizer.scale_loss
        with tf.GradientTape(persistent=True) as tape:
            for value in watched:
                tape.watch(value)
            y_pred = self._forward()
            loss = self.model._compute_loss(
                self.x, self.y, y_pred, self.sample_weight, training=True
            )
            penalty = self._penalty(loss.dtype)
            bare = scale(loss if penalty is None else loss - penalty)
            scaled_penalty = None if penalty is None else scale(penalty)
        gradients = tape.gradient(bare, sources + watched)
        penalties = [None] * len(sources)
        if scaled_penalty is not None and regularized:
            penalties = tape.gradient(scaled_penalty, sources)
        return y_pred, loss, gradients, penalties

    def _forward(self) -> Any:
        x = keras.tree.pack_sequence_as(self.x, self.flat)
        training = {"training": True} if self.model._call_has_training_arg else {}
        return self.model(x, **training)

    def _penalty(self, dtype: tf.DType) -> tf.Tensor | None:
        """What Keras's own `compute_loss` has added to the compiled loss, if there is one."""
        own = type(self.model).compute_loss is not keras.Model.compute_loss
        if own or self.model._compile_loss is None or not self.model.losses:
            return None
        return tf.add_n([tf.cast(tf.reduce_sum(part), dtype) for part in self.model.losses])
