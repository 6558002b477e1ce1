"""The vectors of a trained recommender, as TensorFlow Recommenders takes candidates."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.serving.model_vectors import ranking_model, read_vectors


def candidates(model: Any, *, batch_size: int = 4096) -> tf.data.Dataset:
    """A model's items as TFRS takes them: what `index_from_dataset` and `FactorizedTopK` are given.

    Args:
        model: A trained recommender that ranks by inner products of vectors (`embed_users`,
            `embed_items`), or what trains it.
        batch_size: Items in a batch.

    Returns:
        A dataset of batches `(ids, vectors)`: ids are the model's `item_ids` (string or int64), or
        int32 rows where it has none; vectors are float32 `(batch, dimension)`, as they are now.

    Raises:
        ValueError: The model does not rank by vectors.
    """
    ranker, _, items = vectors_of(model)
    ids = ids_of(ranker, "item")
    ids = tf.range(len(items)) if ids is None else ids
    return tf.data.Dataset.from_tensor_slices((ids, items)).batch(batch_size)


def vectors_of(model: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """What ranks, and its users' and items' vectors, `(n, dimension)` each.

    Raises:
        ValueError: The model does not rank by vectors.
    """
    ranker = ranking_model(model)
    read = read_vectors(ranker, ranker.n_users, ranker.n_items)
    if read is None:
        raise ValueError(
            f"TensorFlow Recommenders ranks by inner products, and {type(ranker).__name__} has no "
            "vectors (embed_users and embed_items): use its own recommend, or serving.export."
        )
    return ranker, *read


def ids_of(ranker: Any, side: str) -> tf.Tensor | None:
    """The ids of a side's rows, string or int64; None where the model has none."""
    ids = getattr(ranker, f"{side}_ids", None)
    if ids is None:
        return None
    ids = np.asarray(ids)
    if ids.dtype.kind in "iu":
        return tf.constant(ids, tf.int64)
    return tf.constant([str(one) for one in ids.tolist()], tf.string)
