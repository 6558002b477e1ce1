"""Self-attention over histories: against NumPy, what it learns, what it shares, its adversary."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, FastGradient, ProjectedGradient, evaluate, presets
from tfadvrec.adversary import outputs_of
from tfadvrec.adversary.batch import Batch
from tfadvrec.data import DataError, Interactions, sequences
from tfadvrec.data.event_windows import gap_buckets
from tfadvrec.losses import InBatchSoftmax, Logistic
from tfadvrec.models import SelfAttentive
from tfadvrec.models.sequence_recommender import last_known
from tfadvrec.optimizers.row_slots import RowSlots
from tfadvrec.serving import ExportSpec
from tfadvrec.serving.planning import make_plan
from tfadvrec.serving.releasing import save

LENGTH = 6
TARGET = outputs_of("history_vectors", per="example")


def cycles():
    """20 users and 20 items: user u takes u, u + 2, ..., u + 16 (modulo 20), so u + 18 is next."""
    user, step = np.repeat(np.arange(20), 9), np.tile(np.arange(9), 20)
    return Interactions(
        user=user.astype(np.int32),
        item=((user + 2 * step) % 20).astype(np.int32),
        time=1_000 * step + user,
        user_ids=np.array([f"u{i:02d}" for i in range(20)]),
        item_ids=np.array([f"i{i:02d}" for i in range(20)]),
        name="cycles",
        real=False,
    )


@pytest.fixture(scope="module")
def log():
    return cycles()


def make(log, **options):
    options = {"dimension": 8, "length": LENGTH, "dropout": 0.1, "seed": 0, **options}
    return SelfAttentive(n_users=log.n_users, n_items=log.n_items, **options).bind(log)


@pytest.fixture(scope="module")
def model(log):
    """One that has learned what comes next, in blocks compiled by XLA."""
    model = make(log, blocks=1)
    model.compile(keras.optimizers.Adam(0.02), loss=InBatchSoftmax(), jit_compile=True)
    options = {"candidates": "catalogue", "windows": None, "seed": 0, "block": 2}
    model.fit(sequences(log, batch_size=20, length=LENGTH, **options), epochs=60, verbose=0)
    return model


def histories(log):
    """Each user's nine events, in order."""
    return log.item.reshape(20, 9)


# -- what it computes ---------------------------------------------------------------------


def numpy_states(model, history, more=0.0):
    """The states after each event of one history, written down anew from the paper."""

    def normal(x, layer):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-8)
        return scaled * layer.gamma.numpy() + layer.beta.numpy()

    width = model.dimension
    x = model.item_embedding.embeddings.numpy()[history] * np.sqrt(width) + more
    x = x + model.positions.numpy()[-len(history) :]
    before = np.tri(len(history), dtype=bool)
    for block in model.layers_of_attention:
        part = {w.path.split(f"{block.name}/")[1]: w.numpy() for w in block.weights}
        n, heads = normal(x, block.normalize[0]), []
        size = width // model.heads
        for head in range(model.heads):
            own = slice(head * size, (head + 1) * size)
            q, k, v = (
                n @ part[f"{name}/kernel"][:, own] + part[f"{name}/bias"][own]
                for name in ("query", "key", "value")
            )
            logits = np.where(before, q @ k.T / np.sqrt(size), -np.inf)
            share = np.exp(logits - logits.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            heads.append(share @ v)
        x = x + np.concatenate(heads, axis=1) @ part["mix/kernel"] + part["mix/bias"]
        inner = np.maximum(normal(x, block.normalize[1]) @ part["inner/kernel"], 0)
        x = x + inner @ part["outer/kernel"]
    return normal(x, model.normalize)


@pytest.mark.parametrize("heads", [1, 4])
def test_every_way_to_a_score_agrees_with_numpy(log, heads):
    model = make(log, heads=heads, initial_scale=0.3)
    users, items = np.arange(20), model.item_embedding.embeddings.numpy()
    last = [numpy_states(model, row)[-1] for row in histories(log)[:, -LENGTH:]]
    expected = np.array(last) @ items.T
    everything = np.tile(users, (20, 1))
    vectors = np.asarray(model.embed_users(users)) @ np.asarray(model.embed_items(users)).T
    for other in (
        model.score_catalogue(users),
        model.score_history(histories(log)),
        model({"user_id": users}),
        model({"history": histories(log)}),
        model({"user_id": users, "item_id": np.arange(20)}),
        model.predict({"user_id": users, "item_id": everything}, verbose=0),
        model.predict({"history": histories(log), "item_id": everything}, verbose=0),
        vectors,
    ):
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-4)


def test_the_scores_of_each_event_are_those_of_the_history_up_to_it(log):
    model = make(log, initial_scale=0.3)
    history = histories(log)[:, :LENGTH]
    every = model({"history": history, "item_id": np.arange(20)[None, None]})
    every = np.asarray(every).reshape(20, LENGTH, 20)
    np.testing.assert_allclose(
        every[3], numpy_states(model, history[3]) @ model.item_embedding.embeddings.numpy().T,
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    own = np.random.default_rng(0).integers(0, 20, (20, LENGTH, 5))
    some = np.asarray(model({"history": history, "item_id": own})).reshape(20, LENGTH, 5)
    np.testing.assert_allclose(some, np.take_along_axis(every, own, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", range(LENGTH))
def test_what_comes_later_changes_nothing(model, log, change):
    history = histories(log)[:, :LENGTH]
    other = history.copy()
    other[:, change] = (other[:, change] + 7) % 20
    inputs = {"item_id": np.arange(20)[None, None]}
    one, two = (np.asarray(model({**inputs, "history": h})) for h in (history, other))
    moved = np.abs(one - two).reshape(20, LENGTH, 20).max(axis=(0, 2))
    assert (moved[:change] == 0).all()
    assert (moved[change:] > 1e-4).all()


def test_only_the_order_of_known_items_counts(model):
    known = model.score_history([[3, 5, 7]])
    for same in ([[-1, -1, 3, 5, 7]], [[3, -1, 5, -1, 7, -1, -1, -1, -1]], [[3, 5, 7, -1]]):
        np.testing.assert_allclose(model.score_history(same), known, rtol=1e-5, atol=1e-5)
    assert np.abs(model.score_history([[7, 5, 3]]) - known).max() > 0.1
    long = np.arange(15)[None]
    np.testing.assert_array_equal(model.score_history(long), model.score_history(long[:, -LENGTH:]))
    assert np.isfinite(model.score_history([[-1, -1]])).all()
    rows, gaps = last_known([[1, -1, 2, 3]], [[4, 5, 6, 7]], 5)
    assert (rows.numpy().tolist(), gaps.numpy().tolist()) == (
        [[-1, -1, 1, 2, 3]],
        [[0, 0, 4, 6, 7]],
    )
    with pytest.raises(DataError, match="rows lie outside"):
        model.score_history([[20]])


def test_shared_negatives_are_corrected_by_their_probability(model, log):
    history, target = histories(log)[:4, :LENGTH], histories(log)[:4, 1 : LENGTH + 1]
    shared, chance = np.array([2, 9, 9]), np.array([0.5, 0.01, 0.01], np.float32)
    inputs = {"history": history, "item_id": target[..., None], "shared_id": shared}
    plain = np.asarray(model(inputs))
    every = np.asarray(model({"history": history, "item_id": np.arange(20)[None, None]}))
    columns = np.concatenate([target.reshape(-1, 1), np.tile(shared, (24, 1))], axis=1)
    np.testing.assert_allclose(plain, np.take_along_axis(every, columns, 1), rtol=1e-4, atol=1e-5)
    own = np.full((4, LENGTH, 1), 0.25, np.float32)
    chances = {"sampling_probability": own, "shared_probability": chance}
    expected = plain - np.log(np.concatenate([[0.25], chance]))
    np.testing.assert_allclose(model({**inputs, **chances}), expected, rtol=1e-4, atol=1e-5)


# -- what it learns -----------------------------------------------------------------------


def test_it_recommends_what_comes_next(model, log):
    items, scores = model.recommend(log.user_ids, 1)
    assert items[:, 0].tolist() == [f"i{(u + 18) % 20:02d}" for u in range(20)]
    assert np.isfinite(scores).all()
    user = np.arange(20, dtype=np.int32)
    test = log.replace(user=user, item=(user + 18) % 20, time=np.full(20, 10**6))
    assert evaluate(model, log, test, k=1).means["ndcg@1"] == 1.0


def test_a_time_aware_model_adds_a_vector_for_the_gap_before_each_event(log):
    model = make(log, time_aware=True, initial_scale=0.3)
    np.testing.assert_allclose(  # until they are learned, gaps say nothing
        model.score_history(histories(log)), model.score_catalogue(np.arange(20)), rtol=1e-5
    )
    model.gaps.assign(np.random.default_rng(0).normal(size=model.gaps.shape))
    gaps = gap_buckets(np.diff(log.time.reshape(20, 9), axis=1, prepend=0))[:, -LENGTH:]
    assert (gaps == 10).all()  # 1,000 seconds
    items = model.item_embedding.embeddings.numpy()
    states = numpy_states(model, histories(log)[3, -LENGTH:], model.gaps.numpy()[gaps[3]])
    known = model.score_catalogue([3])[0]
    np.testing.assert_allclose(known, items @ states[-1], rtol=1e-4, atol=1e-4)
    given = model.score_history(histories(log)[3:4, -LENGTH:], gaps[3:4])[0]
    np.testing.assert_allclose(given, known, rtol=1e-5, atol=1e-5)
    inputs, _ = next(iter(sequences(log, batch_size=20, length=LENGTH, candidates="catalogue")))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs)))
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.gaps.value)).numpy()
    used = np.flatnonzero(np.abs(gradient).sum(axis=1))
    assert used.tolist() == [10]
    assert model.history_lengths([0, 1]).tolist() == [LENGTH] * 2


def test_another_log_is_read_after_keras_has_traced_its_functions(log):
    model = make(log, dropout=0.0)
    asked = {"user_id": np.arange(20), "item_id": np.tile(np.arange(20), (20, 1))}
    first = model.predict(asked, verbose=0)
    back = log.replace(time=-log.time)  # the same events the other way round
    np.testing.assert_allclose(
        model.bind(back).predict(asked, verbose=0), model.score_catalogue(np.arange(20)), rtol=1e-4
    )
    assert not np.allclose(model.predict(asked, verbose=0), first)


# -- its adversary ------------------------------------------------------------------------


def attacked(model, log, perturbation):
    """A batch with padding, its clean pass, and the pass under attack."""
    model.compile(keras.optimizers.SGD(0.0), loss=InBatchSoftmax())
    options = {"length": LENGTH, "candidates": "catalogue", "windows": None}
    data = next(iter(sequences(log, batch_size=40, seed=1, **options)))
    batch = Batch(model, data, TARGET, RowSlots())
    clean = batch.first_pass()
    (rows,), (gradient,) = batch.rows, clean.attack
    delta = perturbation.step(tf.zeros_like(gradient), gradient)
    rows.shift(delta)
    moved = batch.moved_pass()
    rows.restore()
    return data[0]["history"].numpy(), gradient.numpy(), delta.numpy(), clean, moved


def test_a_sequence_moves_by_epsilon_and_its_padding_not_at_all(log):
    model = make(log, dropout=0.0, initial_scale=0.3)
    history, gradient, delta, clean, moved = attacked(model, log, FastGradient(0.05))
    assert (history < 0).any()
    delta = delta.reshape(40, LENGTH, 8)
    assert (delta[history < 0] == 0).all()
    assert (np.abs(delta[history >= 0]).max(axis=-1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(delta, axis=(1, 2)), 0.05, rtol=1e-4)
    rise = float(moved.loss - clean.loss)
    assert rise == pytest.approx(0.05 * np.linalg.norm(gradient, axis=1).sum(), rel=0.1)


def test_the_item_table_that_is_scored_stays_clean(log):
    """The loss under attack is that of moved histories and clean candidates, in NumPy."""
    model = make(log, dropout=0.0, initial_scale=0.3)
    history, _, delta, _, moved = attacked(model, log, FastGradient(0.5))
    items, total = model.item_embedding.embeddings.numpy(), 0.0
    delta = delta.reshape(40, LENGTH, 8) * np.sqrt(8)
    for row, shift in zip(history, delta, strict=True):
        known = row >= 0
        states = numpy_states(model, row[known], shift[known])
        assert len(states) == known.sum()
        total += np.abs(states @ items.T).sum()
    scores = np.asarray(moved.y_pred).reshape(40, LENGTH, -1)
    np.testing.assert_allclose(np.abs(scores[history >= 0]).sum(), total, rtol=1e-4)


def against(model, perturbation, loss, **options):
    robust = AdversarialTraining(model, perturbation, target=TARGET)
    robust.compile(keras.optimizers.Adam(0.02), loss=loss, **options)
    return robust


def test_binary_cross_entropy_against_one_step_learns_what_comes_next(log):
    model = make(log, blocks=1)
    robust = against(model, FastGradient(0.3), Logistic(), jit_compile=False)
    options = {"candidates": "own", "negatives": 4, "windows": None, "seed": 0, "block": 2}
    data = sequences(log, batch_size=20, length=LENGTH, **options)
    logs = robust.fit(data, epochs=100, verbose=0).history
    assert logs["adversarial_loss"][0] > logs["loss"][0]
    items, _ = model.recommend(log.user_ids, 1, exclude=log)
    right = items[:, 0] == np.array([f"i{(u + 18) % 20:02d}" for u in range(20)])
    assert right.mean() >= 0.9


def test_several_steps_find_a_higher_loss_than_one(log):
    options = {"length": LENGTH, "candidates": "catalogue", "windows": None, "seed": 0}
    data = sequences(log, batch_size=40, **options)
    found = {}
    for perturbation in (FastGradient(1.0), ProjectedGradient(1.0, steps=4)):
        model = make(log, blocks=1, dropout=0.0, initial_scale=0.3)
        robust = against(model, perturbation, InBatchSoftmax(), run_eagerly=True)
        logs = robust.fit(data, epochs=1, verbose=0).history
        found[type(perturbation)] = logs["adversarial_loss"][0] - logs["loss"][0]
    assert found[ProjectedGradient] > found[FastGradient] > 0


# -- what it shares -----------------------------------------------------------------------


def test_a_preset_has_no_histories_and_takes_other_items(model, log, tmp_path):
    folder = presets.save(model, tmp_path / "preset")
    same = SelfAttentive.from_preset(str(folder))
    history = histories(log)
    np.testing.assert_allclose(same.score_history(history), model.score_history(history), rtol=1e-4)
    with pytest.raises(ValueError, match=r"model.bind\(log\)"):
        same.score_catalogue([0])
    np.testing.assert_allclose(
        same.bind(log).score_catalogue(np.arange(20)), model.score_catalogue(np.arange(20)),
        rtol=1e-4,
    )  # fmt: skip
    grown = SelfAttentive.from_preset(
        str(folder), item_ids=np.array(["new", *log.item_ids]), id_map="identity",
        user_ids=["someone"], verbose=False,
    )  # fmt: skip
    assert grown.n_users == 1
    np.testing.assert_allclose(
        np.asarray(grown.score_history(history + 1))[:, 1:], model.score_history(history), rtol=1e-4
    )


def test_servables_answer_histories_in_their_order_and_users(model, log, tmp_path):
    save(make_plan(model, ExportSpec(k=20, history=5)), tmp_path / "1", number=1, name="s")
    served = tf.saved_model.load(tmp_path / "1").signatures["recommend"]
    asked = [["i02", "i04", "i06", "", ""], ["i06", "unheard of", "i04", "i02", ""]]
    score = served(history=tf.constant(asked))["score"]
    expected = np.asarray(model.score_history([[2, 4, 6], [6, 4, 2]]))
    np.testing.assert_allclose(score, -np.sort(-expected, axis=1), rtol=1e-4, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    users = make_plan(model, ExportSpec(k=3)).ranker.vectors(np.arange(20))
    np.testing.assert_allclose(users, model.embed_users(np.arange(20)), rtol=1e-5, atol=1e-6)


def test_config_survives_json_and_seeds_repeat(log):
    model = make(log, blocks=1, heads=2, time_aware=True)
    again = SelfAttentive(**json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    block = model.layers_of_attention[0]
    for one, two in itertools.combinations((block.query, block.key, block.value), 2):
        assert np.abs(one.kernel.numpy() - two.kernel.numpy()).max() > 0.01
    other = make(log, seed=1)
    assert np.abs(other.positions.numpy() - make(log).positions.numpy()).max() > 0.01


@pytest.mark.parametrize(
    "wrong", [{"dimension": 0}, {"length": 0}, {"blocks": 0}, {"heads": 3}, {"dropout": 1.0}]
)
def test_an_argument_out_of_range_is_an_error(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*Received"):
        SelfAttentive(**{"n_users": 2, "n_items": 2, **wrong})


def test_histories_of_another_length_are_refused_in_training(model):
    with pytest.raises(ValueError, match="reads 6 events, and the histories have 4"):
        model({"history": np.zeros((2, 4), int), "item_id": np.zeros((2, 4, 1), int)})


def test_half_precision_trains_and_reads_gaps_and_corrected_candidates(log):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = make(log, dropout=0.0, time_aware=True)
        model.compile(keras.optimizers.Adam(0.01), loss=InBatchSoftmax(), jit_compile=False)
        data = sequences(
            log, batch_size=20, length=LENGTH, candidates="shared", negatives=8,
            strategy="popularity", windows=None, seed=0,
        )  # fmt: skip
        losses = model.fit(data, epochs=6, verbose=0).history["loss"]
        ranked = model.score_catalogue(np.arange(20)).numpy()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert losses[-1] < losses[0]
    assert np.isfinite(ranked).all()
