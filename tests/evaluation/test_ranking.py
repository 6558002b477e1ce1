"""Ranking evaluation against a slow, independent implementation, keras-rs, and known answers."""

import math

import keras_rs
import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.evaluation import Random, evaluate, top_lists
from tfadvrec.evaluation.ranking_task import METRICS

N_USERS, N_ITEMS = 23, 17


class Table:
    """A model that is its table of scores."""

    def __init__(self, scores):
        self.scores = np.asarray(scores)
        self.n_users, self.n_items = self.scores.shape

    def score_catalogue(self, users):
        return self.scores[np.asarray(users)]


def log_of(pairs, n_users=N_USERS, n_items=N_ITEMS):
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)
    return Interactions(
        user=pairs[:, 0],
        item=pairs[:, 1],
        user_ids=np.arange(n_users),
        item_ids=np.arange(n_items),
    )


def random_case(seed, *, distinct=True, many=False):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(N_USERS * N_ITEMS)
    train, validation, test = np.split(cells, [100, 115])
    test = test[: 240 if many else 45]
    logs = [
        log_of(np.stack(np.divmod(part, N_ITEMS), axis=1)) for part in (train, validation, test)
    ]
    scores = (
        rng.normal(size=(N_USERS, N_ITEMS)) if distinct else rng.integers(0, 4, (N_USERS, N_ITEMS))
    )
    return Table(scores.astype(np.float32)), *logs


def by_hand(scores, train, test, k, seen=()):
    """Every metric with loops and the definitions of METHODS section 1, nothing shared."""
    sums, lists = {}, {cut: [] for cut in k}
    blocked = {
        (int(u), int(i)) for log in (train, *seen) for u, i in zip(log.user, log.item, strict=True)
    }
    popularity = [sum(1 for item in train.item if item == i) for i in range(N_ITEMS)]
    need, held, head = 0.8 * sum(popularity), 0, set()
    for i in sorted(range(N_ITEMS), key=lambda i: -popularity[i]):
        if held >= need:
            break
        held += popularity[i]
        head = {j for j in range(N_ITEMS) if popularity[j] >= popularity[i]}
    raters = [
        {int(u) for u, i in zip(train.user, train.item, strict=True) if i == j}
        for j in range(N_ITEMS)
    ]

    def put(name, value):
        if value is not None:
            sums.setdefault(name, []).append(value)

    for u in range(N_USERS):
        candidates = [i for i in range(N_ITEMS) if (u, i) not in blocked]
        held_out = {int(i) for v, i in zip(test.user, test.item, strict=True) if v == u} & set(
            candidates
        )
        if not held_out:
            continue
        place = {
            i: sum(1 for j in candidates if j != i and scores[u, j] >= scores[u, i])
            for i in candidates
        }
        ranks = sorted(place[i] for i in held_out)
        negatives = [j for j in candidates if j not in held_out]
        if negatives:
            right = sum(scores[u, i] > scores[u, j] for i in held_out for j in negatives)
            put("auc", right / (len(held_out) * len(negatives)))
        for cut in k:
            hits = [r for r in ranks if r < cut]
            put(f"hr@{cut}", float(len(hits) > 0))
            put(f"recall@{cut}", len(hits) / len(held_out))
            put(f"precision@{cut}", len(hits) / cut)
            put(f"mrr@{cut}", 1 / (hits[0] + 1) if hits else 0.0)
            ideal = sum(1 / math.log2(r + 1) for r in range(1, min(cut, len(held_out)) + 1))
            put(f"ndcg@{cut}", sum(1 / math.log2(r + 2) for r in hits) / ideal)
            put(f"map@{cut}", sum((n + 1) / (r + 1) for n, r in enumerate(hits)) / len(held_out))
            shown = [i for i in candidates if place[i] < cut]
            lists[cut].append(shown)
            if shown:
                put(f"popularity@{cut}", sum(popularity[i] for i in shown) / len(shown))
                put(f"aplt@{cut}", sum(i not in head for i in shown) / len(shown))
                put(
                    f"novelty@{cut}",
                    sum(-math.log2(max(popularity[i], 1) / N_USERS) for i in shown) / len(shown),
                )
            pairs = [(i, j) for i in shown for j in shown if i < j]
            if pairs:
                similar = [
                    len(raters[i] & raters[j]) / math.sqrt(len(raters[i]) * len(raters[j]))
                    if raters[i] and raters[j]
                    else 0.0
                    for i, j in pairs
                ]
                put(f"ild@{cut}", 1 - sum(similar) / len(pairs))
    means = {name: sum(values) / len(values) for name, values in sums.items()}
    for cut in k:
        exposure = [sum(i in shown for shown in lists[cut]) for i in range(N_ITEMS)]
        means[f"coverage@{cut}"] = sum(e > 0 for e in exposure) / N_ITEMS
        apart = sum(abs(a - b) for a in exposure for b in exposure)
        means[f"gini@{cut}"] = apart / (2 * N_ITEMS * sum(exposure))
    return means


@pytest.mark.parametrize("many", [False, True], ids=["few held-out", "many held-out"])
@pytest.mark.parametrize("distinct", [True, False], ids=["distinct scores", "tied scores"])
@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_agrees_with_an_independent_implementation(distinct, many, chunk):
    model, train, validation, test = random_case(3, distinct=distinct, many=many)
    cuts = (1, 3, 5, N_ITEMS, 40)
    result = evaluate(model, train, test, seen=[validation], k=cuts, chunk=chunk)
    expected = by_hand(model.scores, train, test, cuts, seen=[validation])
    assert expected.keys() == result.means.keys()
    for name, value in expected.items():
        assert result.means[name] == pytest.approx(value, abs=1e-6), name
    assert {name.split("@")[0] for name in result.means} == set(METRICS)


def test_agrees_with_keras_rs_where_the_definitions_coincide():
    """They do for binary relevance without ties, where each user has k candidates or more."""
    model, train, _, test = random_case(5, many=True)
    result = evaluate(model, train, test, k=(3, 8))
    mask = train.csr().toarray() == 0
    labels = test.csr().toarray() * mask
    assert mask.sum(axis=1).min() >= 8
    rows = result.users
    for cut in (3, 8):
        theirs = {
            "ndcg": keras_rs.metrics.NDCG(k=cut),
            "precision": keras_rs.metrics.PrecisionAtK(k=cut),
            "recall": keras_rs.metrics.RecallAtK(k=cut),
            "mrr": keras_rs.metrics.MeanReciprocalRank(k=cut),
            "map": keras_rs.metrics.MeanAveragePrecision(k=cut),
        }
        for name, metric in theirs.items():
            metric.update_state({"labels": labels[rows], "mask": mask[rows]}, model.scores[rows])
            assert result.means[f"{name}@{cut}"] == pytest.approx(float(metric.result()), abs=1e-5)


def test_a_constant_scorer_scores_nothing():
    _, train, validation, test = random_case(1)
    result = evaluate(Table(np.ones((N_USERS, N_ITEMS))), train, test, k=(1, 5), seen=[validation])
    for name in ("hr@1", "hr@5", "recall@5", "ndcg@5", "mrr@5", "map@5", "auc", "coverage@5"):
        assert result.means[name] == 0.0, name
    assert result.counts["recommended items"] == {"@1": 0, "@5": 0}
    assert np.isnan(result.means["novelty@5"])
    assert result.to_dict()["means"]["novelty@5"] is None


def test_a_perfect_scorer_scores_one():
    _, train, _, test = random_case(1)
    rng = np.random.default_rng(0)
    scores = test.csr().toarray() * 10 + rng.random((N_USERS, N_ITEMS))
    result = evaluate(Table(scores), train, test, k=(N_ITEMS,))
    for name in ("hr", "recall", "ndcg", "mrr", "map"):
        assert result.means[f"{name}@{N_ITEMS}"] == pytest.approx(1.0)
    assert result.means["auc"] == 1.0


@pytest.mark.parametrize("distinct", [True, False])
def test_permuting_items_changes_nothing(distinct):
    model, train, validation, test = random_case(7, distinct=distinct, many=True)
    order = np.random.default_rng(0).permutation(N_ITEMS)
    place = np.argsort(order)
    moved = [
        log_of(np.stack([log.user, place[log.item]], axis=1)) for log in (train, validation, test)
    ]
    before = evaluate(model, train, test, seen=[validation], k=(2, 5))
    after = evaluate(Table(model.scores[:, order]), moved[0], moved[2], seen=[moved[1]], k=(2, 5))
    for name, value in before.means.items():
        assert after.means[name] == pytest.approx(value, abs=1e-6), name


def test_seen_items_are_never_recommended():
    model, train, validation, _ = random_case(9)
    users = np.arange(N_USERS)
    lists = top_lists(model, train, users, seen=[validation], k=N_ITEMS, chunk=4)
    blocked = (train.csr() + validation.csr()).toarray() > 0
    for user in users:
        shown = lists[user][lists[user] >= 0]
        assert not blocked[user][shown].any()
        assert len(shown) == N_ITEMS - blocked[user].sum()
        assert np.all(np.diff(model.scores[user][shown]) < 0)


def test_ties_across_the_cut_are_left_out():
    train, scores = log_of([(0, 4)], 1, 5), [[3.0, 2.0, 2.0, 1.0, 9.0]]
    assert top_lists(Table(scores), train, [0], k=1).tolist() == [[0]]
    assert top_lists(Table(scores), train, [0], k=2).tolist() == [[0, -1]]
    assert top_lists(Table(scores), train, [0], k=3).tolist() == [[0, 1, 2]]
    assert top_lists(Table(scores), train, [0], k=7).tolist() == [[0, 1, 2, 3, -1, -1, -1]]


def test_infinite_scores_are_ranked_like_any_other():
    train, test = log_of([(0, 0)], 1, 4), log_of([(0, 1)], 1, 4)
    result = evaluate(Table([[0.0, -np.inf, -np.inf, np.inf]]), train, test, k=(1, 2, 3))
    assert [result.means[f"hr@{cut}"] for cut in (1, 2, 3)] == [0.0, 0.0, 1.0]


def test_counts_say_who_was_left_out_and_why():
    train = log_of([(0, 0), (0, 1), (1, 0), (2, 2)], 5, 6)
    validation = log_of([(2, 3)], 5, 6)
    test = log_of([(0, 1), (0, 4), (0, 4), (1, 0), (2, 3), (3, 5)], 5, 6)
    scores = np.random.default_rng(0).random((5, 6))
    result = evaluate(Table(scores), train, test, seen=[validation], k=2)
    assert result.users.tolist() == [0, 3]
    assert result.counts["evaluated"] == 2
    assert result.counts["excluded"] == {
        "no held-out item": 1,
        "every held-out item already in train or seen": 2,
        "not asked for": 0,
    }
    assert result.counts["held-out items"] == 2
    assert result.counts["repeated held-out interactions merged"] == 1
    assert result.counts["held-out items dropped, already in train or seen"] == 3
    assert result.counts["held-out items without training interactions"] == 2
    assert result.counts["evaluated users without training interactions"] == 1
    assert "4 training interactions" in result.mask
    some = evaluate(Table(scores), train, test, seen=[validation], users=[3, 4], k=2)
    assert some.users.tolist() == [3]
    assert some.counts["excluded"]["not asked for"] == 3


def test_errors_say_what_to_do():
    model, train, _, test = random_case(2)
    broken = model.scores.copy()
    broken[[int(test.user.min()), int(test.user.max())], 3] = np.nan
    where = r"2 scores are NaN, first at \(user row \d+, item row 3\)"
    with pytest.raises(ValueError, match=where):
        evaluate(Table(broken), train, test)
    with pytest.raises(ValueError, match="does not share the vocabulary"):
        evaluate(model, train, log_of([(0, 0)], 3, 3))
    with pytest.raises(ValueError, match="was built for 4 users"):
        evaluate(Table(np.zeros((4, N_ITEMS))), train, test)
    with pytest.raises(ValueError, match="no user is left"):
        evaluate(model, train, train)
    with pytest.raises(ValueError, match=r"unknown metrics \['ndcg@10'\]"):
        evaluate(model, train, test, metrics=["ndcg@10"])
    with pytest.raises(ValueError, match="at least 1"):
        evaluate(model, train, test, k=0)
    with pytest.raises(ValueError, match=r"rows in 0\.\.22"):
        evaluate(model, train, test, users=[-1])
    result = evaluate(model, train, test, metrics=["ndcg", "coverage"])
    with pytest.raises(ValueError, match="belongs to all lists"):
        result.interval("coverage@10")
    with pytest.raises(ValueError, match="was not computed"):
        result.interval("hr@10")


def test_all_intervals_at_once_are_each_metrics_own():
    """A user without a value of one metric counts for the others, as where each is drawn alone."""
    model, train, _, test = random_case(2)
    result = evaluate(model, train, test, metrics=["ndcg", "mrr", "coverage"], k=(2, 5))
    next(iter(result.per_user.values()))[0] = np.nan
    found = result.intervals(resamples=200)
    assert list(found) == [*result.per_user]
    assert set(found) == {"ndcg@2", "ndcg@5", "mrr@2", "mrr@5"}
    for metric, ends in found.items():
        assert ends == pytest.approx(result.interval(metric, resamples=200), rel=1e-12)


def test_item_vectors_can_be_given_for_diversity():
    train, test = log_of([(0, 0)], 1, 4), log_of([(0, 1)], 1, 4)
    scores = [[9.0, 3.0, 2.0, 1.0]]
    vectors = np.array([[1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [0.0, 1.0]])
    result = evaluate(Table(scores), train, test, k=(2, 3), item_vectors=vectors)
    assert result.means["ild@2"] == pytest.approx(0.0, abs=1e-6)
    assert result.means["ild@3"] == pytest.approx(2 / 3, abs=1e-6)


def test_random_scores_do_not_depend_on_the_chunk():
    _, train, _, test = random_case(4)
    model = Random(n_users=N_USERS, n_items=N_ITEMS, seed=1)
    one, other = (evaluate(model, train, test, chunk=chunk) for chunk in (1, 7))
    assert one.means == other.means


def test_restricting_to_a_slice_keeps_the_values():
    model, train, _, test = random_case(4)
    result = evaluate(model, train, test)
    part = result.restrict(result.users[:3])
    assert part.users.tolist() == result.users[:3].tolist()
    assert part.means["auc"] == pytest.approx(result.per_user["auc"][:3].mean())
    assert part.counts["restricted from"] == len(result.users)


@pytest.mark.parametrize("distinct", [True, False])
def test_ranking_some_items_is_ranking_a_catalogue_of_them(distinct):
    model, train, validation, test = random_case(5, distinct=distinct)
    items = np.array([1, 4, 5, 9, 12, 16])
    names = [name for name in METRICS if name not in ("coverage", "gini", "aplt", "novelty")]
    names = [name for name in names if name not in ("popularity", "ild")]  # of the whole catalogue
    some = evaluate(
        model, train, test, seen=[validation], k=(2, 5), metrics=names, items=items, chunk=4
    )

    def cut(log):
        row = np.full(N_ITEMS, -1)
        row[items] = np.arange(len(items))
        kept = row[log.item] >= 0
        return log_of(np.stack([log.user, row[log.item]], axis=1)[kept], n_items=len(items))

    small = Table(model.scores[:, items])
    alone = evaluate(small, cut(train), cut(test), seen=[cut(validation)], k=(2, 5), metrics=names)
    assert np.array_equal(some.users, alone.users)
    assert some.means == pytest.approx(alone.means)
    assert some.policy.startswith("Of the 17 items 6 are ranked.")
    lists = evaluate(model, train, test, k=(5,), metrics=["coverage"], items=items)
    assert 0 < lists.means["coverage@5"] <= len(items) / N_ITEMS


def test_items_that_are_no_rows_are_refused():
    model, train, _, test = random_case(5)
    for items in ([], [N_ITEMS], [-1]):
        with pytest.raises(ValueError, match=r"items must be rows in 0\.\.16"):
            evaluate(model, train, test, items=items)
