"""Sums of cosines along lists: three ways, one result."""

import numpy as np
import pytest
from scipy import sparse

from tfadvrec.evaluation import diversity
from tfadvrec.evaluation.diversity import CoOccurrence, along_vectors

N_USERS, N_ITEMS = 70, 50


def case(seed=0):
    """A log with an item that everybody has and two that nobody has, and ragged lists."""
    rng = np.random.default_rng(seed)
    log = rng.random((N_USERS, N_ITEMS)) < rng.random(N_ITEMS) * 0.4
    log[:, 3], log[:, [7, 8]] = True, False
    lists = np.stack([rng.permutation(N_ITEMS)[:12] for _ in range(33)]).astype(np.int32)
    lengths = np.sort(rng.integers(0, 13, (33, 3)), axis=1)
    lengths[0], lengths[1] = 0, 12
    for user, most in enumerate(lengths[:, -1]):
        lists[user, most:] = -1
    return log, lists, lengths


def slowly(vectors, lists, lengths):
    long = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.maximum(long, 1e-12)[:, None]
    return np.array(
        [
            [sum(unit[i] @ unit[j] for i in own[:n] for j in own[:n] if i < j) for n in many]
            for own, many in zip(lists, lengths, strict=True)
        ]
    )


@pytest.mark.parametrize("way", ["dense table", "sparse table", "no table"])
@pytest.mark.parametrize("threads", [1, 2])
def test_items_as_sets_of_users(way, threads, monkeypatch):
    monkeypatch.setattr(diversity, "_DENSE", 0.0 if way == "dense table" else 1.0)
    monkeypatch.setattr(diversity, "TABLE_ITEMS", 5 if way == "no table" else 8192)
    monkeypatch.setattr(diversity, "_HELD", 100)  # many blocks
    log, lists, lengths = case()
    found = CoOccurrence(sparse.csr_matrix(log)).along(lists, lengths, threads=threads)
    expected = slowly(log.T.astype(float), lists, lengths)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_table_grows_and_is_kept(monkeypatch):
    log, lists, lengths = case()
    pairs = CoOccurrence(sparse.csr_matrix(log))
    expected = slowly(log.T.astype(float), lists, lengths)
    for few in (2, 5, 33, 5):
        np.testing.assert_allclose(
            pairs.along(lists[:few], lengths[:few]), expected[:few], atol=1e-5
        )
    monkeypatch.setattr(pairs, "_by_user", None)  # nothing is computed again
    pairs.along(lists, lengths)


def test_a_table_that_would_grow_too_large_starts_anew(monkeypatch):
    log, lists, lengths = case()
    pairs = CoOccurrence(sparse.csr_matrix(log))
    monkeypatch.setattr(diversity, "TABLE_ITEMS", 14)
    expected = slowly(log.T.astype(float), lists, lengths)
    for user in range(1, 6):
        one = slice(user, user + 1)
        np.testing.assert_allclose(pairs.along(lists[one], lengths[one]), expected[one], atol=1e-5)
        assert len(pairs._items) <= 14


def test_common_users_are_counted_beyond_sixteen_bits():
    """An item of 70,000 users does not fit in the small table."""
    log = sparse.csr_matrix(np.ones((70_000, 2), bool))
    found = CoOccurrence(log).along(np.array([[0, 1]]), [2])
    assert found[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_given_vectors(monkeypatch):
    _, lists, lengths = case()
    vectors = np.random.default_rng(1).normal(size=(N_ITEMS, 9))
    vectors[4] = 0.0
    expected = slowly(vectors, lists, lengths)
    np.testing.assert_allclose(along_vectors(vectors, lists, lengths), expected, atol=1e-5)
    monkeypatch.setattr(diversity, "_HELD", 300)
    np.testing.assert_allclose(along_vectors(vectors, lists, lengths), expected, atol=1e-5)


def test_lists_that_show_nothing_have_no_pairs():
    log, _, _ = case()
    nothing = np.full((4, 6), -1, np.int32)
    found = CoOccurrence(sparse.csr_matrix(log)).along(nothing, np.zeros((4, 2), int))
    assert found.tolist() == [[0.0, 0.0]] * 4
