"""Teacher and student: the term's formula, what it trains, and what is saved."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import log_softmax, softmax
from scipy.stats import spearmanr

from tfadvrec import AdversarialTraining, FastGradient, MatrixFactorization, TwoTower
from tfadvrec.adversary import embedding_tables
from tfadvrec.data import in_batch, pairs
from tfadvrec.losses import BayesianPersonalizedRanking, InBatchSoftmax
from tfadvrec.models import LightGCN
from tfadvrec.tuning import Distillation

RANDOM = np.random.default_rng(0)
X = {"user_id": RANDOM.integers(0, 20, 16), "item_id": RANDOM.integers(0, 20, (16, 5))}
Y = np.tile(np.array([[1, 0, 0, 0, 0]], np.float32), (16, 1))


def factors(dimension=4, seed=1, **options):
    options = {"n_users": 20, "n_items": 20, "initial_scale": 0.5, **options}
    return MatrixFactorization(dimension=dimension, seed=seed, **options)


def distilled(student=None, teacher=None, weight=1.0, temperature=1.0, loss=None, **options):
    student = student or factors()
    teacher = teacher or factors(12, seed=7, initial_scale=1.0)
    training = Distillation(student, teacher, weight, temperature=temperature)
    training.compile(keras.optimizers.SGD(0.1), loss=loss, **options)
    return training


def oracle(labels, taught, scores, temperature):
    """The term row by row: Hinton's formula over the candidates that count."""
    total = 0.0
    for label, t, s in zip(labels, taught, scores, strict=True):
        t, s = t[label != -1] / temperature, s[label != -1] / temperature
        p = softmax(t)
        total += temperature**2 * np.sum(p * (np.log(p) - log_softmax(s)))
    return total


def test_loss_is_the_own_loss_plus_the_weighted_term():
    labels = Y.copy()
    labels[3, 2] = labels[5, 4] = -1
    training = distilled(weight=0.7, temperature=2.0, loss=InBatchSoftmax())
    taught, scores = training.teacher(X).numpy(), training.model(X).numpy()
    term = oracle(labels, taught, scores.astype(np.float64), 2.0)
    expected = float(InBatchSoftmax()(labels, scores)) + 0.7 * term
    logs = training.train_on_batch(X, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["distillation_loss"] == pytest.approx(term / 16, rel=1e-5)
    assert term > 1


def test_rows_are_weighted():
    training = distilled(weight=1.0)
    weights = np.linspace(0, 2, 16)
    taught, scores = training.teacher(X).numpy(), training.model(X).numpy()
    rows = [oracle(Y[n : n + 1], taught[n : n + 1], scores[n : n + 1], 1.0) for n in range(16)]
    found = training.train_on_batch(X, Y, sample_weight=weights, return_dict=True)["loss"]
    assert found == pytest.approx(np.dot(weights, rows), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_gradient_of_the_term_is_numpys(temperature):
    """SGD from known tables: T (q - p) of the scores, through the inner products."""
    training = distilled(weight=0.3, temperature=temperature)
    student = training.model
    users, items = (t.embeddings.numpy() for t in (student.user_embedding, student.item_embedding))
    taught, scores = training.teacher(X).numpy(), student(X).numpy()
    inner = (
        0.3 * temperature * (softmax(scores / temperature, 1) - softmax(taught / temperature, 1))
    )
    step = 1e-3  # the same by finite differences of the term
    moved = scores.astype(np.float64)
    moved[2, 3] += step
    up = oracle(Y, taught, moved, temperature)
    moved[2, 3] -= 2 * step
    slope = 0.3 * (up - oracle(Y, taught, moved, temperature)) / (2 * step)
    assert inner[2, 3] == pytest.approx(slope, rel=1e-3)
    wanted_users, wanted_items = users.copy(), items.copy()
    for row in range(16):
        user, candidates = X["user_id"][row], X["item_id"][row]
        wanted_users[user] -= 0.1 * inner[row] @ items[candidates]
        np.add.at(wanted_items, candidates, -0.1 * np.outer(inner[row], users[user]))
    training.train_on_batch(X, Y)
    np.testing.assert_allclose(student.user_embedding.embeddings, wanted_users, atol=1e-6)
    np.testing.assert_allclose(student.item_embedding.embeddings, wanted_items, atol=1e-6)


def test_weight_zero_is_plain_training(blocks_log):
    plain, student = factors(), factors()
    plain.compile(keras.optimizers.SGD(0.1), loss=BayesianPersonalizedRanking(), jit_compile=False)
    training = distilled(student, weight=0.0, loss=BayesianPersonalizedRanking(), jit_compile=False)
    for one in (plain, training):
        data = pairs(blocks_log, batch_size=30, negatives=3, seed=0, block=3)
        one.fit(data, epochs=1, verbose=0)
    for a, b in zip(plain.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_blocks_under_xla_are_batches(blocks_log):
    results = []
    for block in (None, 4):
        training = distilled(temperature=2.0, loss=InBatchSoftmax(), jit_compile=bool(block))
        data = pairs(blocks_log, batch_size=30, negatives=4, seed=0, block=block)
        logs = training.fit(data, epochs=2, verbose=0).history
        results.append((training.model, logs["distillation_loss"]))
    (one, log), (other, other_log) = results
    assert log == pytest.approx(other_log, rel=1e-4)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_following_the_teacher_alone_approaches_its_ranking(blocks_log):
    teacher = factors(16, seed=5, initial_scale=1.0)
    student = factors(6, seed=2, initial_scale=0.1)
    training = Distillation(student, teacher, 1.0, temperature=2.0)
    training.compile(keras.optimizers.Adam(0.03), jit_compile=False)
    data = pairs(blocks_log, batch_size=60, negatives=12, seed=0, block=3)
    users = np.arange(20)
    target = teacher.score_catalogue(users).numpy()
    before_weights = [w.copy() for w in teacher.get_weights()]

    def agreement():
        scores = student.score_catalogue(users).numpy()
        return np.mean([spearmanr(a, b)[0] for a, b in zip(scores, target, strict=True)])

    found = [agreement()]
    for epochs in (15, 30):
        training.fit(data, epochs=epochs, verbose=0)
        found.append(agreement())
    assert found[0] < 0.3
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.7
    for a, b in zip(before_weights, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["tower", "factors"])
def test_in_batch_scores_of_both_are_corrected_as_the_students_are(blocks_log, kind):
    tower = TwoTower(n_users=20, n_items=20, dimension=4, temperature=0.5, seed=0)
    other = TwoTower(n_users=20, n_items=20, dimension=8, temperature=0.5, seed=3)
    student, teacher = (tower, factors(seed=3)) if kind == "tower" else (factors(seed=3), other)
    x, y = next(iter(in_batch(blocks_log, batch_size=12, seed=0)))
    share = x["sampling_probability"].numpy()
    plain = {key: x[key].numpy() for key in ("user_id", "item_id")}
    offset = np.log(share)[None, :] if kind == "tower" else 0.0
    taught, scores = teacher(plain).numpy() - offset, student(plain).numpy() - offset
    assert (y.numpy() == -1).any()
    training = distilled(student, teacher)
    found = training.train_on_batch(x, y, return_dict=True)["loss"]
    assert found == pytest.approx(oracle(y.numpy(), taught, scores, 1.0), rel=1e-4)


def test_the_teacher_is_in_inference_mode_and_settled(blocks_log):
    dropped = TwoTower(n_users=20, n_items=20, dimension=4, dropout=0.5, seed=0)
    training = distilled(teacher=dropped)
    one, two = (training.teacher_scores(X).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, two)
    graph = LightGCN(n_users=20, n_items=20, dimension=4, seed=0).bind(blocks_log)
    training = distilled(teacher=graph)
    training.fit(X, Y, batch_size=16, verbose=0)
    assert np.abs(graph.item_rows.embeddings.numpy()).max() > 0


def test_the_teacher_is_no_part_of_what_is_trained_or_saved(tmp_path):
    teacher = AdversarialTraining(factors(12, seed=7), FastGradient(0.5))
    training = distilled(teacher=teacher, loss=InBatchSoftmax(), metrics=["mae"])
    student = training.model
    assert training.teacher is teacher.model
    assert len(training.weights) == len(student.weights)
    training.train_on_batch(X, Y)
    logs = training.evaluate(X, Y, verbose=0, return_dict=True)
    assert sorted(logs) == ["loss", "mae"]
    assert logs["loss"] == pytest.approx(float(InBatchSoftmax()(Y, student(X))), rel=1e-5)
    training.save(tmp_path / "student.keras")
    again = keras.models.load_model(tmp_path / "student.keras")
    assert isinstance(again, MatrixFactorization)
    np.testing.assert_array_equal(again(X), student(X))
    config = json.loads(json.dumps(training.get_config()))
    made = Distillation.from_config(config, teacher=teacher.model)
    assert made.get_config() == training.get_config()
    with pytest.raises(ValueError, match="never part of a configuration"):
        Distillation.from_config(config)


def test_robust_distillation_is_the_adversary_around_it(tmp_path):
    """The update is the clean gradient plus that at the moved rows, the teacher's scores clean."""
    training = Distillation(factors(item_bias=False), factors(12, seed=7), 1.0, temperature=2.0)
    student = training.model
    target = embedding_tables("user")
    robust = AdversarialTraining(training, FastGradient(0.4), weight=0.5, target=target)
    robust.compile(keras.optimizers.SGD(0.1))
    x = {"user_id": np.arange(16), "item_id": X["item_id"]}
    users, items = (t.embeddings.numpy() for t in (student.user_embedding, student.item_embedding))
    taught = training.teacher(x).numpy()

    def slope(table):
        scores = np.einsum("ud,ucd->uc", table[:16], items[x["item_id"]])
        inner = 2.0 * (softmax(scores / 2, axis=1) - softmax(taught / 2, axis=1))
        return np.einsum("uc,ucd->ud", inner, items[x["item_id"]])

    clean = slope(users)
    moved = users.copy()
    moved[:16] += 0.4 * clean / np.linalg.norm(clean, axis=1, keepdims=True)
    wanted = users[:16] - 0.1 * (clean + 0.5 * slope(moved))
    logs = robust.train_on_batch(x, Y, return_dict=True)
    assert logs["adversarial_loss"] > logs["loss"]
    np.testing.assert_allclose(student.user_embedding.embeddings[:16], wanted, atol=1e-6)
    assert "distillation_loss" in logs
    robust.compile(keras.optimizers.SGD(0.1), loss=InBatchSoftmax())
    assert sorted(robust.evaluate(x, Y, verbose=0, return_dict=True)) == ["loss"]
    robust.save(tmp_path / "student.keras")
    assert isinstance(keras.models.load_model(tmp_path / "student.keras"), MatrixFactorization)


def test_foreign_keras_models_learn_from_each_other():
    keras.utils.set_random_seed(0)
    big, small = (
        keras.Sequential([keras.Input((6,)), layers.Dense(width, "tanh"), layers.Dense(4)])
        for width in (32, 3)
    )
    training = distilled(small, big, loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[np.arange(64) % 4]
    history = training.fit(x, y, batch_size=16, epochs=8, verbose=0).history["distillation_loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: distilled(weight=-1), "weight is a finite number"),
        (lambda: distilled(temperature=0.0), "temperature one above 0"),
        (lambda: distilled(AdversarialTraining(factors(), FastGradient(0.1))), "put the distil"),
        (lambda: distilled(teacher=keras.Sequential([layers.Dense(2)])), "have weights"),
    ],
)
def test_errors_say_what_is_expected(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_one_candidate_a_row_has_no_ranking_to_follow():
    x = {"user_id": X["user_id"], "item_id": X["item_id"][:, :1]}
    with pytest.raises(ValueError, match="two candidates or more"):
        distilled().train_on_batch(x, Y[:, :1])
