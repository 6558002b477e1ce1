"""Adversaries for any Keras model: what is attacked, how, how much, and training against it."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "AdversarialTraining": "training",
        "FastGradient": "fast_gradient",
        "Perturbation": "perturbation",
        "ProjectedGradient": "projected_gradient",
        "RandomNoise": "random_noise",
        "Target": "target",
        "applied": "attacks",
        "attack": "attacks",
        "embedding_tables": "target",
        "input_features": "target",
        "variables": "target",
    },
)
