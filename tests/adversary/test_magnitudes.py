"""Sizes that depend on the batch: formulas, bounds, direction, and their way through training."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, MatrixFactorization
from tfadvrec.adversary import (
    FastGradient,
    FreeLB,
    LossBasedEpsilon,
    NormBasedEpsilon,
    ProjectedGradient,
    RandomNoise,
    RelativeEpsilon,
    VirtualAdversarial,
    WarmUp,
    attack,
    embedding_tables,
    outputs_of,
    variables,
)
from tfadvrec.adversary.magnitude import RowSet, Scene
from tfadvrec.adversary.rows import OutputRows
from tfadvrec.data import pairs
from tfadvrec.losses import BayesianPersonalizedRanking

X = {"user_id": np.array([3, 0, 3, 1]), "item_id": np.array([[2, 5], [2, 7], [4, 5], [1, 2]])}
Y = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
EXAMPLES = outputs_of("embedding")


def factors(**options):
    options = {"dimension": 4, "initial_scale": 0.5, "seed": 1, **options}
    return MatrixFactorization(n_users=20, n_items=20, **options)


def wrapped(model, perturbation, target=None, rate=0.0, **options):
    robust = AdversarialTraining(model, perturbation, target=target)
    robust.compile(keras.optimizers.SGD(rate), loss=BayesianPersonalizedRanking(), **options)
    return robust


def lengths(perturbation, monkeypatch, model=None):
    """How far each vector of the batch moves: users `(4,)` and items `(4, 2)`."""
    moved = {}
    original = OutputRows.shift

    def shift(self, delta):
        moved[self.name] = delta.numpy()
        original(self, delta)

    monkeypatch.setattr(OutputRows, "shift", shift)
    robust = wrapped(model or factors(), perturbation, EXAMPLES, run_eagerly=True)
    robust.train_on_batch(X, Y)
    users, items = (
        np.linalg.norm(moved[name], axis=1) for name in ("user_embedding", "item_embedding")
    )
    return users, items.reshape(4, 2)


def vectors(model):
    users, items = (table.numpy() for table in model.trainable_variables)
    return users[X["user_id"]], items[X["item_id"]]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_relative_sizes_are_a_share_of_the_mean_length_of_what_moves(monkeypatch):
    model = factors()
    users, items = lengths(FastGradient(RelativeEpsilon(0.3)), monkeypatch, model)
    u, i = vectors(model)
    np.testing.assert_allclose(users, 0.3 * np.linalg.norm(u, axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(items, 0.3 * np.linalg.norm(i, axis=2).mean(), rtol=1e-5)


def test_a_model_cannot_grow_away_from_a_relative_size():
    rows = tf.random.stateless_normal([6, 4], [1, 2])
    moving = tf.constant([[True], [True], [False], [False], [True], [True]])
    for norm, unit in (("l2", 1.0), ("linf", 0.5)):
        sizes = []
        for factor in (1.0, 10.0):
            scene = Scene([RowSet("table", factor * rows, moving)], norm)
            (size,) = RelativeEpsilon(0.5).sizes(scene)
            sizes.append(float(size))
        chosen = rows.numpy()[moving.numpy()[:, 0]]
        expected = 0.5 * unit * np.linalg.norm(chosen, axis=1).mean()
        np.testing.assert_allclose(sizes, [expected, 10 * expected], rtol=1e-5)


def test_relative_sizes_in_tables_count_the_rows_of_the_batch_alone():
    results = []
    for scale in (1.0, 7.0):
        model = factors()
        users, _ = model.trainable_variables
        rest = np.ones((20, 1), np.float32) * scale
        rest[X["user_id"]] = 1.0
        users.assign(users * rest)
        robust = wrapped(model, FastGradient(RelativeEpsilon(0.3)), embedding_tables())
        results.append(robust.train_on_batch(X, Y, return_dict=True)["adversarial_loss"])
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_warm_up_follows_its_formula():
    def share(count, **options):
        scene = Scene([RowSet("table", tf.zeros([1, 1]), tf.constant([[True]]))], step=count)
        return float(WarmUp(2.0, **options).sizes(scene)[0])

    grown = [share(n, over=4) for n in range(6)]
    np.testing.assert_allclose(grown, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    jump = [share(n, over=1, after=2) for n in range(4)]
    np.testing.assert_allclose(jump, [0, 0, 2, 2])


@pytest.mark.parametrize("block", [None, 10])
def test_epochs_are_counted_by_fit_and_steps_by_the_optimizer(blocks_log, block):
    options = {"run_eagerly": block is None}

    def data():
        return pairs(blocks_log, batch_size=60, seed=0, block=block)

    steps = len(blocks_log) // 60
    for unit, over in (("epoch", 3), ("step", 3 * steps)):
        robust = wrapped(factors(), FastGradient(WarmUp(0.9, over=over, unit=unit)), **options)
        found = robust.fit(data(), epochs=4, verbose=0).history["adversarial_loss"]
        assert found[0] < found[1] < found[2]
        if unit == "epoch":
            full = wrapped(factors(), FastGradient(0.9), **options)
            full = full.fit(data(), epochs=4, verbose=0)
            assert found[2:] == pytest.approx(full.history["adversarial_loss"][2:], rel=1e-4)
            assert found[0] < 0.8 * full.history["adversarial_loss"][0]
        if block:
            return  # compiling once is enough


def user_losses(model):
    u, i = vectors(model)
    gap = np.einsum("bd,bcd->bc", u, i) @ [1, -1]
    return np.log1p(np.exp(-gap))


def test_sizes_by_loss_are_the_papers(monkeypatch):
    model = factors(initial_scale=1.0)
    users, items = lengths(FastGradient(LossBasedEpsilon(0.5, scale=1.6)), monkeypatch, model)
    each = user_losses(model)
    total = {u: each[X["user_id"] == u].sum() for u in np.unique(X["user_id"])}
    a = np.array([np.mean(list(total.values())) / total[u] for u in X["user_id"]])
    expected = 0.5 * 1.6 * sigmoid(a - 1)
    np.testing.assert_allclose(users, expected, rtol=1e-4)
    np.testing.assert_allclose(items, np.stack([expected] * 2, 1), rtol=1e-4)
    assert np.all(users > 0.5 * 1.6 * sigmoid(-1))
    assert np.all(users < 0.5 * 1.6)
    per_user = np.array([total[u] for u in X["user_id"]])
    assert np.all(np.diff(users[np.argsort(per_user)]) <= 1e-6)  # the better fitted move further
    assert users.max() > 1.1 * users.min()


def test_sizes_by_length_are_the_papers(monkeypatch):
    model = factors()
    users, items = lengths(FastGradient(NormBasedEpsilon(0.5)), monkeypatch, model)
    squares = np.sum(vectors(model)[0] ** 2, axis=1)
    expected = 0.5 * 2 * sigmoid(squares / squares.mean() - 1)
    np.testing.assert_allclose(users, expected, rtol=1e-4)
    np.testing.assert_allclose(items, np.stack([expected] * 2, 1), rtol=1e-4)
    assert np.all(users > sigmoid(-1))
    assert np.all(users < 1.0)
    assert np.all(np.diff(users[np.argsort(squares)]) >= -1e-6)


def test_users_of_equal_loss_or_length_get_epsilon_itself():
    values = tf.ones([4, 3])
    rows = [RowSet("user", values, tf.ones([4, 1], tf.bool), per_example=True)]
    given = {"user_id": tf.constant([5, 2, 9, 0])}
    scene = Scene(rows, inputs=given, examples=4, losses=lambda: tf.ones([4]))
    for magnitude in (
        LossBasedEpsilon(0.7),
        NormBasedEpsilon(0.7),
        LossBasedEpsilon(0.7, user=None),
    ):
        np.testing.assert_allclose(magnitude.sizes(scene)[0], np.full((4, 1), 0.7), rtol=1e-6)


def test_magnitudes_nest_and_projected_steps_stay_in_each_rows_ball(monkeypatch):
    model = factors()
    relative = RelativeEpsilon(0.4)
    users, items = lengths(ProjectedGradient(NormBasedEpsilon(relative)), monkeypatch, model)
    u, i = vectors(model)
    squares = np.sum(u**2, axis=1)
    share = 2 * sigmoid(squares / squares.mean() - 1)
    assert np.all(users <= 0.4 * np.linalg.norm(u, axis=1).mean() * share * (1 + 1e-5))
    limit = 0.4 * np.linalg.norm(i, axis=2).mean() * share[:, None] * (1 + 1e-5)
    assert np.all(items <= limit)
    assert np.all(items > 0.3 * limit)


def test_every_magnitude_trains_in_compiled_blocks_as_in_plain_batches(blocks_log):
    both = WarmUp(LossBasedEpsilon(RelativeEpsilon(0.5)), over=3)
    results = []
    for block in (None, 4):
        model = factors()
        options = {"rate": 0.1, "run_eagerly": block is None}
        robust = wrapped(model, ProjectedGradient(both, steps=2), EXAMPLES, **options)
        robust.fit(pairs(blocks_log, batch_size=30, block=block), epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [FastGradient, ProjectedGradient, RandomNoise, FreeLB])
def test_a_number_and_a_magnitude_of_that_number_are_the_same_training(kind):
    results = []
    for epsilon in (0.4, WarmUp(0.4, over=1)):
        model = factors()
        wrapped(model, kind(epsilon), rate=0.1, run_eagerly=True).train_on_batch(X, Y)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_relative_size_attacks_a_trained_model_too():
    model = factors()
    users = model.trainable_variables[0].numpy()
    deltas = attack(model, [(X, Y)], FastGradient(RelativeEpsilon(0.25)))
    found = np.linalg.norm(deltas[model.trainable_variables[0].path], axis=1)
    touched = np.isin(np.arange(20), X["user_id"])
    expected = 0.25 * np.linalg.norm(users[touched], axis=1).mean() * touched
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "perturbation",
    [
        FastGradient(RelativeEpsilon(0.2)),
        FreeLB(WarmUp(LossBasedEpsilon(0.3, user=None), over=5, after=2, unit="epoch"), steps=4),
        VirtualAdversarial(NormBasedEpsilon(RelativeEpsilon(0.3), scale=1.5, user="u"), probe=0.2),
    ],
    ids=repr,
)
def test_config_round_trip_through_json(perturbation):
    robust = AdversarialTraining(factors(), perturbation)
    config = json.loads(json.dumps(robust.get_config()))
    again = AdversarialTraining.from_config(config).perturbation
    assert repr(again) == repr(perturbation)
    assert again.get_config() == perturbation.get_config()


def test_errors_say_what_to_do():
    def step(perturbation, target=None, **options):
        wrapped(factors(), perturbation, target, run_eagerly=True, **options).train_on_batch(X, Y)

    with pytest.raises(ValueError, match=r"do not belong to single examples.*outputs_of"):
        step(FastGradient(LossBasedEpsilon(0.1)))
    with pytest.raises(ValueError, match="needs an input 'who'"):
        step(FastGradient(LossBasedEpsilon(0.1, user="who")), EXAMPLES)
    with pytest.raises(ValueError, match=r"names 0 of .*item_embedding"):
        step(FastGradient(NormBasedEpsilon(0.1, user="nobody")), EXAMPLES)
    with pytest.raises(ValueError, match="names 2 of"):
        step(FastGradient(NormBasedEpsilon(0.1, user="embedding")), variables("embedding"))
    with pytest.raises(ValueError, match="only training has"):
        attack(factors(), [(X, Y)], FastGradient(WarmUp(0.1, over=2)))
    with pytest.raises(ValueError, match="only training has"):
        attack(factors(), [(X, Y)], FastGradient(LossBasedEpsilon(0.1)))
    with pytest.raises(ValueError, match=r"epsilon must be .*RelativeEpsilon"):
        FastGradient("big")
    with pytest.raises(ValueError, match="over must be"):
        WarmUp(0.1, over=0)
    with pytest.raises(ValueError, match="scale must be"):
        LossBasedEpsilon(0.1, scale=0)
