"""One worker of a cluster on this machine, run by `test_distributed_trainer.py`."""

import json
import os
import pathlib
import signal
import sys


def model_and_data(strategy):
    """What workers and the test itself train: towers under attack, with an in-batch softmax."""
    import keras

    import tfadvrec as tar

    log = tar.data.synthetic(30, 60, n_interactions=300, seed=1)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        towers = tar.TwoTower(n_users=30, n_items=60, dimension=8, seed=0)
        robust = tar.AdversarialTraining(towers, tar.FastGradient(0.1))
        optimizer = tar.optimizers.LazyAdam(0.01)
        robust.compile(optimizer, loss=tar.losses.InBatchSoftmax())
    data = tar.data.in_batch(log, batch_size=20, seed=0, block=4)
    return robust, data, tar.data.in_batch(log, batch_size=20, seed=3)


def game_and_data(strategy):
    """A game, whose two sides take turns."""
    import keras
    import numpy as np

    from tfadvrec import games
    from tfadvrec.games.networks import dense

    points = np.random.default_rng(0).normal(size=(80, 2)).astype("float32")
    with strategy.scope():
        keras.utils.set_random_seed(0)
        generator, judge = dense([8], out=2, input_width=3), dense([8], out=1, input_width=2)
        game = games.VectorGame(generator, judge, latent=3)
        fast = keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.02)
        game.compile(*fast, games.Wasserstein(gradient_penalty=10.0), discriminator_steps=2)
    return game, game.batches(points, batch_size=20)


def main(place: int, ports: list[int], folder: pathlib.Path) -> None:
    """Trains; worker 1 dies in epoch 3 when it is run for the first time."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": place}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import keras
    import numpy as np
    import tensorflow as tf

    from tfadvrec.training import DistributedTrainer

    class Dies(keras.callbacks.Callback):
        """Is killed in the middle of the third epoch, once."""

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_begin(self, batch, logs=None):
            mark = folder / "died"
            if place == 1 and self.epoch == 2 and batch == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    model, data, held_out = model_and_data(strategy)
    trainer = DistributedTrainer(model, folder / "epochs")
    history = trainer.fit(data, epochs=4, validation_data=held_out, callbacks=[Dies()], verbose=0)
    game, batches = game_and_data(strategy)
    DistributedTrainer(game).fit(batches, epochs=2, verbose=0)
    weights = [*model.model.get_weights(), *game.get_weights()]
    np.savez(folder / f"worker-{place}.npz", *weights)
    record = {"epochs": history.epoch, "history": history.history, "chief": trainer.is_chief}
    (folder / f"worker-{place}.json").write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]), pathlib.Path(sys.argv[3]))
