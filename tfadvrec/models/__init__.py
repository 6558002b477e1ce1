"""Recommenders: plain Keras models that rank a catalogue."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Recommender": "recommender",
        "KerasRecommender": "keras_recommender",
        "MatrixFactorization": "matrix_factorization",
        "TwoTower": "two_tower",
        "Multimodal": "multimodal",
        "VBPR": "vbpr",
        "ContentTwoTower": "content_two_tower",
        "LightGCN": "light_gcn",
        "SimGCL": "sim_gcl",
        "CollaborativeGenerator": "collaborative_generator",
        "VariationalAutoencoder": "variational_autoencoder",
        "AttributeRecommender": "attribute_recommender",
        "ConditionalItemGenerator": "conditional_item_generator",
        "BehaviourGenerator": "behaviour_generator",
        "BiasedMatrixFactorization": "biased_matrix_factorization",
        "NeuralMatrixFactorization": "neural_matrix_factorization",
        "ClickModel": "click_model",
        "CrossNetwork": "cross_network",
        "DeepFactorizationMachine": "deep_factorization_machine",
        "ClickTwoTower": "click_two_tower",
        "SelfAttentive": "self_attentive",
        "Recurrent": "recurrent",
        "MostPopular": "baselines",
        "ItemKNN": "baselines",
        "PureSVD": "baselines",
        "SpectralFilter": "baselines",
        "EASE": "baselines",
        "ContentKNN": "baselines",
        "GenreMean": "baselines",
    },
)
