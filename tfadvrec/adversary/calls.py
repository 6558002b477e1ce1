"""A layer's `call`, replaced for a pass: in one thread, where replicas have one each."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def replaced(
    layer: keras.layers.Layer, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Makes a layer compute another function inside a `with` block.

    Args:
        layer: The layer.
        make: Given what the layer computes now, gives what it shall compute.
    """
    call = vars(layer).get("call")
    if not isinstance(call, _Call):
        call = vars(layer)["call"] = _Call(layer.call, call)
    stack = call.stacks.setdefault(threading.get_ident(), [])
    stack.append(make(stack[-1] if stack else call.own))
    try:
        yield
    finally:
        stack.pop()
        if not any(call.stacks.values()):
            del vars(layer)["call"]
            if call.given is not None:
                vars(layer)["call"] = call.given


class _Call:
    """What a layer computes: its own function, or what the thread has put in its place."""

    def __init__(self, own: Callable[..., Any], given: Any) -> None:
        self.own, self.given = own, given
        self.stacks: dict[int, list[Callable[..., Any]]] = {}

    def __call__(self, *positional: Any, **named: Any) -> Any:
        stack = self.stacks.get(threading.get_ident())
        return (stack[-1] if stack else self.own)(*positional, **named)
