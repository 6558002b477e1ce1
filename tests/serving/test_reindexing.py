import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving import BruteForce
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.reindexing import reindex

ASKED = ["100", "106", "nobody"]
OLD_OPTIONS = ("k", "max_exclude", "unknown_user", "batch_sizes", "server_batching", "examples")


@pytest.fixture
def base(published, tmp_path):
    """A base path of its own with version 1 of the factorised model."""
    _, report = published
    shutil.copytree(report.path, tmp_path / "rec" / "1")
    return tmp_path / "rec"


def lists(folder, users=ASKED):
    """Ids and scores that a version recommends."""
    answer = tf.saved_model.load(str(folder)).signatures["recommend"](user_id=tf.constant(users))
    ids = [[one.decode() for one in row] for row in answer["item_id"].numpy()]
    return ids, answer["score"].numpy()


def user_vectors(model):
    users = model.embed_users(np.arange(7)).numpy()
    return np.stack([users[0], users[6], users.mean(axis=0)])


def sorted_by_score(users, items, ids, width):
    scores = users @ items.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
    return np.asarray(ids)[order].tolist(), np.take_along_axis(scores, order, axis=1)


def test_other_index_gives_the_same_lists_from_smaller_numbers(published, base):
    model, _ = published
    report = reindex(base, index=BruteForce(dtype="float16", chunk=128))
    assert (report.verified, report.version) == (True, 2)
    first, second = read_contract(base / "1"), read_contract(base / "2")
    assert second["index"]["dtype"] == "float16"
    assert second["model"] == first["model"]
    assert second["signatures"] == first["signatures"]
    for name in OLD_OPTIONS:
        assert second["options"][name] == first["options"][name]
    ids, scores = lists(report.path)
    items = model.embed_items(np.arange(23)).numpy().astype(np.float16).astype(np.float32)
    want_ids, want_scores = sorted_by_score(user_vectors(model), items, model.item_ids, 10)
    assert ids == want_ids
    np.testing.assert_allclose(scores, want_scores, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"holds its items in float16.*Give item_vectors"):
        reindex(base, index=BruteForce())  # version 2 is the newest now


def test_new_items_are_recommended_by_the_users_of_old(published, base, monkeypatch):
    model, _ = published
    rng = np.random.default_rng(5)
    items, ids = rng.normal(size=(300, 4)).astype(np.float32), [f"new {row}" for row in range(300)]
    report = reindex(base, item_ids=ids, item_vectors=items, index=BruteForce(chunk=128), version=7)
    assert (report.verified, Path(report.path).name) == (True, "7")
    got_ids, scores = lists(report.path)
    want_ids, want_scores = sorted_by_score(user_vectors(model), items, ids, 10)
    assert got_ids == want_ids
    np.testing.assert_allclose(scores, want_scores, rtol=1e-5, atol=1e-5)
    assert lists(base / "1")[0][0][0].startswith("item")  # untouched
    plans = []
    monkeypatch.setattr(
        "tfadvrec.serving.reindexing.release", lambda plan, *where: plans.append((plan, where))
    )
    reindex(base, item_ids=ids[::-2])  # and again, from what the new version holds
    ((plan, where),) = plans
    assert where == (base, 8)
    assert plan.live.items == ids[::-2]
    np.testing.assert_array_equal(plan.live.vectors[1], items[::-2])
    assert plan.spec.index == BruteForce(chunk=128)


def test_a_model_gives_the_vectors_of_its_items(published, base, vectors, monkeypatch):
    plans = []
    monkeypatch.setattr(
        "tfadvrec.serving.reindexing.release", lambda plan, *where: plans.append((plan, where))
    )
    model = vectors.random(n_items=30, prefix="of the model")
    reindex(base, item_vectors=model)
    ((plan, where),) = plans
    assert where == (base, 2)
    assert plan.live.items == model.item_ids.tolist()
    np.testing.assert_array_equal(plan.live.vectors[1], model.items.numpy())
    np.testing.assert_array_equal(
        plan.live.vectors[0], published[0].embed_users(np.arange(7)).numpy()
    )


def test_offline_metrics_stay_with_the_items_they_were_measured_on(base, monkeypatch, vectors):
    kept = []
    monkeypatch.setattr(
        "tfadvrec.serving.reindexing.release", lambda plan, *where: kept.append(plan.spec.metrics)
    )
    contract = read_contract(base / "1")
    monkeypatch.setattr(
        "tfadvrec.serving.reindexing.read_contract",
        lambda folder: {**contract, "metrics": {"ndcg@10": 0.25}},
    )
    reindex(base, index=BruteForce(chunk=128))
    reindex(base, item_vectors=np.ones((23, 4)))
    assert kept == [{"ndcg@10": 0.25}, {}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to change"),
        ({"item_ids": ["item 0 é", "tea"]}, r"does not have the items \['tea'\] \(1 of 2"),
        ({"item_vectors": np.ones((22, 4))}, r"each of the 23 item ids, got the shape \(22, 4\)"),
        ({"item_vectors": np.ones((23, 5))}, "width of the servable's user vectors, 4, got 5"),
        ({"item_vectors": np.full((23, 4), np.nan)}, "must be finite"),
        ({"item_vectors": np.full((23, 4), 3e38)}, "more than float32 holds"),
        ({"item_ids": ["a", "a"], "item_vectors": np.ones((2, 4))}, "differ from each other"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(base, options, message):
    with pytest.raises(ValueError, match=message):
        reindex(base, **options)
    assert [one.name for one in base.iterdir()] == ["1"]


def test_a_model_of_another_size_than_its_ids_is_refused(base, vectors):
    model = vectors.random(n_items=30)
    model.n_items = 30
    with pytest.raises(ValueError, match="each of the 2 item ids, got a model of 30 items"):
        reindex(base, item_vectors=model, item_ids=["a", "b"])


def test_damaged_and_other_folders_are_refused(base):
    with pytest.raises(FileNotFoundError, match="neither a version folder"):
        reindex(base / "nowhere", index=BruteForce())
    copy = base.parent / "copy"
    shutil.copytree(base / "1", copy)
    with pytest.raises(ValueError, match="named by its version number"):
        reindex(copy, index=BruteForce())
    with pytest.raises(FileExistsError, match="1 exists"):
        reindex(base, index=BruteForce(chunk=128), version=1)
    (base / "1" / "assets" / "items.txt").write_text("tea\n")
    with pytest.raises(ValueError, match=r"is damaged: file assets/items.txt has changed"):
        reindex(base, index=BruteForce())


def test_servables_that_compute_more_than_products_are_refused(
    scores, saved, tmp_path, monkeypatch
):
    saved(scores([[1.0, 2.0], [2.0, 1.0]]), tmp_path / "rec" / "1", k=2, max_exclude=1)
    with pytest.raises(ValueError, match=r"no user and item vectors\. Export Scores again"):
        reindex(tmp_path / "rec", index=BruteForce())
    contract = read_contract(tmp_path / "rec" / "1")
    contract["model"]["kind"] = "factors"
    monkeypatch.setattr("tfadvrec.serving.reindexing.read_contract", lambda folder: contract)
    contract["signatures"]["generate"] = {}
    with pytest.raises(ValueError, match=r"offers \['generate'\], computed by the model itself"):
        reindex(tmp_path / "rec", index=BruteForce())
    contract["options"]["history"] = 5
    with pytest.raises(ValueError, match="computes its queries from histories"):
        reindex(tmp_path / "rec", index=BruteForce())
