"""From the clean pass of a batch to what it says under attack."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfadvrec.adversary.ascent import ascend, iterate
from tfadvrec.adversary.batch import Batch, Pass
from tfadvrec.adversary.magnitude import Scene
from tfadvrec.adversary.perturbation import Perturbation
from tfadvrec.training.gradients import add_gradients


def climb(
    perturbation: Perturbation,
    batch: Batch,
    clean: Pass,
    renew: Callable[[], None],
    seed: tf.Tensor,
    scene: Scene | None,
) -> Pass:
    """Moves a batch's rows, leaves them there, and gives the pass that the update takes.

    Args:
        perturbation: How the rows move, and at which points the model is trained.
        batch: The batch, after its first pass.
        clean: The first pass.
        renew: Puts the model's state back to what a pass begins with, dropout masks included.
        seed: Keys what the perturbation draws.
        scene: The batch as magnitudes see it; None for a number.
    """
    if perturbation.divergence is not None:
        return _virtual(perturbation, batch, clean, renew, seed, scene)
    passes: list[Pass] = []

    def again() -> list[tf.Tensor]:
        renew()
        if not perturbation.averaged:
            return batch.attack_gradients()
        passes.append(batch.moved_pass(attack=True))
        return passes[-1].attack

    ascend(perturbation, batch.rows, clean.attack, again, seed, scene)
    renew()
    return _mean([*passes, batch.moved_pass()])


def _virtual(
    perturbation: Perturbation,
    batch: Batch,
    clean: Pass,
    renew: Callable[[], None],
    seed: tf.Tensor,
    scene: Scene | None,
) -> Pass:
    """The same with the divergence from the clean outputs in place of the loss."""

    def divergence(moved: tf.Tensor) -> tf.Tensor:
        return perturbation.disagreement(batch.y, clean.y_pred, moved)

    def again() -> list[tf.Tensor]:
        renew()
        return batch.attack_gradients(divergence)

    iterate(perturbation, batch.rows, clean.attack, again, seed, scene)
    renew()
    return batch.moved_pass(divergence)


def _mean(passes: Sequence[Pass]) -> Pass:
    """The mean loss and gradient of several passes, with the output of the last one."""
    if len(passes) == 1:
        return passes[0]
    share, last = 1.0 / len(passes), passes[-1]
    update = [None] * len(last.update)
    for each in passes:
        update = [
            add_gradients(total, g, weight=share)
            for total, g in zip(update, each.update, strict=True)
        ]
    loss = share * tf.add_n([each.loss for each in passes])
    return Pass(loss, last.y_pred, update, [])
