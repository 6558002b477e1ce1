"""Run by `test_two_replicas.py`, in a process of its own: one CPU cut in two."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec import adversary, games, optimizers
from tfadvrec.adversary import FastGradient, RelativeEpsilon, WarmUp
from tfadvrec.data import in_batch, pairs, sequences
from tfadvrec.games.networks import dense

USERS, ITEMS = 30, 60
BPR, SOFTMAX = tar.losses.BayesianPersonalizedRanking, tar.losses.InBatchSoftmax


@pytest.fixture(scope="session")
def strategy():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # one for all tests: each strategy numbers what its replicas tell each other from the start
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def log():
    return tar.data.synthetic(USERS, ITEMS, n_interactions=300, seed=1)


@pytest.fixture
def both(strategy):
    """Runs what it is given on one device, then on two replicas."""

    def run(train):
        found = []
        for scope in (contextlib.nullcontext, strategy.scope):
            keras.utils.set_random_seed(0)
            found.append(train(scope))
        return found

    return run


def agree(one, two, atol=1e-5):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-5)


def fitted(make, data, loss, *, wrap=None, optimizer=keras.optimizers.Adam, epochs=2, held=None):
    """A function of a scope that trains there, and gives weights, history, evaluation."""

    def train(scope):
        with scope():
            model = make()
            trained = wrap(model) if wrap else model
            trained.compile(optimizer(0.01), loss=loss())
        start = [np.array(weight) for weight in model.get_weights()]
        held_out = None if held is None else held()
        history = trained.fit(data(), epochs=epochs, verbose=0, validation_data=held_out)
        moved = max(np.abs(a - b).max() for a, b in zip(start, model.get_weights(), strict=True))
        assert moved > 1e-3
        return model.get_weights(), history.history

    return train


def matrix(**options):
    return lambda: tar.MatrixFactorization(
        n_users=USERS, n_items=ITEMS, dimension=8, initial_scale=0.5, seed=0, **options
    )


def towers():
    return tar.TwoTower(n_users=USERS, n_items=ITEMS, dimension=8, seed=0)


def against(perturbation, **options):
    return lambda model: tar.AdversarialTraining(model, perturbation, **options)


CASES = {
    "dense": (matrix(regularization=0.01), pairs, {}, BPR, {}),
    "rows_in_blocks": (matrix(), pairs, {"block": 4}, BPR, {"optimizer": optimizers.LazyAdam}),
    "table": (
        towers,
        in_batch,
        {},
        SOFTMAX,
        {
            "wrap": against(FastGradient(RelativeEpsilon(0.5))),
            "optimizer": optimizers.LazyAdam,
            "held": lambda log: lambda: pairs(log, batch_size=20, seed=5),
        },
    ),
    "whole_table": (
        lambda: tar.models.BiasedMatrixFactorization(
            n_users=USERS, n_items=ITEMS, dimension=8, initial_scale=0.5, seed=0
        ),
        pairs,
        {},
        BPR,
        {"wrap": against(FastGradient(0.1), target=adversary.variables("embedding"))},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_train_as_one_device_does(name, both, log):
    make, sampler, given, loss, options = CASES[name]
    if "held" in options:
        options = {**options, "held": options["held"](log)}
    data = lambda: sampler(log, batch_size=20, seed=0, **given)  # noqa: E731
    one, two = both(fitted(make, data, loss, **options))
    agree(one[0], two[0])
    assert set(one[1]) == set(two[1])
    for key, values in one[1].items():
        assert two[1][key] == pytest.approx(values, rel=1e-5), key


@pytest.mark.parametrize(
    "magnitude",
    [
        adversary.LossBasedEpsilon(RelativeEpsilon(0.3)),
        adversary.NormBasedEpsilon(WarmUp(0.3, over=9)),
    ],
    ids=lambda magnitude: type(magnitude).__name__,
)
def test_sizes_of_users_are_those_of_the_whole_batch(magnitude, both, log):
    wrap = against(FastGradient(magnitude), target=adversary.outputs_of("user"))
    data = lambda: pairs(log, batch_size=20, seed=0)  # noqa: E731
    one, two = both(fitted(towers, data, BPR, wrap=wrap, epochs=1))
    agree(one[0], two[0])
    assert two[1]["adversarial_loss"] == pytest.approx(one[1]["adversarial_loss"], rel=1e-5)


@pytest.mark.parametrize("candidates", ["shared", "catalogue"])
def test_sequences_are_cut_and_what_a_batch_shares_is_not(candidates, both, log):
    def model():
        return tar.models.SelfAttentive(
            n_users=USERS, n_items=ITEMS, dimension=8, length=6, blocks=1, dropout=0.0, seed=0
        )

    def data():
        options = {} if candidates == "catalogue" else {"negatives": 6}
        return sequences(log, batch_size=8, length=6, candidates=candidates, seed=0, **options)

    one, two = both(fitted(model, data, SOFTMAX, optimizer=keras.optimizers.SGD))
    agree(one[0], two[0])
    assert two[1]["loss"] == pytest.approx(one[1]["loss"], rel=1e-5)


def test_a_graph_model_is_attacked_in_its_tables(both, log):
    def model():
        return tar.models.LightGCN(n_users=USERS, n_items=ITEMS, dimension=8, seed=0).bind(log)

    wrap = against(FastGradient(0.1))
    data = lambda: pairs(log, batch_size=20, seed=0)  # noqa: E731
    one, two = both(fitted(model, data, BPR, wrap=wrap, epochs=1, optimizer=keras.optimizers.SGD))
    agree(one[0], two[0])


def test_random_starts_differ_from_replica_to_replica_for_examples_alone(strategy):
    from tfadvrec.adversary.ascent import _key

    class Part:
        def __init__(self, per_example):
            self.per_example = per_example

    for per_example, distinct in ((True, 2), (False, 1)):
        keys = strategy.run(lambda p=per_example: _key(Part(p), 7, 0))
        keys = {tuple(key.numpy()) for key in strategy.experimental_local_results(keys)}
        assert len(keys) == distinct


def test_a_foreign_model_with_text_inside_and_several_losses(both):
    random = np.random.default_rng(0)
    words = np.array(["noir", "love", "war"])[random.integers(0, 3, 48)]
    x = {"word": tf.constant(words), "x": random.normal(size=(48, 3)).astype("float32")}
    y = {name: random.normal(size=(48, 1)).astype("float32") for name in ("a", "b")}

    def train(scope):
        with scope():
            word, numbers = (
                keras.Input((), dtype="string", name="word"),
                keras.Input((3,), name="x"),
            )
            rows = keras.layers.StringLookup(vocabulary=["noir", "love", "war"])(word)
            parts = [keras.layers.Embedding(4, 4, name="words")(rows), numbers]
            hidden = keras.layers.Concatenate()(parts)
            outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("a", "b")}
            model = keras.Model({"word": word, "x": numbers}, outputs)
            robust = tar.AdversarialTraining(model, FastGradient(0.5))
            robust.compile(keras.optimizers.Adam(0.01), loss={"a": "mse", "b": "mae"})
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(12, drop_remainder=True)
        history = robust.fit(data, epochs=2, verbose=0).history
        return model.get_weights(), history, robust.evaluate(data, verbose=0, return_dict=True)

    one, two = both(train)
    agree(one[0], two[0])
    for part in (1, 2):
        assert set(one[part]) == set(two[part])
        for key, values in one[part].items():
            assert two[part][key] == pytest.approx(values, rel=1e-5), key
    assert two[1]["adversarial_loss"][0] > two[1]["loss"][0]


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (games.Wasserstein(gradient_penalty=10.0), {"discriminator_steps": 2}),
        (games.Wasserstein(clip=0.05, gradient_penalty=0.0), {"generator_steps": 2}),
    ],
    ids=["gradient_penalty", "clip"],
)
def test_a_game_is_played_as_on_one_device(loss, options, both):
    points = np.random.default_rng(0).normal(size=(80, 2)).astype("float32")

    def play(scope):
        with scope():
            generator, judge = dense([8], out=2, input_width=3), dense([8], out=1, input_width=2)
            game = games.VectorGame(generator, judge, latent=3)
            game.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.02), loss, **options)
        history = game.fit(game.batches(points, batch_size=20), epochs=3, verbose=0).history
        return game.get_weights(), history

    one, two = both(play)
    agree(one[0], two[0])
    for key, values in one[1].items():
        if not key.endswith("gradient_norm"):  # which are of a replica's share
            assert two[1][key] == pytest.approx(values, rel=1e-4, abs=1e-6), key


def test_adversarial_negatives_take_turns_on_replicas_too(both, log):
    def train(scope):
        with scope():
            robust = adversary.AdversarialNegatives(towers(), scale=4.0, interval=2)
            fast = keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)
            robust.compile(fast[0], adversary_optimizer=fast[1])
        data = pairs(log, batch_size=20, negatives=8, seed=0)
        history = robust.fit(data, epochs=4, verbose=0).history
        return robust.get_weights(), history

    one, two = both(train)
    agree(one[0], two[0], atol=5e-5)
    assert two[1]["hardness_divergence"][-1] > 0.05
    for key, values in one[1].items():
        assert two[1][key] == pytest.approx(values, rel=1e-4, abs=1e-6), key


def test_pairs_of_a_foreign_model_are_cut_whatever_their_inputs_are_called(both):
    """A user and an item a row, named as in-batch candidates are; labels tell them apart."""
    random = np.random.default_rng(0)
    x = {"user_id": random.integers(0, 9, 40), "item_id": random.integers(0, 7, 40)}
    y = random.normal(size=(40, 1)).astype("float32")

    def train(scope):
        with scope():
            user, item = (keras.Input((), dtype="int32", name=name) for name in x)
            vectors = [keras.layers.Embedding(9, 4)(user), keras.layers.Embedding(7, 4)(item)]
            model = keras.Model({"user_id": user, "item_id": item}, keras.layers.Dot(1)(vectors))
            robust = tar.AdversarialTraining(model, FastGradient(0.1))
            robust.compile(keras.optimizers.SGD(0.5), loss="mse")
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(10, drop_remainder=True)
        return model, robust.fit(data, epochs=2, verbose=0).history

    one, two = both(train)
    agree(one[0].get_weights(), two[0].get_weights())
    assert two[1]["loss"] == pytest.approx(one[1]["loss"], rel=1e-5)


def test_what_cannot_be_is_refused(strategy, log):
    with strategy.scope():
        model = matrix()()
        with pytest.raises(ValueError, match="jit_compile=True does not work under a strategy"):
            model.compile("sgd", loss=BPR(), jit_compile=True)
        model.compile("sgd", loss=BPR())
        other = matrix()()
    with pytest.raises(ValueError, match="the optimizer Adam was made outside the scope"):
        other.compile(keras.optimizers.Adam(), loss=BPR())
    with pytest.raises(ValueError, match="21 rows cannot be shared out evenly among 2 replicas"):
        model.fit(pairs(log, batch_size=21, block=3), verbose=0)


def test_the_trained_model_is_saved_and_evaluated_like_any_other(strategy, log, tmp_path):
    with strategy.scope():
        robust = tar.AdversarialTraining(towers(), FastGradient(0.1))
        robust.compile("adam", loss=BPR())
    robust.fit(pairs(log, batch_size=20, block=5), verbose=0)
    robust.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    users = np.arange(5)
    expected = robust.model.score_catalogue(users)
    np.testing.assert_allclose(again.score_catalogue(users), expected, rtol=1e-6)
