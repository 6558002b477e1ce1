"""The two-tower model: its scores, its in-batch training, its features."""

import json

import keras
import keras_rs
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import losses
from tfadvrec.adversary import AdversarialTraining, FastGradient, embedding_tables
from tfadvrec.data import Interactions, in_batch, pairs
from tfadvrec.models import TwoTower
from tfadvrec.models.feature_column import FeatureColumn


def with_features(log):
    """The log with features of every kind; the parity of a row is its group and its genre."""
    users, items = np.arange(log.n_users), np.arange(log.n_items)
    genres = np.empty(log.n_items, object)
    genres[:] = [("even", "all") if item % 2 == 0 else ("odd", "all") for item in items]
    return log.replace(
        user_features={"age": 20.0 + users, "group": np.array(["even", "odd"])[users % 2]},
        item_features={
            "genres": genres,
            "title": np.array([f"Film of {'two' if i % 2 == 0 else 'one'}" for i in items]),
            "year": 1990.0 + items,
        },
    )


EVERY = {
    "user_features": ["age", "group"],
    "item_features": {"genres": None, "title": "text", "year": {}},
}


@pytest.fixture
def featured(blocks_log):
    return with_features(blocks_log)


def rank_of_own(model, log):
    """Share of users whose one unmet item of their parity leads their list."""
    ids, _ = model.recommend(log.user_ids, k=1, exclude=log)
    return (ids[:, 0] == log.item_ids).mean()


def scores_and_gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        scores = model(inputs)
        tape.watch(scores)
        loss = losses.InBatchSoftmax()(labels, scores)
    values = [weight.value for weight in model.trainable_weights]
    *gradients, of_scores = tape.gradient(loss, [*values, scores])
    return scores.numpy(), [tf.convert_to_tensor(g).numpy() for g in gradients], of_scores.numpy()


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_all_ways_to_a_score_agree(featured, similarity):
    model = TwoTower.for_log(
        featured, **EVERY, dimension=6, hidden=[5], similarity=similarity, temperature=0.2, seed=1
    )
    users, items = np.arange(20), np.arange(20)
    dense = model.score_catalogue(users).numpy()
    np.testing.assert_allclose(
        dense, model.embed_users(users) @ tf.transpose(model.embed_items(items)), rtol=1e-5
    )
    shared = model({"user_id": users, "item_id": items})
    np.testing.assert_allclose(shared, dense, rtol=1e-4, atol=1e-5)
    some = np.array([[0, 19, 7], [4, 4, 12]])
    candidates = model({"user_id": np.array([3, 8]), "item_id": some})
    np.testing.assert_allclose(candidates, dense[[[3], [8]], some], rtol=1e-4, atol=1e-5)
    ids, scores = model.recommend(["u03"], k=20)
    np.testing.assert_allclose(scores[0], np.sort(dense[3])[::-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores[0], dense[3, featured.lookup_items(ids[0])], rtol=1e-4)
    if similarity == "cosine":
        np.testing.assert_allclose(np.linalg.norm(model.embed_items(items), axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(model.embed_users(users), axis=1), 5, rtol=1e-5)


def test_correction_subtracts_the_logarithm_of_the_sampling_probability():
    model = TwoTower(n_users=4, n_items=6, dimension=3, seed=0)
    users, items = np.array([0, 2]), np.array([5, 1, 3])
    probability = np.array([0.5, 0.01, 1e-9], np.float32)  # the last below what keras-rs clips at
    plain = model({"user_id": users, "item_id": items})
    inputs = {"user_id": users, "item_id": items, "sampling_probability": probability}
    np.testing.assert_allclose(model(inputs), plain - np.log(probability), rtol=1e-5)
    inputs = {
        "user_id": users,
        "item_id": np.array([[5, 1], [3, 3]]),
        "sampling_probability": np.array([[0.5, 0.01], [0.1, 0.2]], np.float32),
    }
    plain = model({key: inputs[key] for key in ("user_id", "item_id")})
    np.testing.assert_allclose(
        model(inputs), plain - np.log(inputs["sampling_probability"]), rtol=1e-5
    )


def test_frequent_items_are_pushed_down_less_with_the_correction():
    model = TwoTower(n_users=4, n_items=4, dimension=3, similarity="dot", seed=0)
    inputs = {"user_id": np.arange(3), "item_id": np.arange(3)}
    frequent = inputs | {"sampling_probability": np.array([0.9, 0.05, 0.05], np.float32)}
    _, _, plain = scores_and_gradients(model, inputs, np.eye(3, dtype=np.float32))
    _, _, corrected = scores_and_gradients(model, frequent, np.eye(3, dtype=np.float32))
    assert (corrected[1:, 0] < plain[1:, 0]).all()  # as a negative: a smaller push
    assert corrected[0, 0] < plain[0, 0]  # as a positive: a larger pull
    assert (corrected[0, 1:] > plain[0, 1:]).all()


def test_a_uniform_sampling_probability_changes_no_gradient(blocks_log):
    model = TwoTower.for_log(blocks_log, dimension=5, seed=0)
    (inputs, labels), *_ = in_batch(blocks_log, batch_size=16)
    uniform = dict(inputs, sampling_probability=tf.fill([16], 0.05))
    plain = {key: inputs[key] for key in ("user_id", "item_id")}
    with_q, without_q = (scores_and_gradients(model, x, labels)[1] for x in (uniform, plain))
    for one, other in zip(with_q, without_q, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)  # they reach hundreds


def test_accidental_hits_get_no_gradient_as_negatives(blocks_log):
    model = TwoTower.for_log(blocks_log, dimension=5, seed=0)
    (inputs, labels), *_ = in_batch(blocks_log, batch_size=32)
    user, item = inputs["user_id"].numpy(), inputs["item_id"].numpy()
    same = (item[:, None] == item[None, :]) & ~np.eye(32, dtype=bool)
    positive = blocks_log.csr().toarray()[user][:, item].astype(bool) & ~np.eye(32, dtype=bool)
    assert same.any()
    assert (positive & ~same).any()
    gradient = scores_and_gradients(model, inputs, labels)[2]
    assert (gradient[same | positive] == 0).all()
    assert (gradient[~(same | positive)] != 0).all()


def test_keras_rs_still_lets_accidental_hits_through():
    """Why the loss masks them itself; when this fails, the layer was mended and can be used."""
    logits, labels = np.zeros((2, 2), np.float32), np.eye(2, dtype=np.float32)
    removed = keras_rs.layers.RemoveAccidentalHits()(logits, labels, np.array([7, 7]))
    np.testing.assert_allclose(keras.ops.softmax(removed), 0.5)  # it masks nothing
    ours = losses.InBatchSoftmax(reduction="none")(np.array([[1.0, -1], [-1, 1]]), logits)
    np.testing.assert_allclose(ours, 0.0, atol=1e-6)


def test_learns_a_checkerboard_in_batch_compiled_with_features(featured):
    model = TwoTower.for_log(featured, **EVERY, dimension=8, hidden=[8], dropout=0.1, seed=0)
    model.compile(keras.optimizers.Adam(0.02), loss=losses.InBatchSoftmax(), jit_compile=True)
    tables = [table.numpy() for table in model.item_tower.tables]
    batches = in_batch(featured, batch_size=45, seed=0, block=4)
    history = model.fit(batches, epochs=15, verbose=0, shuffle=False).history["loss"]
    assert history[-1] < history[0]
    assert rank_of_own(model, featured) == 1.0
    for before, table in zip(tables, model.item_tower.tables, strict=True):
        np.testing.assert_array_equal(before, table)


def test_learns_a_checkerboard_from_pairs(blocks_log):
    model = TwoTower.for_log(blocks_log, dimension=8, seed=0)
    model.compile(
        keras.optimizers.Adam(0.02), loss=losses.BayesianPersonalizedRanking(), jit_compile=False
    )
    batches = pairs(blocks_log, batch_size=45, negatives=2, seed=0, block=4)
    model.fit(batches, epochs=15, verbose=0, shuffle=False)
    assert rank_of_own(model, blocks_log) == 1.0


def test_an_adversary_moves_id_and_feature_vectors_and_leaves_the_feature_tables(featured):
    model = TwoTower.for_log(featured, **EVERY, dimension=8, seed=0)
    tables = [table.numpy() for table in model.item_tower.tables]
    moved = embedding_tables().find(model)
    assert {variable.path.split("/")[1] for variable in moved} == {"id", "group", "genres", "title"}
    robust = AdversarialTraining(model, FastGradient(epsilon=0.02))
    robust.compile(keras.optimizers.Adam(0.01), loss=losses.InBatchSoftmax(), jit_compile=False)
    batches = in_batch(featured, batch_size=90, seed=0, block=2)
    logs = robust.fit(batches, epochs=2, verbose=0, shuffle=False).history
    assert all(np.greater(logs["adversarial_loss"], logs["loss"]))
    for before, table in zip(tables, model.item_tower.tables, strict=True):
        np.testing.assert_array_equal(before, table)


def test_items_without_an_id_vector_rank_by_their_features_though_nobody_took_them(featured):
    train = featured.take(featured.item > 3)  # items 0 to 3 are new
    model = TwoTower.for_log(
        train, user_features=["group"], item_features=["genres"], item_id_dimension=0, dimension=4
    )
    model.compile(keras.optimizers.Adam(0.05), loss=losses.InBatchSoftmax(), jit_compile=False)
    model.fit(in_batch(train, batch_size=50, seed=0), epochs=10, verbose=0, shuffle=False)
    scores = model.score_catalogue(np.arange(20)).numpy()
    own = np.add.outer(np.arange(20), np.arange(4)) % 2 == 0
    assert scores[:, :4][own].min() > scores[:, :4][~own].max()


def test_config_goes_through_json_and_equal_seeds_give_equal_models(featured):
    model = TwoTower.for_log(
        featured, **EVERY, dimension=6, user_id_dimension=3, item_id_dimension=0, hidden=[5], seed=4
    )
    again = TwoTower.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    for one, other in zip(model.trainable_weights, again.trainable_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    again.set_weights(model.get_weights())
    users = np.arange(20)
    np.testing.assert_array_equal(model.score_catalogue(users), again.score_catalogue(users))
    other = TwoTower.from_config(model.get_config() | {"seed": 5})
    assert (
        (other.user_tower.identity.embeddings != model.user_tower.identity.embeddings).numpy().any()
    )


def test_row_weights_are_the_tables_with_a_row_a_user_or_item(featured):
    model = TwoTower.for_log(featured, **EVERY, dimension=6)
    declared = model.row_weights()
    shapes = {weight.path: weight.shape for weight in model.weights}
    assert sorted(declared) == [
        *("item_tower/genres_of_row", "item_tower/id/embeddings", "item_tower/title_of_row"),
        *("item_tower/year_of_row", "user_tower/age_of_row", "user_tower/group_of_row"),
        "user_tower/id/embeddings",
    ]
    assert all(shapes[path][axis] == 20 for path, (_, axis) in declared.items())
    assert all(path.startswith(side) for path, (side, _) in declared.items())


def test_only_rows_of_the_training_log_are_learned_from(featured):
    train = featured.take(np.isin(featured.user, [0, 2, 4]))
    model = TwoTower.for_log(train, user_features=["age", "group"], item_features=["genres"])
    age, group = model.user_features
    assert (age.mean, group.vocabulary) == (22.0, ("even",))
    assert model.item_features[0].vocabulary == ("all", "even")
    assert model.encode_features(train) == {
        "user": {"age": 1.0, "group": 0.5},
        "item": {"genres": 1.0},
    }


def test_features_of_another_catalogue_use_the_learned_vocabulary(featured):
    model = TwoTower.for_log(
        featured, user_features=["group"], item_features={"genres": None, "title": {"kind": "text"}}
    )
    genres = np.empty(3, object)
    genres[:] = [("odd",), ("western",), ()]
    other = Interactions(
        user=np.zeros(1, np.int32),
        item=np.zeros(1, np.int32),
        user_ids=np.array(["v"]),
        item_ids=np.array(["x", "y", "z"]),
        user_features={"group": np.array(["even"])},
        item_features={"genres": genres, "title": np.array(["film of ONE", "", ""])},
    )
    sizes = {"n_users": 1, "n_items": 3, "item_id_dimension": 0}
    new = TwoTower.from_config(model.get_config() | sizes)
    assert (new.item_tower.tables[0].numpy() == -1).all()  # nothing is known yet
    known = new.encode_features(other)["item"]
    assert known == {"genres": pytest.approx(1 / 3), "title": pytest.approx(1 / 3)}
    vectors = new.item_tower(np.array([0, 1, 2])).numpy()
    np.testing.assert_array_equal(vectors[1], vectors[2])  # unknown and missing both say nothing
    assert (vectors[0] != vectors[1]).any()


def test_a_preset_grown_to_new_items_learns_their_features_from_bind(featured, tmp_path, capsys):
    model = TwoTower.for_log(featured, user_features=["group"], item_features=["genres"], seed=0)
    model.save_to_preset(tmp_path / "preset")
    again = TwoTower.from_preset(str(tmp_path / "preset"))
    users = np.arange(20)
    np.testing.assert_array_equal(again.score_catalogue(users), model.score_catalogue(users))
    genres = np.empty(2, object)
    genres[:] = [("odd",), ("all", "even")]
    new = featured.replace(
        item=np.arange(2, dtype=np.int32),
        user=np.arange(2, dtype=np.int32),
        time=None,
        item_ids=np.array(["new", "i06"]),
        item_features={"genres": genres},
    )
    grown = TwoTower.from_preset(
        str(tmp_path / "preset"), item_ids=new.item_ids, id_map={"i06": "i06"}
    )
    table = grown.item_tower.tables[0]
    assert table.numpy()[0].tolist() == [-1, -1]  # nothing is known of the new one yet
    grown.bind(new)
    columns = model.item_features[0]
    assert sorted(columns.vocabulary[row] for row in table.numpy()[1]) == ["all", "even"]
    assert columns.vocabulary[table.numpy()[0, 0]] == "odd"
    np.testing.assert_allclose(grown.embed_items([1]), model.embed_items([6]), rtol=1e-5)
    grown.bind(new.replace(item_features={}))  # a log without features changes nothing
    assert columns.vocabulary[table.numpy()[0, 0]] == "odd"


def test_dropout_is_for_training_only():
    model = TwoTower(n_users=4, n_items=6, dimension=8, dropout=0.5, seed=0)
    inputs = {"user_id": np.arange(4), "item_id": np.arange(6)}
    np.testing.assert_array_equal(model(inputs), model(inputs, training=False))
    assert (model(inputs, training=True) != model(inputs, training=True)).numpy().any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"similarity": "euclid"}, "'cosine' or 'dot', got 'euclid'"),
        ({"temperature": 0.0}, "temperature is above 0"),
        ({"dropout": 1.0}, "dropout from 0"),
        ({"dimension": 0}, "at least 1"),
        ({"hidden": [0]}, "at least 1"),
        ({"user_id_dimension": -1}, "at least 0"),
        ({"item_id_dimension": 0}, "item_tower needs something to start from"),
        ({"item_features": [{"name": "a", "kind": "lambda"}]}, "kind is one of"),
        (
            {"item_features": [FeatureColumn(name=n, kind="numeric") for n in ("a b", "a-b")]},
            "names that differ",
        ),
    ],
)
def test_bad_settings_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        TwoTower(n_users=2, n_items=2, **config)


def test_a_log_without_the_features_is_refused(featured, blocks_log):
    with pytest.raises(ValueError, match=r"no item feature 'colour'; it has \['genres'"):
        TwoTower.for_log(featured, item_features=["colour"])
    model = TwoTower.for_log(featured, **EVERY)
    with pytest.raises(ValueError, match="made with the feature 'age'"):
        model.encode_features(blocks_log)
    other = TwoTower.from_config(model.get_config() | {"n_users": 3})
    with pytest.raises(ValueError, match="has 3 rows, and the feature 'age' has 20 values"):
        other.encode_features(featured)
