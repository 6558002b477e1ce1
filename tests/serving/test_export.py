import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.serving import ExportError, ExportSpec, export, planning
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.index.top_of_blocks import BLOCK
from tfadvrec.serving.ladder.graph_audit import describe, read_meta_graph
from tfadvrec.serving.ladder.verification import L1, L2, L3, WARM_UP

STRINGS = {"dtype": "string", "shape": [-1]}
FLAG = {"dtype": "bool", "shape": [-1]}
LISTS = {
    "item_id": {"dtype": "string", "shape": [-1, 10]},
    "score": {"dtype": "float32", "shape": [-1, 10]},
    "known_user": FLAG,
}
OPEN = {
    "item_id": {"dtype": "string", "shape": [-1, -1]},
    "score": {"dtype": "float32", "shape": [-1, -1]},
    "known_user": FLAG,
}
VECTOR = {"dtype": "float32", "shape": [-1, 4]}
GOLDEN = {
    "serving_default": {"inputs": {"user_id": STRINGS}, "outputs": LISTS},
    "recommend": {"inputs": {"user_id": STRINGS}, "outputs": LISTS},
    "recommend_excluding": {
        "inputs": {"user_id": STRINGS, "exclude": {"dtype": "string", "shape": [-1, 4]}},
        "outputs": LISTS,
    },
    "recommend_flex": {
        "inputs": {
            "user_id": STRINGS,
            "exclude": {
                "dtype": "string",
                "shape": [-1, -1],
                "default": {"dtype": "string", "shape": [1, 1], "values": [""]},
            },
            "k": {
                "dtype": "int32",
                "shape": [-1],
                "default": {"dtype": "int32", "shape": [1], "values": [10]},
            },
        },
        "outputs": OPEN,
    },
    "score": {
        "inputs": {"user_id": STRINGS, "item_id": STRINGS},
        "outputs": {
            "score": {"dtype": "float32", "shape": [-1]},
            "known_user": FLAG,
            "known_item": FLAG,
        },
    },
    "embed_user": {
        "inputs": {"user_id": STRINGS},
        "outputs": {"embedding": VECTOR, "known_user": FLAG},
    },
    "embed_item": {
        "inputs": {"item_id": STRINGS},
        "outputs": {"embedding": VECTOR, "known_item": FLAG},
    },
}


def autoencoder():
    rng = np.random.default_rng(2)
    users, items = np.repeat(np.arange(8), 6), rng.integers(0, 20, 48)
    log = tar.Interactions.from_arrays(users, items, duplicates="first")
    return tar.EASE(n_users=log.n_users, n_items=log.n_items, regularization=2.0).fit(log)


@pytest.fixture(scope="module", params=["factorised", "autoencoder"])
def exported(request, tmp_path_factory, published):
    """A model of each kind and the report of its export."""
    if request.param == "factorised":
        return published
    model = autoencoder()
    return model, export(model, tmp_path_factory.mktemp("rec"), k=10, max_exclude=4)


def test_export_is_verified_in_both_runtimes(exported):
    _, report = exported
    assert report.verified
    assert report.failures == ()
    assert set(report.checks) | set(report.skipped) == {L1, L2, L3, WARM_UP}
    assert report.max_difference <= 1e-5


def test_servable_recommends_what_the_model_recommends(exported):
    model, report = exported
    users, items = model.user_ids.astype(str), model.item_ids.astype(str)
    served = tf.saved_model.load(report.path).signatures["recommend"]
    got = served(user_id=tf.constant(users))
    scores = model.score_catalogue(np.arange(len(users))).numpy()
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    best = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_allclose(got["score"], best, rtol=1e-5, atol=1e-5)
    assert [[one.decode() for one in row] for row in got["item_id"].numpy()] == items[
        order
    ].tolist()


def test_model_without_vectors_offers_none(exported):
    model, report = exported
    lists = {"serving_default", "recommend", "recommend_excluding", "recommend_flex", "score"}
    vectors = {"embed_user", "embed_item"} if hasattr(model, "embed_users") else set()
    assert set(report.signatures) == lists | vectors


def test_what_needs_vectors_is_refused_without_them(tmp_path):
    with pytest.raises(ValueError, match=r"EASE cannot serve .*embed_item needs vectors"):
        export(autoencoder(), tmp_path, signatures=["embed_item"])
    with pytest.raises(ValueError, match="take unknown_user='empty'"):
        export(autoencoder(), tmp_path, unknown_user="mean")


def test_signatures_are_the_golden_ones(published):
    _, report = published
    meta = read_meta_graph_of(report)
    found = {name: describe(one) for name, one in meta.signature_def.items() if name in GOLDEN}
    assert found == GOLDEN
    assert set(meta.signature_def) == {*GOLDEN, "__saved_model_init_op"}
    defaults = {name: sorted(one.defaults) for name, one in meta.signature_def.items()}
    assert {name: keys for name, keys in defaults.items() if keys} == {
        "recommend_flex": ["exclude", "k"]
    }


def test_contract_says_what_is_in_the_folder(published):
    _, report = published
    folder = path_of(report)
    contract = read_contract(folder)
    assert contract["signatures"] == GOLDEN
    assert contract["warmup"] == {"records": report.warm_up} == {"records": 3 * len(GOLDEN)}
    assert contract["version"] == 1
    assert contract["masked_score"] == float(np.finfo(np.float32).min)
    assert contract["index"]["bytes"] == report.index_bytes == 4 * 4 * BLOCK  # 23 items, filled up
    assert contract["options"] == {
        "k": 10,
        "width": 10,
        "max_exclude": 4,
        "unknown_user": "mean",
        "history": None,
        "batch_sizes": [1, 8, 32],
        "server_batching": False,
        "examples": False,
    }
    assert {"TopKV2", "LookupTableFindV2"} <= set(contract["ops"])
    assert contract["vocabularies"]["items"]["rows"] == 23
    assert set(contract["files"]) >= {"saved_model.pb", "assets/users.txt", "assets/items.txt"}
    assert set(contract["made_with"]) == {"tfadvrec", "tensorflow", "keras", "numpy"}
    assert {one["signature"] for one in contract["probe"]} == set(GOLDEN)


def test_folder_holds_vocabularies_and_no_keras(published):
    _, report = published
    folder = path_of(report)
    assert (folder / "assets" / "users.txt").read_text().split() == [
        str(one) for one in range(100, 107)
    ]
    graph = (folder / "saved_model.pb").read_bytes()
    assert b"keras" not in graph.lower()
    assert b"tfadvrec-export-" not in graph  # the folder that the exporter worked in
    assert sorted(one.name for one in folder.parent.iterdir()) == ["1"]
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert "verified" in str(report)


def test_second_export_in_one_process_has_its_own_vocabulary(vectors, saved, tmp_path):
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        saved(vectors.random(prefix=folder.name), folder, k=10)
    for folder in folders:
        answer = tf.saved_model.load(str(folder)).signatures["recommend"](
            user_id=tf.constant(["100"])
        )
        ids = [one.decode() for one in answer["item_id"].numpy().ravel()]
        assert all(one.startswith(folder.name) for one in ids)


def test_wrapper_is_exported_as_the_model_inside(published, saved, tmp_path):
    model, _ = published
    robust = tar.AdversarialTraining(model, tar.FastGradient(epsilon=0.5), weight=1.0)
    loaded = saved(robust, tmp_path, signatures=["score"])
    assert sorted(loaded.signatures) == ["recommend", "score", "serving_default"]


def test_half_precision_vectors_are_served_in_float32(vectors, tmp_path):
    class Half(vectors):
        def embed_users(self, rows):
            return tf.cast(super().embed_users(rows), tf.float16)

        def score_catalogue(self, rows):
            items = tf.cast(self.items, tf.float16)
            return tf.matmul(self.embed_users(rows), items, transpose_b=True)

    model = Half.random()
    live = planning.make_plan(model, ExportSpec(k=3)).live
    got = live.scores(np.array([2]), np.array([True]))[0]
    want = model.users.numpy()[2].astype(np.float16).astype(np.float32) @ model.items.numpy().T
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k to be an integer >= 1, got 0"),
        ({"max_exclude": 2.5}, "max_exclude to be an integer"),
        ({"signatures": ["recommend_more"]}, "list out of"),
        ({"signatures": ["recommend_flex"], "server_batching": True}, "cannot merge"),
        ({"signatures": ["generate"]}, "a method generate"),
        ({"history": 3}, "with history: a servable needs embed_history"),
        ({"batch_sizes": (8, 1)}, "increasing integers"),
        ({"metrics": {"ndcg@10": float("nan")}}, "finite metrics"),
        ({"signatures": "score"}, "got 'score'"),
        ({"unknown_user": "zero"}, "one of"),
        ({"index": "int8"}, "index=BruteForce"),
        ({"item_ids": ["a", "b"]}, "each of the model's|fit|must give"),
        ({"item_ids": ["a\r"] + [str(one) for one in range(22)]}, r"line breaks.*row 0: 'a\\r'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(vectors, tmp_path, options, message):
    model = vectors.random()
    model.n_items = 23
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / "rec", **options)
    assert not (tmp_path / "rec").exists()


def test_unknown_options_and_models_are_refused(vectors, tmp_path):
    with pytest.raises(TypeError, match=r"no options \['depth'\]; there are \['version'"):
        export(vectors.random(), tmp_path, depth=3)
    with pytest.raises(ValueError, match="object cannot be exported: a servable needs"):
        export(object(), tmp_path)
    model = vectors.random()
    model.user_ids = None
    with pytest.raises(ValueError, match="The model knows no user_ids"):
        export(model, tmp_path)


def test_diverged_models_are_refused(vectors, tmp_path):
    model = vectors.random()
    model.users[2, 1].assign(np.nan)
    with pytest.raises(ValueError, match=r"embed_users gives values .* not finite: rows \[2\]"):
        export(model, tmp_path)
    model.users.assign(np.full((7, 4), 1e30))
    model.items.assign(np.full((23, 4), 1e30))
    with pytest.raises(ValueError, match="more than float32 holds"):
        export(model, tmp_path)


def test_same_version_again_is_verified_and_left_alone(vectors, tmp_path):
    model = vectors.random()
    first = export(model, tmp_path / "rec", version=4, k=5)
    before = {one: one.stat().st_mtime_ns for one in path_of(first).rglob("*")}
    again = export(model, tmp_path / "rec", version=4, k=5)
    assert (again.version, again.verified) == (4, True)
    assert {one: one.stat().st_mtime_ns for one in path_of(first).rglob("*")} == before
    (path_of(first) / "assets" / "more.txt").write_text("x")
    with pytest.raises(ExportError, match=r"more\.txt is not in the contract"):
        export(model, tmp_path / "rec", version=4, k=5)
    model.items[0, 0].assign(9.0)
    with pytest.raises(FileExistsError, match="never changed"):
        export(model, tmp_path / "rec", version=4, k=5)
    assert sorted(one.name for one in (tmp_path / "rec").iterdir()) == ["4"]


def path_of(report):
    return Path(report.path)


def read_meta_graph_of(report):
    return read_meta_graph(path_of(report))
