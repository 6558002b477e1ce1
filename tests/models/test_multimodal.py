"""The multimodal model: fusion, dropped modalities, missing ones, the adversary on features."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import losses
from tfadvrec.adversary import AdversarialTraining, FastGradient, outputs_of
from tfadvrec.adversary.batch import Batch
from tfadvrec.data import in_batch, leave_last_out, pairs
from tfadvrec.evaluation import evaluate
from tfadvrec.models import VBPR, ContentTwoTower, Multimodal
from tfadvrec.optimizers.row_slots import RowSlots
from tfadvrec.serving import export

USERS = np.arange(20)


def described(log, *, untitled=()):
    """The log with a title and a genre that tell an item's parity; some items have no title."""
    genres = np.empty(log.n_items, object)
    genres[:] = [("even", "all") if item % 2 == 0 else ("odd", "all") for item in range(20)]
    words = [f"story of {'two' if i % 2 == 0 else 'one'} number {i}" for i in range(20)]
    titles = ["" if item in untitled else words[item] for item in range(20)]
    return log.replace(item_features={"title": np.array(titles), "genre": genres})


@pytest.fixture
def log(blocks_log):
    return described(blocks_log, untitled=[3, 4])


FEATURES = {"title": {"kind": "text", "width": 1024}, "genre": "tags"}


def rank_of_own(model, log):
    """Share of users whose one unmet item of their parity leads their list."""
    ids, _ = model.recommend(log.user_ids, k=1, exclude=log)
    return (ids[:, 0] == log.item_ids).mean()


def make(log, cls=Multimodal, **options):
    return cls.for_log(log, FEATURES, dimension=8, seed=0, **options)


MODELS = [
    (Multimodal, {}),
    (Multimodal, {"hidden": [6], "fusion": "mean", "similarity": "dot", "item_ids": False}),
    (VBPR, {}),
    (VBPR, {"form": "amr"}),
    (ContentTwoTower, {"length": 4}),
    (ContentTwoTower, {"hidden": [6], "similarity": "dot"}),
]


def test_fusion_is_the_id_plus_the_mean_of_what_is_there(log):
    model = make(log)
    tower = model.item_tower
    title, genre = (
        table.features.numpy() @ layer.kernel.numpy()
        for table, layer in zip(tower.tables, tower.maps, strict=True)
    )
    has_title = np.isin(np.arange(20), [3, 4], invert=True)[:, None]
    own = tower.identity.embeddings.numpy()
    expected = own + np.where(has_title, (title + genre) / 2, genre)  # gates start at 1
    np.testing.assert_allclose(tower(np.arange(20)), expected, rtol=1e-5, atol=1e-6)
    kernel, bias = tower.gate
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    bias.assign([0.5, -1.0])
    gates = [
        2 / (1 + np.exp(-(part @ kernel.numpy()[m] + bias.numpy()[m])))[:, None]
        for m, part in enumerate((title, genre))
    ]
    both = (gates[0] * title + gates[1] * genre) / 2
    expected = own + np.where(has_title, both, gates[1] * genre)
    np.testing.assert_allclose(tower(np.arange(20)), expected, rtol=1e-4, atol=1e-6)


def test_vbpr_and_amr_are_their_formulas(log):
    rng = np.random.default_rng(0)
    for form in ("vbpr", "amr"):
        model = make(log, VBPR, form=form, feature_dimension=5)
        for weight in model.trainable_weights:
            weight.assign(rng.normal(size=weight.shape))
        features = [table.features.numpy() for table in model.modality_tables]
        seen = sum(f @ layer.kernel.numpy() for f, layer in zip(features, model.maps, strict=True))
        p, q = (x.embeddings.numpy() for x in (model.user_embedding, model.item_embedding))
        if form == "amr":
            expected = p @ (q + seen).T
        else:
            bias = sum(
                f @ layer.kernel.numpy() for f, layer in zip(features, model.biases, strict=True)
            )
            expected = p @ q.T + model.user_taste.embeddings.numpy() @ seen.T
            expected += bias[:, 0] + model.bias.numpy()
        np.testing.assert_allclose(model.score_catalogue(USERS), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["vbpr", "amr"])
def test_the_penalty_is_the_mean_square_of_users_and_the_summed_one_of_items(log, form):
    model = make(log, VBPR, form=form, regularization=0.3, initial_scale=0.5)
    inputs = {"user_id": np.array([3, 4]), "item_id": np.array([[0, 1, 5], [2, 7, 9]])}
    model(inputs, training=True)
    users = model.embed_users([3, 4]).numpy()
    items = model.embed_items(np.arange(20)).numpy()[inputs["item_id"]]
    expected = 0.3 * (np.mean(users**2) + np.mean(np.sum(items**2, axis=1)))
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    model(inputs, training=False)
    assert not model.losses


def test_a_users_vector_is_the_weighed_mean_of_their_last_items(log):
    model = make(log, ContentTwoTower, length=3, similarity="dot", temperature=1.0)
    pooling = model.pooling
    pooling.attention.assign(np.linspace(-2, 2, 8))
    pooling.recency.assign([0.5, 0.0, -0.5])
    items = model.item_tower(np.arange(20)).numpy()
    newest = [7, 9, 2]  # the newest last; what is older does not count
    logits = items[newest] @ pooling.attention.numpy() + [-0.5, 0.0, 0.5]
    shares = np.exp(logits) / np.exp(logits).sum()
    expected = (shares @ items[newest]) @ pooling.taste.kernel.numpy() + pooling.taste.bias.numpy()
    history = np.array([[5, -1, 7, 9, -1, 2]])
    np.testing.assert_allclose(model.embed_history(history)[0], expected, rtol=1e-4, atol=1e-6)
    empty = model.embed_history(np.array([[-1, -1]]))
    np.testing.assert_allclose(empty[0], pooling.taste.bias, rtol=1e-6)


def test_in_training_a_positive_is_no_part_of_its_own_users_history(log):
    model = make(log, ContentTwoTower, modality_dropout=0.0)
    history = np.array([[1, 5, 9], [2, 4, -1]])
    blanked = np.array([[1, -1, 9], [2, -1, -1]])
    for items in (np.array([[5, 0], [4, 1]]), np.array([5, 4])):
        seen = model({"history": history, "item_id": items}, training=True)
        without = model({"history": blanked, "item_id": items})
        np.testing.assert_allclose(seen, without, rtol=1e-4, atol=1e-5)
        assert not np.allclose(seen, model({"history": history, "item_id": items}), atol=1e-4)


@pytest.mark.parametrize(("cls", "options"), MODELS)
def test_all_ways_to_a_score_agree(log, cls, options):
    model = make(log, cls, **options)
    dense = model.score_catalogue(USERS).numpy()
    shared = model({"user_id": USERS, "item_id": np.arange(20)})
    np.testing.assert_allclose(shared, dense, rtol=1e-4, atol=1e-5)
    some = np.array([[0, 19, 7], [4, 4, 12]])
    candidates = model({"user_id": np.array([3, 8]), "item_id": some})
    np.testing.assert_allclose(candidates, dense[[[3], [8]], some], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("cls", "options"), MODELS)
def test_a_missing_modality_contributes_exactly_nothing(log, cls, options):
    model = make(log, cls, **options)
    rng = np.random.default_rng(1)
    table = model.modality_tables[0]
    table.features.assign(rng.normal(size=table.features.shape))  # rubbish where there is none too
    before = model.embed_items([3, 4]).numpy()
    table.features.assign(10 * rng.normal(size=table.features.shape))
    np.testing.assert_array_equal(model.embed_items([3, 4]), before)
    with model.hidden("title", np.arange(20)), model.hidden("genre", np.arange(20)):
        alone = model.embed_items(np.arange(20)).numpy()
    assert np.isfinite(alone).all()
    if getattr(model, "has_item_ids", False) and not model.hidden_widths:
        own = model.item_tower.identity.embeddings.numpy()
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        np.testing.assert_allclose(alone, own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("cls", "options"), MODELS)
def test_the_adversary_moves_features_of_both_items_by_epsilon_and_none_that_is_missing(
    log, cls, options
):
    model = make(log, cls, **options)
    model.compile("sgd", loss=losses.BayesianPersonalizedRanking())
    items = np.array([[2, 4], [3, 8], [6, 1]])  # 3 and 4 have no title
    data = {"user_id": np.array([0, 1, 2]), "item_id": items}, np.tile([1.0, 0.0], (3, 1))
    batch = Batch(model, data, outputs_of("modality_title"), RowSlots())
    clean = batch.first_pass()
    lengths = np.linalg.norm(FastGradient(0.1).step(0.0, clean.attack[0]).numpy(), axis=1)
    if cls is ContentTwoTower:  # it encodes the whole catalogue once
        assert lengths.shape == (20,)
        lengths = lengths[items]
    lengths = lengths.reshape(3, 2)
    kept = np.array([[1, 0], [0, 1], [1, 1]])  # where there is a title
    if model.get_config().get("modality_dropout"):  # a dropped one stays, too
        assert (lengths[kept == 0] == 0).all()
        assert (np.isclose(lengths, 0.1) | (lengths == 0)).all()
    else:
        np.testing.assert_allclose(lengths, 0.1 * kept, rtol=1e-5)


@pytest.mark.parametrize(("cls", "options"), [MODELS[0], MODELS[3], MODELS[4]])
def test_a_small_perturbation_raises_the_loss_by_its_length_times_the_gradients(log, cls, options):
    dropout = {} if cls is VBPR else {"modality_dropout": 0.0}
    model = make(log, cls, **options, **dropout)
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape) * 0.3)
    model.compile("sgd", loss=losses.BayesianPersonalizedRanking())
    data = next(iter(pairs(log, batch_size=32, seed=0)))
    batch = Batch(model, data, outputs_of("modality_"), RowSlots())
    clean, epsilon = batch.first_pass(), 1e-3
    assert len(clean.attack) == 2  # title and genre
    rise = 0.0
    for rows, gradient in zip(batch.rows, clean.attack, strict=True):
        rows.shift(FastGradient(epsilon).step(0.0, gradient))
        rise += epsilon * np.linalg.norm(gradient, axis=1).sum()
    moved = batch.moved_pass()
    assert float(moved.loss - clean.loss) == pytest.approx(rise, rel=0.05)
    assert rise > 0


def test_training_drops_modalities_and_ranking_does_not(log):
    model = make(log, modality_dropout=0.5)
    rows = np.zeros(4000, np.int32)
    plain = model.item_tower(rows[:1])
    np.testing.assert_array_equal(model.item_tower(rows[:1], training=False), plain)
    dropped = model.item_tower(rows, training=True).numpy()
    kinds, counts = np.unique(dropped.round(5), axis=0, return_counts=True)
    assert len(kinds) == 4  # both, title, genre, the id alone
    np.testing.assert_allclose(counts / 4000, 0.25, atol=0.05)
    own = model.item_tower.identity.embeddings.numpy()[0]
    assert (np.abs(kinds - own).max(axis=1) < 1e-4).sum() == 1  # the id stays


def test_trained_in_blocks_against_the_adversary_it_ranks_without_its_text(log):
    model = make(log)
    robust = AdversarialTraining(model, FastGradient(0.1), target=outputs_of("modality_"))
    robust.compile(keras.optimizers.Adam(0.02), loss=losses.InBatchSoftmax())
    tables = [part.numpy() for table in model.item_tower.tables for part in table.weights]
    batches = in_batch(log, batch_size=45, seed=0, block=4)
    logs = robust.fit(batches, epochs=12, verbose=0).history
    assert all(np.greater(logs["adversarial_loss"], logs["loss"]))
    assert rank_of_own(model, log) == 1.0
    with model.hidden("title", np.arange(20)):
        assert rank_of_own(model, log) == 1.0
    after = [part.numpy() for table in model.item_tower.tables for part in table.weights]
    for one, other in zip(tables, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("cls", "options"), [MODELS[2], MODELS[3], (ContentTwoTower, {})])
def test_it_learns_the_checkerboard(log, cls, options):
    model = make(log, cls, **options)
    model.compile(
        keras.optimizers.Adam(0.03), loss=losses.BayesianPersonalizedRanking(), jit_compile=False
    )
    batches = pairs(log, batch_size=45, negatives=2, seed=0, block=4)
    model.fit(batches, epochs=15, verbose=0)
    assert rank_of_own(model, log) == 1.0


def test_a_transferred_model_ranks_items_it_never_saw_for_users_it_never_saw(log):
    model = make(log, ContentTwoTower)
    model.compile(
        keras.optimizers.Adam(0.03), loss=losses.BayesianPersonalizedRanking(), jit_compile=False
    )
    model.fit(pairs(log, batch_size=45, negatives=2, seed=0, block=4), epochs=10, verbose=0)
    genres = np.empty(6, object)
    genres[:] = [("odd",), ("even",), ("odd",), ("even",), ("odd", "new"), ("even",)]
    other = type(log).from_arrays(["x", "y"], ["a", "b"])
    other = other.replace(
        item_ids=np.array(list("abcdef")),
        item_features={"title": np.array(["zebra"] * 6), "genre": genres},
    )
    moved = model.transferred(other)
    assert (moved.n_users, moved.n_items) == (2, 6)
    assert not moved.modality_tables[0].present.numpy().any()  # it knows no such word
    scores = moved.score_catalogue([0, 1]).numpy()
    assert scores[0, [2, 4]].min() > scores[0, [1, 3, 5]].max()
    assert scores[1, [3, 5]].min() > scores[1, [0, 2, 4]].max()
    extended = model.transferred(other, extended=True)
    assert extended.modality_tables[0].present.numpy().all()
    for one in (moved, extended):  # "new" is no tag of the first catalogue
        np.testing.assert_array_equal(*one.modality_tables[1].features.numpy()[[0, 4]])
    extended.compile("adam", loss=losses.BayesianPersonalizedRanking(), jit_compile=False)
    extended.fit(pairs(other, batch_size=2, seed=0), verbose=0)


def test_given_vectors_with_gaps_make_a_modality(blocks_log):
    rng = np.random.default_rng(0)
    synthetic_images = rng.normal(size=(20, 6)) + 3 * (np.arange(20) % 2)[:, None]
    synthetic_images[5] = np.nan
    model = Multimodal.for_log(
        blocks_log, vectors={"image": synthetic_images}, dimension=8, item_ids=False, seed=0
    )
    assert model.modality_tables[0].present.numpy().tolist() == [i != 5 for i in range(20)]
    assert np.isfinite(model.score_catalogue(USERS)).all()
    with pytest.raises(ValueError, match=r"values for \['image'\] are missing"):
        model.encode_features(blocks_log)
    with pytest.raises(ValueError, match="no item feature 'sound'"):
        Multimodal.for_log(blocks_log, ["sound"])


@pytest.mark.parametrize(("cls", "options"), MODELS[::2])
def test_a_preset_ranks_as_the_model_and_takes_new_items_from_their_features(
    log, tmp_path, cls, options
):
    model = make(log, cls, **options)
    assert model.get_config() == cls(**json.loads(json.dumps(model.get_config()))).get_config()
    model.save_to_preset(tmp_path / "preset")
    again = cls.from_preset(str(tmp_path / "preset")).bind(log.replace(item_features={}))
    scores = model.score_catalogue(USERS)
    np.testing.assert_allclose(again.score_catalogue(USERS), scores, rtol=1e-5, atol=1e-6)
    genres = np.empty(2, object)
    genres[:] = [("even",), ("odd", "all")]
    new = log.replace(
        item=np.zeros(1, np.int32),
        user=np.zeros(1, np.int32),
        time=None,
        item_ids=np.array(["new", "i05"]),
        item_features={
            "title": np.array(["story of two", "story of one number 5"]),
            "genre": genres,
        },
    )
    grown = cls.from_preset(
        str(tmp_path / "preset"), item_ids=new.item_ids, id_map={"i05": "i05"}, verbose=False
    ).bind(new)
    np.testing.assert_allclose(grown.embed_items([1]), model.embed_items([5]), rtol=1e-4, atol=1e-6)
    assert grown.modality_tables[0].present.numpy().tolist() == [1, 1]
    assert grown.embed_items([0]).numpy().any()


@pytest.mark.parametrize(("cls", "history"), [(Multimodal, None), (ContentTwoTower, 6)])
def test_a_servable_gives_the_models_answers(log, tmp_path, cls, history):
    model = make(log, cls)
    report = export(model, tmp_path / "model", k=5, **({"history": history} if history else {}))
    served = tf.saved_model.load(report.path).signatures["recommend"]
    if history is None:
        ids, scores = model.recommend(["u03", "u04"], k=5)
        answer = served(user_id=tf.constant(["u03", "u04"]))
    else:
        asked = np.array([[1, 5, -1, -1, -1, -1], [2, 8, 4, -1, -1, -1]])
        every = np.asarray(model.score_history(asked))
        best = np.argsort(-every, axis=1)[:, :5]
        ids, scores = log.item_ids[best], np.take_along_axis(every, best, axis=1)
        answer = served(history=tf.constant(np.where(asked < 0, "", log.item_ids[asked])))
    assert answer["item_id"].numpy().astype(str).tolist() == ids.tolist()
    np.testing.assert_allclose(answer["score"], scores, rtol=1e-4, atol=1e-5)


def test_it_is_evaluated_like_any_recommender(log):
    split = leave_last_out(log, validation=False)
    model = make(split.train, ContentTwoTower)
    result = evaluate(model, split.train, split.test, k=5, metrics=["ndcg", "hr"])
    assert 0 <= result.means["ndcg@5"] <= result.means["hr@5"] <= 1


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (Multimodal, {"fusion": "sum"}, "fusion is one of"),
        (Multimodal, {"modality_dropout": 1.0}, "modality_dropout from 0"),
        (Multimodal, {"similarity": "euclid"}, "'cosine' or 'dot', got 'euclid'"),
        (Multimodal, {"dimension": 0}, "at least 1"),
        (Multimodal, {"modalities": [], "item_ids": False}, "something to start from"),
        (VBPR, {"form": "deep"}, "form is one of"),
        (VBPR, {"modalities": []}, "at least one modality"),
        (VBPR, {"regularization": -1.0}, "at least 0"),
        (ContentTwoTower, {"length": 0}, "at least 1"),
        (ContentTwoTower, {"modalities": []}, "something to start from"),
    ],
)
def test_bad_settings_are_refused(cls, config, message):
    tags = {"name": "genre", "kind": "tags", "vocabulary": ["a"], "weights": [1.0]}
    with pytest.raises(ValueError, match=message):
        cls(**({"n_users": 2, "n_items": 2, "modalities": [tags]} | config))


def test_a_content_model_without_histories_says_what_to_do(log):
    model = ContentTwoTower(**make(log, ContentTwoTower).get_config())
    with pytest.raises(ValueError, match="bind it to a log"):
        model.embed_users([0])
