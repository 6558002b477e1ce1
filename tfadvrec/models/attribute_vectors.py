"""Attributes of items as plain vectors, for the models that learn nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from tfadvrec.models.feature_column import FeatureColumn


def attribute_matrix(
    columns: Sequence[FeatureColumn],
    features: Mapping[str, Sequence[Any]],
    known: np.ndarray,
    *,
    weights: Mapping[str, float] | None = None,
    bins: int = 20,
) -> csr_matrix:
    """One sparse vector a row; the cosine of two is how alike their attributes are.

    The values of a feature are weighted by how rare they are among the known rows, ln(n / n_v),
    and each feature's part of a vector is brought to the feature's weight, so that no feature
    counts more for having more values. A number lies softly in `bins` equal bins of its known
    range: near numbers are alike.

    Args:
        columns: The features.
        features: Name -> one value a row.
        known: bool `(rows,)`, the rows that rarity is counted on.
        weights: Name -> weight of a feature; 1 where not named.
        bins: Bins of a number.

    Returns:
        float64 `(rows, values)`, rows of length 1 (0 where nothing is known of a row).

    Raises:
        ValueError: If a feature is missing, or a weight is of no feature or negative.
    """
    weights = dict(weights or {})
    names = [column.name for column in columns]
    for name, weight in weights.items():
        if name not in names or not weight >= 0:
            raise ValueError(
                f"weights are 0 or more, of the features {names}. Received: {name!r}: {weight!r}"
            )
    parts = []
    for column in columns:
        if column.name not in features:
            raise ValueError(
                f"the log has no feature {column.name!r}; it has {sorted(features)}. Add it with "
                "log.with_features(...)."
            )
        encoded = column.encode(features[column.name])
        if column.kind == "numeric":
            part = _binned(encoded[:, 0], known, bins)
        else:
            part = _weighted(encoded, column.cardinality, known)
        parts.append(_unit(part) * weights.get(column.name, 1.0))
    return _unit(hstack(parts, format="csr"))


def _weighted(encoded: np.ndarray, size: int, known: np.ndarray) -> csr_matrix:
    """Marks each row's values, weighted by rarity; a value that no known row has counts nothing."""
    row, place = np.nonzero(encoded >= 0)
    marks = csr_matrix((np.ones(len(row)), (row, encoded[row, place])), shape=(len(encoded), size))
    counts = np.asarray(marks[known].sum(axis=0)).ravel()
    total = max(1, int(known.sum()))
    rarity = np.log((total + 1) / np.where(counts > 0, counts, total + 1))
    return csr_matrix(marks.multiply(rarity[None, :]))


def _binned(numbers: np.ndarray, known: np.ndarray, bins: int) -> csr_matrix:
    low, high = numbers[known].min(), numbers[known].max()
    centres = np.linspace(low, high, bins)
    width = (high - low) / bins or 1.0
    near = np.exp(-0.5 * np.square((numbers[:, None].clip(low, high) - centres) / width))
    near[near < 1e-3] = 0.0
    return csr_matrix(near)


def _unit(matrix: csr_matrix) -> csr_matrix:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_matrix(
        matrix.multiply(np.where(length > 0, 1 / np.maximum(length, 1e-12), 0)[:, None])
    )
