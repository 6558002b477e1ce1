"""Tensors as JSON takes them: `{"dtype", "shape", "values"}` with flat values."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

Tensors = dict[str, dict[str, Any]]


def packed(array: np.ndarray) -> dict[str, Any]:
    """Turns an array into a plain tensor; objects are text.

    Example:

    >>> packed(np.array([[True, False]]))
    {'dtype': 'bool', 'shape': [1, 2], 'values': [True, False]}
    """
    dtype = "string" if array.dtype == object else array.dtype.name
    return {"dtype": dtype, "shape": list(array.shape), "values": array.ravel().tolist()}


def unpacked(tensor: dict[str, Any]) -> np.ndarray:
    """Turns a plain tensor into an array; text becomes objects."""
    dtype = object if tensor["dtype"] == "string" else tensor["dtype"]
    return np.array(tensor["values"], dtype).reshape(tensor["shape"])


def strings(values: Sequence[str]) -> dict[str, Any]:
    """Makes a string tensor of rank 1."""
    return {"dtype": "string", "shape": [len(values)], "values": list(values)}


def encoded(values: Sequence[bytes]) -> dict[str, Any]:
    """Makes a string tensor of rank 1 out of bytes that need not be text."""
    text = [base64.b64encode(one).decode("ascii") for one in values]
    return strings(text) | {"encoding": "base64"}


def raw_strings(tensor: dict[str, Any]) -> list[bytes]:
    """The bytes of a string tensor.

    Example:

    >>> raw_strings(encoded([bytes([255])]))
    [b'\\xff']
    """
    if tensor.get("encoding") == "base64":
        return [base64.b64decode(one) for one in tensor["values"]]
    return [one.encode("utf-8") for one in tensor["values"]]
