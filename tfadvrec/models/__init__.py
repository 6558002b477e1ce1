"""Recommenders: plain Keras models that rank a catalogue."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Recommender": "recommender",
        "MatrixFactorization": "matrix_factorization",
        "TwoTower": "two_tower",
        "CollaborativeGenerator": "collaborative_generator",
        "VariationalAutoencoder": "variational_autoencoder",
        "AttributeRecommender": "attribute_recommender",
        "ConditionalItemGenerator": "conditional_item_generator",
        "BehaviourGenerator": "behaviour_generator",
        "MostPopular": "baselines",
        "ItemKNN": "baselines",
        "PureSVD": "baselines",
        "EASE": "baselines",
        "ContentKNN": "baselines",
        "GenreMean": "baselines",
    },
)
