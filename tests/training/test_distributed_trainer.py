"""The driver for several machines: two workers on this one, one of them killed and begun again."""

import importlib.util
import json
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.training import DistributedTrainer

PROGRAM = pathlib.Path(__file__).parent / "worker.py"


def program():
    spec = importlib.util.spec_from_file_location("worker", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def run_both(folder):
    """Starts both workers, and gives their exit codes and what they said."""
    ports = json.dumps(free_ports(2))
    command = [sys.executable, str(PROGRAM)]
    started = [
        subprocess.Popen(
            [*command, str(place), ports, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROGRAM.parent.parent.parent,
        )
        for place in range(2)
    ]
    try:
        said = [each.communicate(timeout=300)[0] for each in started]
    finally:
        for each in started:
            each.kill()
    return [each.returncode for each in started], said


def test_two_workers_of_which_one_is_killed_end_where_one_ends(tmp_path):
    codes, said = run_both(tmp_path)
    assert codes[1] == -9
    assert codes[0] not in (0, None), said[0][-3000:]
    assert "another worker has gone in epoch 3" in said[0], said[0][-3000:]
    assert "goes on after epoch 2" in said[0]
    state = json.loads((tmp_path / "epochs" / "state.json").read_text())
    assert state["epochs"] == 2

    codes, said = run_both(tmp_path)
    assert codes == [0, 0], said[0][-3000:] + said[1][-3000:]

    alone, strategy = program(), tf.distribute.get_strategy()
    model, data, held_out = alone.model_and_data(strategy)
    history = model.fit(data, epochs=4, validation_data=held_out, verbose=0).history
    game, batches = alone.game_and_data(strategy)
    game.fit(batches, epochs=2, verbose=0)
    expected = [*model.model.get_weights(), *game.get_weights()]
    for place in range(2):
        with np.load(tmp_path / f"worker-{place}.npz") as found:
            assert len(found.files) == len(expected)
            for name, value in zip(found.files, expected, strict=True):
                np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=1e-5)
        record = json.loads((tmp_path / f"worker-{place}.json").read_text())
        assert record["epochs"] == [2, 3]
        assert record["chief"] == (place == 0)
        assert set(record["history"]) == set(history)
        for key, values in record["history"].items():
            assert values == pytest.approx(history[key][2:], rel=1e-4), key
    kept = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert kept == ["epoch-00003.weights.h5", "epoch-00004.weights.h5", "state.json"]


def small():
    model = tar.MatrixFactorization(n_users=20, n_items=20, dimension=4, seed=0)
    model.compile(keras.optimizers.Adam(0.01), loss=tar.losses.BayesianPersonalizedRanking())
    return model


def test_stops_and_calls_back_as_fit_does(blocks_log):
    class Names(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_begin(self, logs=None):
            self.seen.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

    data = tar.data.pairs(blocks_log, batch_size=30, seed=0)
    names, model = Names(), small()
    trainer = DistributedTrainer(model)
    history = trainer.fit(data, epochs=5, validation_data=data, callbacks=[names], verbose=0)
    assert names.seen == ["begin", (0, ["loss", "val_loss"]), (1, ["loss", "val_loss"])]
    assert len(history.history["loss"]) == 2
    once = tar.data.pairs(blocks_log, batch_size=30, seed=7)
    again = tar.data.pairs(blocks_log, batch_size=30, seed=7)
    expected = model.evaluate(again, verbose=0, return_dict=True)
    assert trainer.evaluate(once) == pytest.approx(expected, rel=1e-5)


def test_any_keras_model_trains_as_in_fit():
    x = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
    found = []
    for drive in (False, True):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
        data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(12)
        options = {"epochs": 3, "validation_data": data, "verbose": 0}
        history = (
            DistributedTrainer(model).fit(data, **options)
            if drive
            else model.fit(data, shuffle=False, **options)
        )
        found.append((model.get_weights(), history.history))
    for one, other in zip(*(weights for weights, _ in found), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert set(found[0][1]) == set(found[1][1]) == {"loss", "mae", "val_loss", "val_mae"}
    for key, values in found[0][1].items():
        assert found[1][1][key] == pytest.approx(values, rel=1e-5), key


def test_goes_on_where_an_earlier_run_has_ended(blocks_log, tmp_path):
    def data():
        return tar.data.pairs(blocks_log, batch_size=30, seed=0, block=2)

    whole = small()
    whole.fit(data(), epochs=4, verbose=0)
    for epochs in (1, 3, 4):
        model = small()
        DistributedTrainer(model, tmp_path).fit(data(), epochs=epochs, verbose=0)
    assert int(model.optimizer.iterations) == int(whole.optimizer.iterations)
    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_folder_of_another_model_and_what_cannot_be_are_refused(blocks_log, tmp_path):
    data = tar.data.pairs(blocks_log, batch_size=30, seed=0)
    DistributedTrainer(small(), tmp_path).fit(data, verbose=0)
    other = tar.MatrixFactorization(n_users=20, n_items=20, dimension=5, seed=0)
    with pytest.raises(ValueError, match="compile the model first"):
        DistributedTrainer(other)
    other.compile("sgd", loss=tar.losses.BayesianPersonalizedRanking())
    with pytest.raises(ValueError, match="does not hold epochs of this model"):
        DistributedTrainer(other, tmp_path).fit(data, verbose=0)
    endless = tf.data.Dataset.from_generator(lambda: iter(()), output_signature=data.element_spec)
    with pytest.raises(ValueError, match="pass steps_per_epoch="):
        DistributedTrainer(other).fit(endless, verbose=0)


def test_a_strategy_that_is_not_supported_says_so(blocks_log):
    with tf.distribute.experimental.CentralStorageStrategy(["CPU:0"]).scope():
        model = tar.MatrixFactorization(n_users=20, n_items=20, dimension=4, seed=0)
        with pytest.raises(ValueError, match="CentralStorageStrategy is not supported"):
            model.compile("sgd", loss=tar.losses.BayesianPersonalizedRanking())
