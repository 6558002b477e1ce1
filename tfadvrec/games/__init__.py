"""Games: generator against discriminator, trained by `fit`."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Game": "game",
        "GameLoss": "losses",
        "Minimax": "losses",
        "NonSaturating": "losses",
        "LeastSquares": "losses",
        "Hinge": "losses",
        "Wasserstein": "losses",
    },
)
