"""Baselines in closed form: the neighbours that every number needs."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "MostPopular": "most_popular",
        "ItemKNN": "item_knn",
        "PureSVD": "pure_svd",
        "SpectralFilter": "spectral_filter",
        "EASE": "ease",
        "ContentKNN": "content_knn",
        "GenreMean": "genre_mean",
    },
)
