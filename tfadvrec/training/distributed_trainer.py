"""Training on several machines, where Keras 3 has no `fit`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.training.checkpoints import Checkpoints
from tfadvrec.training.sharing import (
    can_be_shared,
    check_strategy,
    plain_batches,
    shared_out,
    zeros,
)


class DistributedTrainer:
    """What `fit` is on one machine, on every worker of a `MultiWorkerMirroredStrategy`.

    Each worker runs the same program: it makes the strategy, makes and compiles the model in the
    strategy's scope, and calls `fit` with the same data. Batches are those of all workers together,
    and shared out evenly, so that the training is that of one device with the same batches.

    Callbacks run in every worker, with the same logs at the end of an epoch (batches have none:
    each look at a metric would be a round of messages); those that write files belong to the chief
    alone. After every epoch the chief writes weights, optimizers and random states to `folder`;
    when a worker has died, the others stop with an error, and the same command, started again on
    all workers, goes on after the last epoch that was written. What callbacks remember is not kept.

    It runs under any strategy, `MirroredStrategy` and none included; there `fit` does the same.

    Args:
        model: A compiled model: any Keras model, `AdversarialTraining`, a game.
        folder: Where epochs are kept and gone on from, seen by all workers; None keeps none.

    Attributes:
        is_chief: Whether this worker is the one that writes.

    Example:

    >>> import tfadvrec as tar
    >>> log = tar.data.synthetic(30, 60, n_interactions=300)
    >>> strategy = tf.distribute.get_strategy()  # MultiWorkerMirroredStrategy() on several machines
    >>> with strategy.scope():
    ...     model = tar.MatrixFactorization(n_users=30, n_items=60, dimension=8, seed=0)
    ...     model.compile("adam", loss=tar.losses.BayesianPersonalizedRanking())
    >>> trainer = DistributedTrainer(model)
    >>> history = trainer.fit(tar.data.pairs(log, batch_size=50), epochs=2, verbose=0)
    >>> history.epoch
    [0, 1]
    """

    def __init__(self, model: keras.Model, folder: Any = None) -> None:
        if not getattr(model, "compiled", False):
            raise ValueError("compile the model first, in the scope of its strategy.")
        self.model, self.strategy = model, model.distribute_strategy
        check_strategy(self.strategy)
        resolver = self.strategy.cluster_resolver
        self.is_chief = resolver is None or resolver.task_id in (None, 0)
        self._checkpoints = folder and Checkpoints(folder, writes=self.is_chief)
        self._steps: dict[Any, Callable[[Iterator[Any]], Any]] = {}

    def fit(
        self,
        x: Any,
        *,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        callbacks: Any = None,
        verbose: int | str = "auto",
    ) -> keras.callbacks.History:
        """Trains to the end of epoch `epochs`, those of an earlier run in the folder included.

        Args:
            x: A dataset of the batches of all workers together: blocks or batches of a sampler, or
                any `tf.data.Dataset` of `(x, y[, sample_weight])`.
            epochs: How many epochs there are in all.
            steps_per_epoch: Batches in an epoch; what the dataset says where None.
            validation_data: Evaluated after every epoch; a dataset like `x`.
            validation_steps: Batches of it; what the dataset says where None.
            callbacks: As in Keras.
            verbose: As in Keras; only the chief shows a bar.

        Raises:
            ValueError: The length of an epoch is unknown, or workers do not divide a batch.
            RuntimeError: A worker has gone.
        """
        model = self.model
        first = self._begin(x)
        batches, steps = self._batches(x, steps_per_epoch, epochs_done=first)
        held_out = validation_data is not None and self._batches(
            validation_data, validation_steps, epochs_done=first
        )
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            shown = bool(verbose) and self.is_chief
            callbacks = keras.callbacks.CallbackList(
                callbacks,
                add_history=True,
                add_progbar=shown,
                verbose=1 if verbose == "auto" else verbose,
                epochs=epochs,
                steps=steps,
                model=model,
            )
        model.stop_training, logs = False, {}
        callbacks.on_train_begin()
        iterator = iter(batches)
        held_iterator = iter(held_out[0]) if held_out else None
        for epoch in range(first, epochs):
            callbacks.on_epoch_begin(epoch)
            logs = self._epoch(iterator, steps, callbacks, epoch)
            if held_out:
                found = self._evaluated(held_iterator, held_out[1])
                logs |= {f"val_{name}": value for name, value in found.items()}
            callbacks.on_epoch_end(epoch, logs)
            if self._checkpoints:
                self._checkpoints.write(model, epoch + 1)
            if model.stop_training:
                break
        callbacks.on_train_end(logs)
        return model.history

    def evaluate(self, x: Any, *, steps: int | None = None) -> dict[str, float]:
        """The model's loss and metrics on a dataset like that of `fit`."""
        self._build(x)
        batches, steps = self._batches(x, steps)
        return self._evaluated(iter(batches), steps)

    def _begin(self, x: Any) -> int:
        """Makes all variables, and gives how many epochs an earlier run has left behind."""
        self._build(x)
        first = self._checkpoints.restore(self.model) if self._checkpoints else 0
        mine = tf.constant(float(first))
        total = self.strategy.run(
            lambda: tf.distribute.get_replica_context().all_reduce("SUM", mine)
        )
        total = float(self.strategy.experimental_local_results(total)[0])
        if total != first * self.strategy.num_replicas_in_sync:
            raise ValueError(
                f"this worker would go on after epoch {first}, and others would not: all must see "
                f"the same folder {self._checkpoints.folder}."
            )
        return first

    def _build(self, x: Any) -> None:
        model = self.model
        data = plain_batches(x)[0] if can_be_shared(x) else x
        sample = keras.tree.map_structure(zeros, data.element_spec)
        with self.strategy.scope():
            build = getattr(model, "build_on", None) or (
                lambda data: model._symbolic_build(data_batch=data)
            )
            build(sample)
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)

    def _batches(
        self, x: Any, steps: int | None, *, epochs_done: int = 0
    ) -> tuple[tf.distribute.DistributedDataset, int]:
        if can_be_shared(x):
            data, per_epoch = plain_batches(x, skip=epochs_done)
            return shared_out(data, self.strategy), steps or per_epoch
        steps = steps or int(x.cardinality())
        if steps < 1:
            raise ValueError(
                "how many batches an epoch has cannot be seen; pass steps_per_epoch= (and "
                "validation_steps=)."
            )
        data = x.repeat().skip(epochs_done * steps)
        return self.strategy.experimental_distribute_dataset(data), steps

    def _epoch(
        self, iterator: Any, steps: int, callbacks: keras.callbacks.CallbackList, epoch: int
    ) -> dict[str, float]:
        self.model.reset_metrics()
        try:
            for step in range(steps):
                callbacks.on_train_batch_begin(step)
                self._train(iterator)
                callbacks.on_train_batch_end(step, {})
                if self.model.stop_training:
                    break
            return self._results()
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as why:
            if self.strategy.num_replicas_in_sync == 1:
                raise
            kept = f" after epoch {epoch}" if self._checkpoints and epoch else ""
            raise RuntimeError(
                f"another worker has gone in epoch {epoch + 1}. Start all workers again: training "
                f"goes on{kept or ' from the start'}."
            ) from why

    def _train(self, iterator: Any) -> None:
        """One step of training, of a model that may decide on the host which way it goes."""
        with getattr(self.model, "decided", nullcontext)() as way:
            self._step(self.model.train_step, way)(iterator)

    def _evaluated(self, iterator: Any, steps: int) -> dict[str, float]:
        self.model.reset_metrics()
        names: set[str] = set()
        for _ in range(steps):
            names |= set(self._step(self.model.test_step)(iterator))
        found = {name: value for name, value in self._results().items() if name in names}
        self.model.reset_metrics()
        return found

    def _step(
        self, step: Callable[[Any], Mapping[str, Any]], way: bool | None = None
    ) -> Callable[[Any], Any]:
        """One step on all replicas; its own metrics are of one replica, so that names count."""
        if (step, way) not in self._steps:

            def run(iterator: Any) -> Any:
                return self.strategy.run(step, args=(next(iterator),))

            self._steps[step, way] = run if self.model.run_eagerly else tf.function(run)
        return self._steps[step, way]

    def _results(self) -> dict[str, float]:
        """Metrics over all workers: each asks for them at the same time."""
        found = self.model.get_metrics_result()
        return {name: float(np.asarray(value)) for name, value in found.items()}
