"""Blocks of scores: which way they are made, in which order, and how much is held."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.evaluation import RankingTask, evaluate, top_lists
from tfadvrec.evaluation.catalogue import block_users, each_block, inner_products, pair_matrix
from tfadvrec.models import MatrixFactorization

N_USERS, N_ITEMS = 203, 61


def log_of(pairs, n_users=N_USERS, n_items=N_ITEMS):
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)
    ids = {"user_ids": np.arange(n_users), "item_ids": np.arange(n_items)}
    return Interactions(user=pairs[:, 0], item=pairs[:, 1], **ids)


def split(seed=0):
    cells = np.random.default_rng(seed).permutation(N_USERS * N_ITEMS)
    pairs = np.stack(np.divmod(cells, N_ITEMS), axis=1)
    return log_of(pairs[:3000]), log_of(pairs[3000:4000])


def factors(item_bias=True):
    model = MatrixFactorization(
        n_users=N_USERS, n_items=N_ITEMS, dimension=8, item_bias=item_bias, seed=1
    )
    for seed, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(seed).normal(size=weight.shape))
    return model


class Opaque:
    """A model that gives scores only, and tells who asked for them."""

    def __init__(self, scores):
        self.scores, self.callers, self.asked = np.asarray(scores), set(), []
        self.scores.flags.writeable = False

    def score_catalogue(self, users):
        self.callers.add(threading.get_ident())
        self.asked.append(len(users))
        return self.scores[users]


def blocks(model, users, masked, **options):
    return list(each_block(model, users, masked, lambda at, cost: (at, cost.copy()), **options))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("chunk", [None, 1, 7, 60, 1000])
def test_blocks_are_the_negated_scores_with_the_seen_items_missing(chunk, threads):
    train, _ = split()
    users = np.random.default_rng(0).permutation(N_USERS)[:180]
    masked = pair_matrix([train])[users]
    scores = factors().score_catalogue(np.arange(N_USERS)).numpy()
    for model, near in ((factors(), 1e-5), (Opaque(scores), 0)):
        found = blocks(model, users, masked, chunk=chunk, threads=threads)
        sizes = [len(cost) for _, cost in found]
        assert [at for at, _ in found] == np.cumsum([0, *sizes[:-1]]).tolist()
        assert chunk is None or set(sizes[:-1]) <= {chunk}
        cost = np.concatenate([cost for _, cost in found])
        seen = masked.toarray()
        assert np.array_equal(np.isnan(cost), seen)
        np.testing.assert_allclose(-cost[~seen], scores[users][~seen], rtol=0, atol=near)


def test_a_model_with_scores_only_is_asked_by_one_thread_for_each_user_once():
    train, test = split()
    model = Opaque(np.random.default_rng(0).normal(size=(N_USERS, N_ITEMS)))
    result = evaluate(model, train, test, chunk=16, threads=3)
    assert model.callers == {threading.get_ident()}
    assert sum(model.asked) == len(result.users)
    assert max(model.asked) == 16


@pytest.mark.parametrize("item_bias", [False, True])
def test_both_ways_measure_the_same(item_bias):
    train, test = split()
    model = factors(item_bias)
    opaque = Opaque(model.score_catalogue(np.arange(N_USERS)).numpy())
    assert inner_products(model) is not None
    assert inner_products(opaque) is None
    one, other = (evaluate(m, train, test, k=(3, 10)) for m in (model, opaque))
    for name, values in one.per_user.items():
        np.testing.assert_allclose(values, other.per_user[name], atol=1e-6, err_msg=name)
    assert one.overall == pytest.approx(other.overall)
    users = np.arange(N_USERS)
    assert np.array_equal(top_lists(model, train, users), top_lists(opaque, train, users))


def test_scores_of_a_models_own_are_not_replaced_by_products():
    class Reversed(MatrixFactorization):
        def score_catalogue(self, users):
            return -super().score_catalogue(users)

    own = Reversed(n_users=N_USERS, n_items=N_ITEMS, dimension=8)
    assert inner_products(own) is None
    patched = factors()
    whole = patched.score_catalogue
    patched.score_catalogue = lambda users: -whole(users)
    assert inner_products(patched) is None
    train, test = split()
    auc = [evaluate(m, train, test, metrics=["auc"]).means["auc"] for m in (factors(), patched)]
    assert sum(auc) == pytest.approx(1.0, abs=1e-6)


def test_diverged_vectors_are_reported_and_infinite_scores_ranked():
    train, test = split()
    model = factors(item_bias=False)
    broken = model.item_embedding.embeddings.numpy()
    broken[5] = np.nan
    model.item_embedding.embeddings.assign(broken)
    with pytest.raises(ValueError, match=r"scores are NaN, first at \(user row \d+, item row 5\)"):
        evaluate(model, train, test)
    users = np.abs(model.user_embedding.embeddings.numpy()) + 1
    broken[5] = np.finfo(np.float32).max
    model.user_embedding.embeddings.assign(users)
    model.item_embedding.embeddings.assign(broken)
    everyone = np.arange(N_USERS)
    lists = top_lists(model, log_of([(0, 0)]), everyone, k=1)
    assert set(lists[:, 0].tolist()) == {5}


def test_wrong_shapes_and_options_are_refused():
    train, test = split()
    with pytest.raises(ValueError, match=r"returned shape \(\d+, 3\)"):
        evaluate(Opaque(np.zeros((N_USERS, 3))), train, test)
    for options, message in (({"chunk": 0}, "chunk must be"), ({"threads": 0}, "threads must be")):
        with pytest.raises(ValueError, match=message):
            evaluate(factors(), train, test, **options)


def test_pairs_of_all_logs_are_merged_and_in_order():
    one, other = split()
    twice = log_of(np.concatenate([np.stack([one.user, one.item], 1)] * 2))
    matrix = pair_matrix([twice, other])
    assert np.array_equal(matrix.toarray(), (one.csr() + other.csr()).toarray() > 0)
    assert matrix.nnz == 4000
    for row in range(N_USERS):
        assert np.all(np.diff(matrix[row].indices) > 0)


def test_blocks_shrink_with_the_catalogue():
    for n_items in (10, 3_706, 10**5, 10**6, 10**7):
        for threads in (1, 2, 16):
            held = block_users(n_items, threads) * threads * n_items * 4
            assert held <= max(64e6, threads * n_items * 4)


MEMORY = """
import json, resource, sys
import numpy as np
from tfadvrec.data import Interactions
from tfadvrec.evaluation import RankingTask

users, items = int(sys.argv[1]), 100_000
rng = np.random.default_rng(0)
ids = dict(user_ids=np.arange(users), item_ids=np.arange(items))
pairs = [Interactions(user=np.repeat(np.arange(users), n), item=rng.integers(0, items, users * n),
                      **ids) for n in (50, 2)]
class Scores:
    def score_catalogue(self, rows):
        return np.random.default_rng(int(rows[0])).random((len(rows), items), np.float32)
task = RankingTask(*pairs)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = task.evaluate(Scores(), k=(10, 100), threads=2)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"mb": (after - before) / 1024, "users": len(found.users)}))
"""


def test_memory_is_bounded_by_the_blocks_and_not_by_the_users():
    """At 10^5 items 3,000 users have 1.2 GB of scores; the random lists show every item."""
    used = {}
    for users in (500, 3_000):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(users)], capture_output=True, text=True, check=True
        )
        record = json.loads(done.stdout)
        assert record["users"] == users
        used[users] = record["mb"]
    assert used[3_000] < 400
    assert used[3_000] - used[500] < 100


def test_a_task_is_prepared_in_time_linear_in_the_log():
    """A million interactions of many users take well below a second of work; no users x items."""
    rng = np.random.default_rng(0)
    n_users, n_items = 100_000, 50_000
    user, item = rng.integers(0, n_users, 10**6), rng.integers(0, n_items, 10**6)
    whole = log_of(np.stack([user, item], 1), n_users, n_items)
    task = RankingTask(whole.take(np.arange(900_000)), whole.take(np.arange(900_000, 10**6)))
    assert task.counts["evaluated"] == len(task.users) > 60_000
    assert task.counts["held-out items"] > 99_000
