"""tfadvrec: adversarially trained recommenders for Keras 3 and TensorFlow."""

from tfadvrec._face import face

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "data": "data",
        "models": "models",
        "losses": "losses",
        "adversary": "adversary",
        "training": "training",
        "optimizers": "optimizers",
        "evaluation": "evaluation",
        "games": "games",
        "tuning": "tuning",
        "synthesis": "synthesis",
        "audit": "audit",
        "serving": "serving",
        "presets": "presets",
        "recipes": "recipes",
        "tfrs": "tfrs",
        "Interactions": "data",
        "Recommender": "models",
        "MatrixFactorization": "models",
        "TwoTower": "models",
        "MostPopular": "models",
        "ItemKNN": "models",
        "PureSVD": "models",
        "EASE": "models",
        "CollaborativeGenerator": "models",
        "VariationalAutoencoder": "models",
        "AttributeRecommender": "models",
        "BehaviourGenerator": "models",
        "AdversarialTraining": "adversary",
        "FastGradient": "adversary",
        "ProjectedGradient": "adversary",
        "RandomNoise": "adversary",
        "evaluate": "evaluation",
        "robustness_report": "audit",
        "synthesis_report": "synthesis",
    },
)
