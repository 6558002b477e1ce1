"""Several steps up, each of which also trains the model."""

import keras

from tfadvrec.adversary.projected_gradient import ProjectedGradient


@keras.saving.register_keras_serializable(package="tfadvrec")
class FreeLB(ProjectedGradient):
    """Free large-batch training: the update takes the mean gradient over all points of the way.

    The rows climb as in `ProjectedGradient`, from the clean point. The model is trained on the
    mean of the losses at the `steps` points that they come through, with one dropout mask, where
    `ProjectedGradient` trains on the last point alone; a step costs the same.
    `AdversarialTraining`'s `weight` is that of this mean beside the clean loss, which the paper
    does not have.

    Args:
        epsilon: The radius, in the units of the rows: a number or a `Magnitude`.
        steps: How many steps (K).
        step_size: The size of a step; `2.5 * epsilon / steps` where None.
        norm: The size of a step is measured in `"l2"` or `"linf"`.
        projection: The set that rows stay in; `norm`'s own ball where None.

    Reference: Zhu et al., FreeLB: Enhanced Adversarial Training for Natural Language
    Understanding, ICLR 2020, algorithm 1 (with a start at the clean point, not a random one).
    """

    averaged = True
