"""Our towers in TensorFlow Recommenders' indexes."""

from typing import Any

from tfadvrec.tfrs.item_vectors import candidates, vectors_of
from tfadvrec.tfrs.loading import scann_trouble, tfrs
from tfadvrec.tfrs.query_model import QueryModel

KINDS = {"brute_force": "BruteForce", "streaming": "Streaming", "scann": "ScaNN"}


def index(
    model: Any,
    kind: str = "brute_force",
    *,
    k: int = 10,
    unknown: str = "error",
    **options: Any,
) -> Any:
    """A TFRS top-k layer that answers what `model.recommend` answers.

    It holds the model's vectors as they are now: make a new one after further training.

    Args:
        model: A trained recommender that ranks by inner products of vectors, or what trains it.
        kind: `"brute_force"`, `"streaming"` (both exact) or `"scann"` (approximate; where the
            scann package can be loaded).
        k: How many items, at most the catalogue.
        unknown: `"error"` or `"mean"`; see `QueryModel`.
        **options: Of the TFRS layer, such as ScaNN's `num_leaves`.

    Returns:
        A `tfrs.layers.factorized_top_k` layer: user ids `(batch,)` (rows where the model has no
        ids) give scores `(batch, k)` and item ids `(batch, k)`, best first.

    Raises:
        ValueError: The model does not rank by vectors, or an argument is out of range.
        ImportError: `"scann"`, and scann cannot be loaded.

    Example:

    >>> import tensorflow as tf
    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(n_users=5, n_items=9, n_interactions=20, seed=0)
    >>> model = tar.TwoTower(n_users=5, n_items=9, dimension=4, seed=0).bind(log)
    >>> scores, items = tar.tfrs.index(model, k=3)(tf.constant(log.user_ids[:2]))
    >>> bool((items.numpy() == model.recommend(log.user_ids[:2], 3)[0]).all())
    True
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {sorted(KINDS)}. Received: {kind!r}")
    ranker, _, items = vectors_of(model)
    if not 1 <= k <= len(items):
        raise ValueError(f"k must lie between 1 and the {len(items)} items. Received: {k!r}")
    trouble = scann_trouble() if kind == "scann" else None
    if trouble:
        raise ImportError(
            f'index(kind="scann") needs scann, and {trouble}. kind="brute_force" is exact and '
            "needs nothing more."
        )
    layer = getattr(tfrs.layers.factorized_top_k, KINDS[kind])
    return layer(QueryModel(ranker, unknown=unknown), k=k, **options).index_from_dataset(
        candidates(ranker)
    )
