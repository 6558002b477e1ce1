import numpy as np
import pytest

from tfadvrec.data import leave_last_out, synthetic


def test_size_features_and_honesty():
    log = synthetic()
    assert (log.n_users, log.n_items) == (943, 1682)
    assert abs(len(log) - 60_000) < 600
    assert not log.real
    assert "not real" in log.origin
    assert {key: values.dtype.kind for key, values in log.item_features.items()} == {
        "title": "U",
        "year": "f",
        "genre": "O",
    }
    assert set(log.user_features) == {"age", "gender", "occupation"}
    assert set(np.unique(log.rating)) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert np.bincount(log.user, minlength=943).min() >= 1


def test_the_seed_decides_everything():
    assert synthetic(50, 60, n_interactions=500).fingerprint() == (
        synthetic(50, 60, n_interactions=500).fingerprint()
    )
    assert synthetic(50, 60, n_interactions=500, seed=1).fingerprint() != (
        synthetic(50, 60, n_interactions=500, seed=2).fingerprint()
    )


def test_no_pair_repeats():
    log = synthetic(100, 90, n_interactions=2000)
    assert log.csr().nnz == len(log)


def test_popularity_is_skewed():
    popularity = np.sort(synthetic().popularity())[::-1]
    top = popularity[: len(popularity) // 10].sum() / popularity.sum()
    assert top > 0.25


def test_groups_can_be_learnt():
    # neighbours of what a user had beat the most popular items by far, without noise or with it
    log = synthetic(400, 300, n_interactions=12_000)
    train, _, test = leave_last_out(log)
    seen = train.csr().toarray()
    scale = np.sqrt(np.maximum(seen.sum(0), 1))
    near = (seen.T @ seen) / np.outer(scale, scale)
    np.fill_diagonal(near, 0)

    def hits(scores):
        scores = np.where(seen[test.user] > 0, -np.inf, scores)
        return np.mean((np.argsort(-scores, axis=1)[:, :10] == test.item[:, None]).any(1))

    popular = hits(np.tile(seen.sum(0), (len(test), 1)))
    neighbours = hits(seen[test.user] @ near)
    assert neighbours > 1.5 * popular
    assert neighbours > 0.15


def test_seasons_shape_what_is_picked():
    log = synthetic(600, 200, n_interactions=20_000)
    month = (log.time // (30 * 86_400)) % 12
    table = np.zeros((log.n_items, 12))
    np.add.at(table, (log.item, month), 1)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi = ((table - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    degrees = (log.n_items - 1) * (len(np.flatnonzero(table.sum(0))) - 1)
    assert chi > 1.3 * degrees


@pytest.mark.parametrize(
    "options",
    [
        {"n_users": 0},
        {"n_items": 1},
        {"noise": 1.5},
        {"n_interactions": 5},
        {"n_interactions": 10**7},
    ],
)
def test_impossible_sizes_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        synthetic(**options)
