"""What a pass under attack must leave as the clean pass left it, and what it draws."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import tensorflow as tf

from tfadvrec.tfrs.loading import tfrs

MASKS = 1_000_000  # apart from the seeds that perturbations draw with


def state_of(model: Any) -> list[tf.Variable]:
    """Batch statistics, metrics and whatever else is not trained.

    What the metrics over the whole catalogue hold is left out: they are `quiet` under attack.
    """
    silent = {id(v) for metric in _over_the_catalogue(model) for v in metric.variables}
    found = [*model.non_trainable_variables, *(v for m in model.metrics for v in m.variables)]
    return list({id(v): v for v in found if id(v) not in silent}.values())


@contextmanager
def quiet(model: Any) -> Iterator[None]:
    """Metrics that rank the whole catalogue do nothing inside a `with` block.

    Their result would be thrown away, and it costs more than the rest of a step.
    """
    metrics = _over_the_catalogue(model)
    for metric in metrics:
        vars(metric)["update_state"] = _nothing
    try:
        yield
    finally:
        for metric in metrics:
            del vars(metric)["update_state"]


@contextmanager
def masks(model: Any, seed: tf.Tensor) -> Iterator[None]:
    """Dropout and noise layers draw from `seed` inside a `with` block: the same in every block.

    Keras 2's own generators cannot be set back; outside they are as they were.

    Args:
        model: A Keras 2 model.
        seed: int32 scalar.
    """
    random = [layer for layer in model._flatten_layers() if "_random_generator" in vars(layer)]
    with ExitStack() as stack:
        for place, layer in enumerate(random):
            stack.enter_context(_drawing(layer, seed, place))
        yield


@contextmanager
def _drawing(layer: Any, seed: tf.Tensor, place: int) -> Iterator[None]:
    before = layer._random_generator
    generator = type(before)(seed=0, rng_type="stateless")
    generator.make_seed_for_stateless_op = _seeds(seed, place)
    vars(layer)["_random_generator"] = generator  # past Keras, which would track it as a weight
    try:
        yield
    finally:
        vars(layer)["_random_generator"] = before


def _seeds(seed: tf.Tensor, place: int) -> Callable[[], tf.Tensor]:
    """A seed for each call of the layer at this place."""
    calls = itertools.count(MASKS * (place + 1))
    return lambda: tf.stack([seed, next(calls)])


def _over_the_catalogue(model: Any) -> list[Any]:
    return [part for part in model._flatten_layers() if isinstance(part, tfrs.metrics.Factorized)]


def _nothing(*positional: Any, **options: Any) -> Any:
    return tf.no_op()
