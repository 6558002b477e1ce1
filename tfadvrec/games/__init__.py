"""Games: generator against discriminator, trained by `fit`."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Game": "game",
        "VectorGame": "vectors",
        "BehaviourGame": "behaviour",
        "CollaborativeGame": "collaborative",
        "PolicyGradientGame": "policy_gradient",
        "LatentGame": "latent",
        "ColdStartGame": "cold_start",
        "AugmentationGame": "augmentation",
        "GameLoss": "losses",
        "Minimax": "losses",
        "NonSaturating": "losses",
        "LeastSquares": "losses",
        "Hinge": "losses",
        "Wasserstein": "losses",
        "HealthMonitor": "health",
        "AdaptiveBalance": "health",
    },
)
