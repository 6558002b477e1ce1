"""Closed-form baselines against answers that are known by other means."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.evaluation import evaluate
from tfadvrec.models import EASE, ItemKNN, MostPopular, PureSVD
from tfadvrec.models.history import History

BASELINES = [MostPopular, ItemKNN, PureSVD, EASE]
HISTORY = [ItemKNN, EASE]


def log_of(matrix):
    """A log with the interactions of a dense matrix, text ids."""
    user, item = np.nonzero(np.asarray(matrix))
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=np.array([f"u{row}" for row in range(len(matrix))]),
        item_ids=np.array([f"i{row}" for row in range(len(matrix[0]))]),
    )


def make(cls, log, **config):
    return cls(n_users=log.n_users, n_items=log.n_items, **config)


def catalogue(model):
    return model.score_catalogue(np.arange(model.n_users)).numpy()


@pytest.fixture
def random_matrix():
    random = np.random.default_rng(3)
    matrix = (random.random((40, 17)) < random.uniform(0.05, 0.6, 17)).astype(int)
    matrix[7] = 0  # a user without history
    matrix[:, 5] = 0  # an item that nobody took
    return matrix


@pytest.mark.parametrize("cls", [*HISTORY, PureSVD])
def test_the_one_item_of_the_own_parity_that_a_user_has_not_met_comes_first(cls, blocks_log):
    model = make(cls, blocks_log, **({"rank": 2} if cls is PureSVD else {})).fit(blocks_log)
    ids, scores = model.recommend(blocks_log.user_ids, k=1, exclude=blocks_log)
    assert ids[:, 0].tolist() == blocks_log.item_ids.tolist()  # item u for user u
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("cls", BASELINES)
def test_candidates_get_their_catalogue_scores(cls, random_matrix):
    log = log_of(random_matrix)
    model = make(cls, log, **({"rank": 5} if cls is PureSVD else {})).fit(log)
    dense = catalogue(model)
    users, items = np.array([3, 7, 12]), np.array([[0, 16], [5, 2], [9, 9]])
    scores = model({"user_id": users, "item_id": items})
    np.testing.assert_allclose(scores, dense[users[:, None], items], rtol=1e-5, atol=1e-6)
    shared = model({"user_id": users, "item_id": np.array([4, 1, 0, 8])})
    np.testing.assert_allclose(shared, dense[users][:, [4, 1, 0, 8]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", BASELINES)
def test_scores_can_be_traced_for_any_number_of_users(cls, random_matrix):
    log = log_of(random_matrix)
    model = make(cls, log, **({"rank": 5} if cls is PureSVD else {})).fit(log)
    traced = tf.function(
        model.score_catalogue, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False
    )
    for rows in ([1], [7, 7, 0], []):
        rows = np.array(rows, np.int32)
        np.testing.assert_allclose(traced(rows), catalogue(model)[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", BASELINES)
def test_config_goes_through_json_and_weights_carry_the_fit(cls, random_matrix):
    log = log_of(random_matrix)
    config = {ItemKNN: {"neighbours": 3, "shrink": 2.0}, EASE: {"regularization": 7.0}}
    config |= {PureSVD: {"rank": 4, "seed": 1}}
    model = make(cls, log, **config.get(cls, {})).fit(log)
    again = cls.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    assert not again.trainable_weights
    again.set_weights(model.get_weights())
    again.bind(log)
    np.testing.assert_array_equal(catalogue(again), catalogue(model))


@pytest.mark.parametrize("cls", BASELINES)
def test_two_fits_give_equal_weights(cls, random_matrix):
    log = log_of(random_matrix)
    config = {"rank": 5} if cls is PureSVD else {}
    first, second = (make(cls, log, **config).fit(log).get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cls", BASELINES)
def test_a_log_of_another_size_is_refused(cls, random_matrix):
    log = log_of(random_matrix)
    with pytest.raises(ValueError, match=r"made for 40 users and 16 items.* has 40 and 17"):
        cls(n_users=40, n_items=16, **({"rank": 5} if cls is PureSVD else {})).fit(log)
    with pytest.raises(TypeError, match=r"fit\(log\)"):
        make(cls, log, **({"rank": 5} if cls is PureSVD else {})).fit(
            tf.data.Dataset.from_tensors(0)
        )
    with pytest.raises(ValueError, match="no interaction"):
        make(cls, log, **({"rank": 5} if cls is PureSVD else {})).fit(log.take(np.array([], int)))


@pytest.mark.parametrize("cls", HISTORY)
def test_scoring_before_bind_says_what_to_do(cls):
    with pytest.raises(ValueError, match=r"call model.bind\(log\)"):
        cls(n_users=2, n_items=2).score_catalogue([0])


@pytest.mark.parametrize("cls", HISTORY)
def test_another_history_changes_the_scores_and_no_weight(cls, random_matrix):
    log = log_of(random_matrix)
    model = make(cls, log).fit(log)
    weights = model.get_weights()
    other = log_of(np.roll(random_matrix, 1, axis=0))
    before = catalogue(model)
    after = catalogue(model.bind(other))
    np.testing.assert_allclose(after[1:], before[:-1], rtol=1e-6)
    for one, same in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize(
    ("cls", "bad", "message"),
    [
        (EASE, {"regularization": 0}, "regularization > 0"),
        (EASE, {"regularization": float("nan")}, "regularization > 0"),
        (ItemKNN, {"neighbours": 0}, "neighbours >= 1"),
        (ItemKNN, {"shrink": -1.0}, "shrink >= 0"),
        (PureSVD, {"rank": 4}, "rank <= 3"),
        (PureSVD, {"rank": 0}, "1 <= rank"),
    ],
)
def test_bad_settings_are_refused(cls, bad, message):
    with pytest.raises(ValueError, match=message):
        cls(n_users=3, n_items=5, **bad)


def test_most_popular_orders_by_distinct_users_and_ties_by_row():
    log = log_of([[1, 0, 1, 0], [0, 0, 1, 0], [0, 1, 1, 0]])
    twice = log.take(np.r_[np.arange(len(log)), 0, 0])  # u0 took i0 three times: still one user
    model = make(MostPopular, log).fit(twice)
    ids, scores = model.recommend(["u0", "u2"], k=4)
    assert ids.tolist() == [["i2", "i0", "i1", "i3"]] * 2
    assert scores.tolist() == [[3, 1, 1, 0]] * 2
    assert model.recommend(["who?"], k=1, unknown="mean")[0].tolist() == [["i2"]]


def test_ties_count_against_the_most_popular():
    train = log_of([[1, 1, 0, 0], [1, 0, 0, 0]])
    test = log_of([[0, 0, 1, 0], [0, 0, 0, 0]])  # i2 and i3 are equal for u0
    model = make(MostPopular, train).fit(train)
    assert evaluate(model, train, test, k=(1, 2)).means["hr@1"] == 0.0
    assert evaluate(model, train, test, k=(1, 2)).means["hr@2"] == 1.0


def test_item_knn_agrees_with_a_hand_computation():
    log = log_of([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]])  # N = 4, 2, 1; n01 = 2, n02 = 1
    full = make(ItemKNN, log, shrink=1.0).fit(log)
    s01, s02 = 2 / (np.sqrt(8) + 1), 1 / (np.sqrt(4) + 1)
    expected = [[s01, s01, s02], [s01, s01, s02], [s02, s01, s02], [0, s01, s02]]
    np.testing.assert_allclose(catalogue(full), expected, rtol=1e-6)
    nearest = make(ItemKNN, log, shrink=1.0, neighbours=1).fit(log)  # of i0 this is i1
    expected = [[s01, s01, s02], [s01, s01, s02], [0, s01, s02], [0, s01, s02]]
    np.testing.assert_allclose(catalogue(nearest), expected, rtol=1e-6)


def test_item_knn_agrees_with_dense_arithmetic_in_any_chunks(random_matrix, monkeypatch):
    log = log_of(random_matrix)
    x = random_matrix.astype(float)
    both, users_of = x.T @ x, x.sum(0)
    with np.errstate(invalid="ignore"):
        similarity = np.nan_to_num(both / (np.sqrt(np.outer(users_of, users_of))))
    np.fill_diagonal(similarity, 0)
    order = np.argsort(-similarity, axis=0, kind="stable")  # of equal ones the lower row
    np.put_along_axis(similarity, order[4:], 0.0, axis=0)
    model = make(ItemKNN, log, neighbours=4).fit(log)
    np.testing.assert_allclose(catalogue(model), x @ similarity, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("tfadvrec.models.baselines.neighbour_recommender.ITEMS", 5)
    chunked = make(ItemKNN, log, neighbours=4).fit(log)
    for one, other in zip(model.get_weights(), chunked.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pure_svd_agrees_with_numpy(random_matrix):
    log = log_of(random_matrix)
    _, values, vectors = np.linalg.svd(random_matrix.astype(float), full_matrices=False)
    for rank in (1, 6, 15, 16, 17):  # the last two are beyond the iterative solver
        model = make(PureSVD, log, rank=rank).fit(log)
        expected = random_matrix @ vectors[:rank].T @ vectors[:rank]
        np.testing.assert_allclose(catalogue(model), expected, atol=2e-5)
        lengths = np.linalg.norm(model.user_factors.numpy(), axis=0)
        np.testing.assert_allclose(lengths, values[:rank], rtol=1e-4, atol=1e-5)


def test_pure_svd_has_the_same_signs_whatever_the_seed(random_matrix):
    log = log_of(random_matrix)
    first, second = (make(PureSVD, log, rank=6, seed=seed).fit(log) for seed in (0, 1))
    np.testing.assert_allclose(first.item_factors, second.item_factors, atol=1e-5)
    largest = np.abs(first.item_factors).argmax(axis=0)
    assert (first.item_factors.numpy()[largest, np.arange(6)] > 0).all()


def test_pure_svd_scores_are_inner_products_of_its_vectors(random_matrix):
    log = log_of(random_matrix)
    model = make(PureSVD, log, rank=3).fit(log)
    users, items = model.embed_users(np.arange(40)), model.embed_items(np.arange(17))
    np.testing.assert_allclose(users @ tf.transpose(items), catalogue(model), rtol=1e-6)
    assert set(model.row_weights().values()) == {("user", 0), ("item", 0)}


def test_ease_columns_are_ridge_regressions_without_the_item_itself(random_matrix):
    log = log_of(random_matrix)
    model = make(EASE, log, regularization=3.0).fit(log)
    weights = model.weight_matrix.numpy()
    x = random_matrix.astype(float)
    for item in range(17):
        others = np.delete(x, item, axis=1)
        ridge = np.linalg.solve(others.T @ others + 3.0 * np.eye(16), others.T @ x[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), ridge, atol=1e-6)
        assert weights[item, item] == 0
    np.testing.assert_allclose(catalogue(model), x @ weights, rtol=1e-5, atol=1e-6)


def test_history_merges_duplicates_and_keeps_empty_users():
    log = log_of([[1, 0, 1], [0, 0, 0]])
    history = History(log.take(np.array([1, 0, 0])).csr())
    assert history.dense([1, 0, 0]).numpy().tolist() == [[0, 0, 0], [1, 0, 1], [1, 0, 1]]


def test_a_fitted_history_model_can_be_exported_without_keras(random_matrix, tmp_path):
    log = log_of(random_matrix)
    model = make(EASE, log).fit(log)
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.score = tf.function(
        model.score_catalogue, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False
    )
    tf.saved_model.save(module, str(tmp_path))
    again = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(again.score(np.arange(40, dtype=np.int32)), catalogue(model))


# -- leave-one-out on MovieLens-100K, settings chosen on a validation slice, tested once

GRIDS = {
    MostPopular: [{}],
    ItemKNN: [{"neighbours": k, "shrink": h} for k, h in ((50, 10.0), (100, 50.0))],
    PureSVD: [{"rank": rank} for rank in (20, 30, 40)],
    EASE: [{"regularization": weight} for weight in (50.0, 100.0, 200.0)],
}
PUBLISHED = {
    MostPopular: ({}, [0.0817, 0.0420, 0.3192, 0.0869]),
    ItemKNN: ({"neighbours": 100, "shrink": 50.0}, [0.1156, 0.0576, 0.4878, 0.1287]),
    PureSVD: ({"rank": 30}, [0.1421, 0.0684, 0.5228, 0.1412]),
    EASE: ({"regularization": 100.0}, [0.1400, 0.0713, 0.5302, 0.1473]),
}


@pytest.fixture
def leave_one_out(benchmark_data):
    folder = benchmark_data / "apr-ml100k"
    tables = [
        np.loadtxt(folder / f"{part}set.tsv", dtype=np.int64) for part in ("training", "test")
    ]
    users, items = (np.unique(np.concatenate([t[:, side] for t in tables])) for side in (0, 1))
    return [
        Interactions(
            user=np.searchsorted(users, table[:, 0]).astype(np.int32),
            item=np.searchsorted(items, table[:, 1]).astype(np.int32),
            time=table[:, 3],
            user_ids=users,
            item_ids=items,
        )
        for table in tables
    ]


@pytest.mark.parametrize("cls", BASELINES)
def test_reaches_the_table_with_settings_from_validation(cls, leave_one_out):
    train, test = leave_one_out
    order = np.lexsort((np.arange(len(train)), train.time, train.user))
    last = np.zeros(len(train), bool)
    last[order[np.r_[train.user[order][1:] != train.user[order][:-1], True]]] = True
    first, validation = train.take(~last), train.take(last)

    def quality(config):
        model = make(cls, train, **config).fit(first)
        return evaluate(model, first, validation, metrics=["ndcg"]).means["ndcg@10"]

    chosen = max(GRIDS[cls], key=quality)
    settings, numbers = PUBLISHED[cls]
    assert chosen == settings
    means = evaluate(
        make(cls, train, **chosen).fit(train), train, test, k=(10, 100), metrics=["hr", "ndcg"]
    ).means
    reached = [means[name] for name in ("hr@10", "ndcg@10", "hr@100", "ndcg@100")]
    np.testing.assert_allclose(reached, numbers, atol=0.0015)
