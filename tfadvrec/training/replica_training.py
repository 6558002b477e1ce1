"""Training steps on several replicas behind Keras's `fit`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tfadvrec.training.sharing import (
    can_be_shared,
    check_strategy,
    plain_batches,
    shared_out,
    zeros,
)


class ReplicaTraining:
    """Mixed into a `keras.Model`: under a strategy, `fit` does what it does on one device.

    Global batches are cut into equal shares with what their rows have in common whole, and a step
    with a `branch` in it has its `way` decided on the host: replicas cannot talk to each other
    inside one.
    """

    _shapes_seen = False
    _way: bool | None = None

    def _check_for_replicas(self, options: dict[str, Any]) -> None:
        """Refuses what does not work on several replicas; XLA is left out of `options`."""
        check_strategy(self.distribute_strategy)
        if not self._distributed:
            return
        if options.get("jit_compile", "auto") is True:
            raise ValueError(
                "jit_compile=True does not work under a strategy: XLA cannot compile what replicas "
                "tell each other. Leave it out."
            )
        options["jit_compile"] = False

    def _check_scope(self, optimizer: keras.optimizers.Optimizer | None) -> None:
        """Refuses an optimizer whose variables would belong to another strategy."""
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        made_in = getattr(inner, "_distribution_strategy", self.distribute_strategy)
        if made_in is not self.distribute_strategy:
            name = type(self.distribute_strategy).__name__
            raise ValueError(
                f"the optimizer {type(inner).__name__} was made outside the scope of the model's "
                f"{name}. Make it inside, like the model: with strategy.scope(): ..."
            )

    def _check_for_workers(self) -> None:
        if self.distribute_strategy.extended._in_multi_worker_mode():
            raise ValueError(
                "Keras's fit does not run on several workers. Call "
                "tfadvrec.training.DistributedTrainer(model).fit(...) in each of them."
            )

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras; under a strategy the host says which way the next step goes."""
        if not self._distributed:
            return super().make_train_function(force)
        if force or self.train_function is None:
            self.train_function = self._led_by_the_host()
        return self.train_function

    def way(self) -> bool | None:
        """On the host: which way the next step's branch goes; None where a step has no branch."""
        return None

    @contextmanager
    def decided(self) -> Iterator[bool | None]:
        """Settles the way of the next step, for the length of a `with` block that takes it."""
        self._way = self.way()
        try:
            yield self._way
        finally:
            self._way = None

    def branch(self, condition: tf.Tensor, yes: Callable[[], Any], no: Callable[[], Any]) -> None:
        """In a step: does one or the other, as `way` has said, or as the condition says."""
        if self._way is None:
            tf.cond(condition, yes, no)
        else:
            (yes if self._way else no)()

    def _led_by_the_host(self) -> Callable[[Any], Any]:
        made: dict[bool | None, Callable[[Any], Any]] = {}

        def function(iterator: Any) -> Any:
            with self.decided() as way:
                if way not in made:
                    made[way] = self._make_function(self.train_step)
                return made[way](iterator)

        return function

    @property
    def _distributed(self) -> bool:
        """Whether a strategy runs the steps, be it of one replica: no loop can be inside them."""
        return self._distribute_strategy is not None

    def _shared_out(self, data: Any, options: dict[str, Any], steps: str) -> Any:
        """Batches of one size shared out among the replicas; other data is left to Keras."""
        if not self._distributed or not can_be_shared(data):
            return data
        if self.steps_per_execution > 1:
            raise ValueError("steps_per_execution must be 1 on several replicas.")
        batches, per_epoch = plain_batches(data)
        if options.get(steps) is None:
            options[steps] = per_epoch
        shared = shared_out(batches, self.distribute_strategy)
        with self.distribute_strategy.scope():
            self.build_on(keras.tree.map_structure(zeros, batches.element_spec))
        self._shapes_seen = True
        return shared

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """As in Keras, which takes the mean of the replicas' shares: text has none."""
        if self._distribute_strategy is None or self._shapes_seen:
            return
        if iterator is not None:
            shares = next(next(iter(iterator))[-1])
            local = self.distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda share: local(share)[0], shares)
        with self.distribute_strategy.scope():
            self.build_on(data_batch)
