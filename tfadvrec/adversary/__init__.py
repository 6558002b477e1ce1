"""Adversaries for any Keras model: what is attacked, how, how much, and training against it."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "AdversarialNegatives": "adversarial_negatives",
        "AdversarialTraining": "training",
        "FastGradient": "fast_gradient",
        "Perturbation": "perturbation",
        "FreeLB": "free_lb",
        "LossBasedEpsilon": "loss_based_epsilon",
        "Magnitude": "magnitude",
        "NormBasedEpsilon": "norm_based_epsilon",
        "RelativeEpsilon": "relative_epsilon",
        "VirtualAdversarial": "virtual_adversarial",
        "WarmUp": "warm_up",
        "ProjectedGradient": "projected_gradient",
        "RandomNoise": "random_noise",
        "Target": "target",
        "applied": "attacks",
        "attack": "attacks",
        "embedding_tables": "target",
        "input_features": "target",
        "outputs_of": "target",
        "served_tables": "served",
        "variables": "target",
    },
)
