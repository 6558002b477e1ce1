"""Blocks: to Keras one step each, inside a compiled loop with the results of plain batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, FastGradient, MatrixFactorization, optimizers
from tfadvrec.data import Block, in_batch, pairs, points
from tfadvrec.losses import BayesianPersonalizedRanking, InBatchSoftmax, Logistic

OPTIMIZERS = {
    "SparseSGD": lambda: optimizers.SparseSGD(0.1),
    "SparseAdagrad": lambda: optimizers.SparseAdagrad(0.1),
    "RowWiseAdagrad": lambda: optimizers.RowWiseAdagrad(0.1),
    "LazyAdam": lambda: optimizers.LazyAdam(0.01),
    "Adam": lambda: keras.optimizers.Adam(0.01),
}
SAMPLERS = {
    "pairs": (pairs, BayesianPersonalizedRanking),
    "points": (points, Logistic),
    "in_batch": (in_batch, InBatchSoftmax),
}


def factors(log, model=MatrixFactorization):
    return model(n_users=log.n_users, n_items=log.n_items, dimension=4, seed=0)


def trained(log, block, *, kind="pairs", optimizer="SparseAdagrad", adversary=False, **options):
    """History and tables after three epochs; batches without a block are stepped eagerly."""
    sampler, loss = SAMPLERS[kind]
    model = factors(log)
    whole = AdversarialTraining(model, FastGradient(0.3), weight=1.0) if adversary else model
    whole.compile(OPTIMIZERS[optimizer](), loss=loss(), run_eagerly=block is None)
    weight = options.pop("weight", None)
    data = sampler(log, batch_size=16, seed=5, block=block, weight=weight)
    history = whole.fit(data, epochs=3, verbose=0, **options).history
    return history, model.get_weights()


def same(first, second):
    for name in first[0]:
        np.testing.assert_allclose(first[0][name], second[0][name], rtol=1e-4)
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "adversary", "most"),
    [
        ("SparseSGD", False, 0.0),
        ("RowWiseAdagrad", True, 0.0),
        ("LazyAdam", True, float("inf")),
        ("Adam", False, 0.0),
    ],
)
def test_blocks_are_batches(blocks_log, optimizer, adversary, most, monkeypatch):
    monkeypatch.setattr("tfadvrec.optimizers.row_slots.WHOLE_BELOW", most)
    options = {"optimizer": optimizer, "adversary": adversary}
    same(trained(blocks_log, None, **options), trained(blocks_log, 4, **options))


@pytest.mark.parametrize("kind", ["pairs", "in_batch"])  # points: see class_weight
def test_of_every_kind_and_with_sample_weights(blocks_log, kind):
    weight = np.random.default_rng(0).random(len(blocks_log))
    weighted = [trained(blocks_log, block, kind=kind, weight=weight) for block in (None, 5)]
    same(*weighted)
    plain = trained(blocks_log, 5, kind=kind)
    assert not np.allclose(plain[0]["loss"], weighted[0][0]["loss"])


def test_a_weight_of_zero_takes_an_interaction_out(blocks_log):
    """Only user 0 counts: nobody else's vector may move."""
    weight = (blocks_log.user == 0).astype(np.float32)
    before = factors(blocks_log).get_weights()[0]
    _, (after, _) = trained(blocks_log, 5, weight=weight, optimizer="SparseSGD")
    moved = np.flatnonzero(np.any(before != after, axis=1))
    assert moved.tolist() == [0]


def test_class_weight_is_what_keras_makes_of_it(blocks_log):
    weights = {0: 0.25, 1: 3.0}
    both = [trained(blocks_log, b, kind="points", class_weight=weights) for b in (None, 5)]
    same(*both)
    assert not np.allclose(trained(blocks_log, 5, kind="points")[0]["loss"], both[0][0]["loss"])
    with pytest.raises(ValueError, match="class_weight"):
        trained(blocks_log, 5, weight=np.ones(len(blocks_log)), class_weight=weights)


@pytest.mark.parametrize("wanted", [7, 1000])
def test_the_last_block_is_padded_and_every_batch_counted(blocks_log, wanted):
    data = pairs(blocks_log, batch_size=16, block=wanted)
    blocks = list(data)
    assert len(blocks) == int(data.cardinality())
    assert len({block.user.shape.as_list()[0] for block in blocks}) == 1
    assert blocks[0].user.shape[0] <= wanted
    assert sum(int(block.steps) for block in blocks) == len(blocks_log) // 16
    model = factors(blocks_log)
    model.compile(OPTIMIZERS["SparseSGD"](), loss=BayesianPersonalizedRanking())
    model.fit(data, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 2 * (len(blocks_log) // 16)


def test_epochs_can_be_continued(blocks_log):
    model = factors(blocks_log)
    model.compile(OPTIMIZERS["LazyAdam"](), loss=BayesianPersonalizedRanking())
    data = pairs(blocks_log, batch_size=16, seed=5, block=4)
    first = model.fit(data, epochs=2, verbose=0).history["loss"]
    rest = model.fit(data, initial_epoch=2, epochs=3, verbose=0)
    assert rest.epoch == [2]
    same(
        ({"loss": first + rest.history["loss"]}, model.get_weights()),
        trained(blocks_log, 4, optimizer="LazyAdam"),
    )


def test_keras_counts_a_block_as_a_step_and_callbacks_work(blocks_log):
    seen = []
    callbacks = [
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: seen.append(step)),
        keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9, mode="min"),
    ]
    model = factors(blocks_log)
    model.compile(OPTIMIZERS["SparseAdagrad"](), loss=BayesianPersonalizedRanking())
    data = pairs(blocks_log, batch_size=16, block=4)
    history = model.fit(data, epochs=9, verbose=0, callbacks=callbacks)
    assert len(history.epoch) == 2  # the second does not improve by a milliard
    assert seen == 2 * list(range(int(data.cardinality())))


@pytest.mark.parametrize("adversary", [False, True], ids=["plain", "adversarial"])
def test_evaluation_and_validation_take_blocks_too(blocks_log, adversary):
    model = factors(blocks_log)
    whole = AdversarialTraining(model, FastGradient(0.3)) if adversary else model
    whole.compile(OPTIMIZERS["SparseAdagrad"](), loss=BayesianPersonalizedRanking())
    values = [
        whole.evaluate(pairs(blocks_log, batch_size=16, seed=5, block=block), verbose=0)
        for block in (None, 4)
    ]
    np.testing.assert_allclose(*values, rtol=1e-5)
    data = pairs(blocks_log, batch_size=16, block=4)
    history = whole.fit(data, validation_data=data, epochs=1, verbose=0).history
    assert {"loss", "val_loss"} <= set(history)


class ThroughPython(MatrixFactorization):
    """Has an operation that XLA does not know."""

    def call(self, inputs, training=None):
        users = tf.numpy_function(lambda rows: rows, [inputs["user_id"]], tf.int32)
        users.set_shape(inputs["user_id"].shape)
        return super().call({**inputs, "user_id": users}, training=training)


def test_what_cannot_be_compiled_runs_uncompiled_and_says_why(blocks_log):
    data = pairs(blocks_log, batch_size=16, seed=5, block=100)
    model = factors(blocks_log, ThroughPython)
    model.compile(OPTIMIZERS["SparseAdagrad"](), loss=BayesianPersonalizedRanking())
    with pytest.warns(UserWarning, match="PyFunc"):
        history = model.fit(data, epochs=3, verbose=0).history
    same((history, model.get_weights()), trained(blocks_log, 100))
    model.fit(data, epochs=1, verbose=0)  # said once

    model.compile(OPTIMIZERS["SparseAdagrad"](), loss=BayesianPersonalizedRanking())
    model.supports_jit = False
    with pytest.warns(UserWarning, match="do not support it"):
        model.fit(data, epochs=1, verbose=0)
    model.compile("sgd", loss=BayesianPersonalizedRanking(), jit_compile=False)
    model.fit(data, epochs=1, verbose=0)


def test_evaluation_alone_falls_back_too(blocks_log):
    model = factors(blocks_log, ThroughPython)
    model.compile("sgd", loss=BayesianPersonalizedRanking())
    data = [pairs(blocks_log, batch_size=16, seed=5, block=block) for block in (None, 4)]
    with pytest.warns(UserWarning, match="PyFunc"):
        blocked = model.evaluate(data[1], verbose=0)
    np.testing.assert_allclose(blocked, model.evaluate(data[0], verbose=0), rtol=1e-5)


def test_compilation_that_is_demanded_is_not_given_up(blocks_log):
    model = factors(blocks_log, ThroughPython)
    model.compile("sgd", loss=BayesianPersonalizedRanking(), jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="PyFunc"):
        model.fit(pairs(blocks_log, batch_size=16, block=100), verbose=0)


def test_compiling_first_changes_nothing(blocks_log):
    """The block of no steps that is compiled on leaves weights, counters and the data alone."""
    model = factors(blocks_log)
    model.compile(OPTIMIZERS["LazyAdam"](), loss=BayesianPersonalizedRanking())
    before = model.get_weights()
    data = pairs(blocks_log, batch_size=16, block=100)
    assert isinstance(data.element_spec, Block.Spec)
    model._compile_blocks(data.element_spec, "train")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0
