"""Vectors from elsewhere: scores are NumPy's inner products, ids match, nothing else moves."""

import dataclasses

import numpy as np
import pytest

from tfadvrec.models import (
    BiasedMatrixFactorization,
    LightGCN,
    MatrixFactorization,
    TwoTower,
)
from tfadvrec.tuning import Factors, warm_start

RANDOM = np.random.default_rng(0)
U, V = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(6, 3))
A, B = RANDOM.normal(size=4), RANDOM.normal(size=6)


def factors(**options):
    return Factors(**{"user_factors": U, "item_factors": V, **options})


def model(cls=MatrixFactorization, **options):
    made = cls(n_users=4, n_items=6, **{"dimension": 3, "seed": 0, **options})
    made.set_ids(np.arange(10, 14), np.array(list("abcdef")))
    return made


def scores(made):
    return made.score_catalogue(np.arange(made.n_users)).numpy()


def test_scores_are_the_inner_products():
    made = warm_start(model(), factors(), verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T, atol=1e-6)
    x = {"user_id": np.arange(4), "item_id": np.arange(6)}
    np.testing.assert_allclose(made(x), U @ V.T, atol=1e-6)


def test_biases_are_added():
    made = warm_start(model(item_bias=True), factors(item_biases=B[:, None]), verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T + B, atol=1e-6)
    both = factors(user_biases=A, item_biases=B)
    made = warm_start(model(BiasedMatrixFactorization, mean=2.0), both, verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T + A[:, None] + B + 2.0, atol=1e-6)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_a_linear_two_tower_passes_the_vectors_on(similarity):
    made = model(TwoTower, similarity=similarity, temperature=0.2)
    warm_start(made, factors(), verbose=False)
    expected = U @ V.T
    if similarity == "cosine":
        lengths = np.linalg.norm(U, axis=1)[:, None] * np.linalg.norm(V, axis=1)
        expected = expected / lengths / 0.2
    np.testing.assert_allclose(scores(made), expected, atol=1e-5)


def test_rows_are_matched_by_id_and_others_keep_their_own(capsys):
    made = model()
    own = made.item_embedding.embeddings.numpy()
    ids = ["f", "zz", "a", "b", "yy", "xx"]
    warm_start(made, factors(item_ids=ids))
    table = made.item_embedding.embeddings.numpy()
    np.testing.assert_allclose(table[[5, 0, 1]], V[[0, 2, 3]], rtol=1e-6)
    np.testing.assert_array_equal(table[2:5], own[2:5])
    assert made.matched == {
        "user": {"rows": 4, "known": 4, "new": 0},
        "item": {"rows": 6, "known": 3, "new": 3},
    }
    said = capsys.readouterr().err
    assert "3 of 6 items start from the given vectors; 3 keep their own" in said


def test_one_side_alone_leaves_the_other_as_it_is():
    made = model()
    own = made.user_embedding.embeddings.numpy()
    warm_start(made, Factors(item_factors=V), verbose=False)
    np.testing.assert_array_equal(made.user_embedding.embeddings, own)
    assert list(made.matched) == ["item"]


def test_reduced_vectors_keep_the_inner_products_as_well_as_can_be():
    reduced = factors(user_biases=A).reduced(2)
    values = np.linalg.svd(U @ V.T, compute_uv=False)
    error = np.linalg.norm(U @ V.T - reduced.user_factors @ reduced.item_factors.T)
    assert error == pytest.approx(values[2], rel=1e-6)  # Eckart and Young
    np.testing.assert_array_equal(reduced.user_biases, A)
    made = warm_start(model(dimension=2), factors().reduced(2), verbose=False)
    assert np.linalg.norm(scores(made) - U @ V.T) == pytest.approx(values[2], rel=1e-4)
    wide = Factors(np.ones((2, 5)), np.ones((3, 5))).reduced(4)  # fewer rows than numbers
    np.testing.assert_allclose(wide.user_factors @ wide.item_factors.T, 5.0)


class Implicit:
    """What `implicit` gives; on a GPU its matrices have `to_numpy`."""

    class Matrix:
        def __init__(self, values):
            self.values = values

        def to_numpy(self):
            return self.values

    user_factors, item_factors = Matrix(U.astype("f4")), V.astype("f4")


class LightFM:
    """What LightFM gives: biases first."""

    def get_user_representations(self, features=None):
        return (A, U) if features is None else (features @ A, features @ U)

    def get_item_representations(self, features=None):
        return B, V


class Tensor:
    """A PyTorch tensor that needs a gradient: NumPy must not be handed it as it is."""

    def __init__(self, values, ready=False):
        self.values, self.ready = values, ready

    def detach(self):
        return Tensor(self.values, ready=True)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        assert self.ready
        return self.values


def test_readers_take_what_the_libraries_give():
    made = warm_start(model(), Factors.from_implicit(Implicit()), verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T, atol=1e-6)
    fitted = Factors.from_lightfm(LightFM())
    made = warm_start(model(BiasedMatrixFactorization), fitted, verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T + A[:, None] + B, atol=1e-6)
    turned = np.eye(4)[::-1]
    assert Factors.from_lightfm(LightFM(), user_features=turned).user_biases[0] == A[3]


def test_a_state_of_recbole_with_its_padding_rows():
    state = {
        "user_embedding.weight": Tensor(np.concatenate([np.zeros((1, 3)), U])),
        "item_embedding.weight": Tensor(np.concatenate([np.zeros((1, 3)), V])),
        "item_bias": Tensor(np.append(0.0, B)),
    }
    ids = {"user_ids": ["[PAD]", "u", "v", "w", "x"], "item_ids": ["[PAD]", *"abcdef"]}
    found = Factors.from_state_dict(state, item_bias="item_bias", **ids)
    made = model(item_bias=True)
    made.set_ids(np.array(list("uvwx")), np.array(list("abcdef")))
    warm_start(made, found, verbose=False)
    np.testing.assert_allclose(scores(made), U @ V.T + B, atol=1e-6)

    class Module:
        def state_dict(self):
            return state

    assert Factors.from_state_dict(Module()).width == 3
    with pytest.raises(ValueError, match=r"no 'user_embeddings'; did you mean 'user_embedding\."):
        Factors.from_state_dict(state, user="user_embeddings")


def test_implicit_itself():
    als = pytest.importorskip("implicit.als")
    sparse = pytest.importorskip("scipy.sparse")
    counts = sparse.csr_matrix((RANDOM.random((30, 20)) < 0.3).astype(np.float32))
    fitted = als.AlternatingLeastSquares(factors=5, iterations=3, random_state=0)
    fitted.fit(counts, show_progress=False)
    made = MatrixFactorization(n_users=30, n_items=20, dimension=5)
    warm_start(made, Factors.from_implicit(fitted), verbose=False)
    items, values = fitted.recommend(np.arange(30), counts, N=20, filter_already_liked_items=False)
    mine = scores(made)
    np.testing.assert_allclose(np.take_along_axis(mine, items, 1), values, atol=1e-5)


def test_lightfm_itself():
    lightfm = pytest.importorskip("lightfm")
    sparse = pytest.importorskip("scipy.sparse")
    log = sparse.coo_matrix((RANDOM.random((30, 20)) < 0.3).astype(np.float32))
    fitted = lightfm.LightFM(no_components=5, random_state=0).fit(log, epochs=2)
    made = BiasedMatrixFactorization(n_users=30, n_items=20, dimension=5)
    warm_start(made, Factors.from_lightfm(fitted), verbose=False)
    users, items = (part.ravel() for part in np.indices((30, 20)))
    np.testing.assert_allclose(scores(made).ravel(), fitted.predict(users, items), atol=1e-5)


NAN = V.copy()
NAN[[1, 4]] = np.nan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"item_factors": V[:, :2]}, "vectors of one width"),
        ({"item_factors": V[0]}, "one vector a row"),
        ({"item_factors": NAN}, r"NaN or infinity in 2 rows, the first \[1, 4\]"),
        ({"item_factors": np.array([["a"]])}, "holds numbers"),
        ({"item_biases": B[:4]}, "one number for each of the 6 rows"),
        ({"item_ids": list("abc")}, "one id for each of the 6 rows"),
        ({"item_ids": list("abcdea")}, r"repeats \['a'\]"),
        ({"item_factors": None, "item_biases": B}, "need item_factors"),
        ({"user_factors": None, "item_factors": None}, "or both"),
    ],
)
def test_factors_are_checked_when_they_are_made(options, words):
    with pytest.raises(ValueError, match=words):
        factors(**options)


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        ({"dimension": 2}, {}, r"Make the model with dimension=3 or give factors.reduced\(2\)"),
        ({"dimension": 5}, {}, r"Make the model with dimension=3\."),
        ({}, {"item_biases": B}, "item_bias=True"),
        ({}, {"user_biases": A}, "changes no ranking"),
        ({}, {"user_factors": U[:3]}, "3 users without ids and .* has 4"),
        ({}, {"item_ids": np.arange(6)}, "Text and integers differ"),
        ({"cls": TwoTower, "hidden": (4,)}, {}, "would mean nothing"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(made, given, words):
    made = model(**made)
    before = made.get_weights()
    with pytest.raises(ValueError, match=words):
        warm_start(made, factors(**given), verbose=False)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_models_and_models_without_ids_are_told_so():
    with pytest.raises(TypeError, match="Received: LightGCN"):
        warm_start(model(LightGCN), factors())
    made = model()
    made.set_ids(None, None)
    with pytest.raises(ValueError, match="does not know its own"):
        warm_start(made, factors(item_ids=list("abcdef")))
    with pytest.raises(ValueError, match="fit it first"):
        Factors.from_implicit(object())
    with pytest.raises(ValueError, match="from 1 to below 3"):
        factors().reduced(3)
    users = dataclasses.replace(factors(), item_factors=None)
    with pytest.raises(ValueError, match="one is missing"):
        users.reduced(2)
