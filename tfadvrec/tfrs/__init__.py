"""Bridge to TensorFlow Recommenders, which is Keras 2: its models made adversarial, our towers in
its indexes.

Using a name from here needs the environment variable `TF_USE_LEGACY_KERAS=1`, set before TensorFlow
is imported, and `pip install "tfadvrec[tfrs]"`.
"""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "AdversarialTraining": "adversarial_training",
        "QueryModel": "query_model",
        "candidates": "item_vectors",
        "index": "indexing",
    },
)
