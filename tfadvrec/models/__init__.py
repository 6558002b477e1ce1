"""Recommenders: plain Keras models that rank a catalogue."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Recommender": "recommender",
        "MatrixFactorization": "matrix_factorization",
        "TwoTower": "two_tower",
        "MostPopular": "baselines",
        "ItemKNN": "baselines",
        "PureSVD": "baselines",
        "EASE": "baselines",
    },
)
