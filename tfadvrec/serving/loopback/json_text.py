"""Requests and answers of the REST interface, by the rules of a model server.

Every input must be given, since REST knows no defaults. Floats are printed with six digits where
these give the same float32, with nine where they do not; those that are not finite as bare words,
which is no valid JSON, so a servable must not answer any.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfadvrec.serving.loopback.status import Refused

ROWS, COLUMNS = "instances", "inputs"
Inputs = Mapping[str, meta_graph_pb2.TensorInfo]


def parse(body: bytes) -> dict[str, Any]:
    """Reads the body of a request.

    Returns:
        The object, with either `instances` or `inputs`.

    Raises:
        Refused: If it is something else.
    """
    try:
        request = json.loads(body)
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"the body is not JSON: {error}") from error
    if not isinstance(request, dict) or (ROWS in request) == (COLUMNS in request):
        raise Refused("INVALID_ARGUMENT", f"the body must have either {ROWS!r} or {COLUMNS!r}")
    if not isinstance(request.get("signature_name", ""), str):
        raise Refused("INVALID_ARGUMENT", "signature_name must be a string")
    return request


def arrays(request: Mapping[str, Any], inputs: Inputs) -> dict[str, np.ndarray]:
    """Turns the values of a request into the inputs of a signature.

    Args:
        request: What `parse` gave.
        inputs: The signature's inputs.

    Returns:
        Arrays by input.

    Raises:
        Refused: If one is missing or cannot be what the signature says.
    """
    columns = request[COLUMNS] if COLUMNS in request else by_column(request[ROWS], inputs)
    if not isinstance(columns, dict) or is_base64(columns):
        if len(inputs) > 1:
            raise Refused("INVALID_ARGUMENT", f"expected an object with the inputs {list(inputs)}")
        columns = dict.fromkeys(inputs, columns)
    missing = [name for name in inputs if name not in columns]
    if missing:
        raise Refused("INVALID_ARGUMENT", f"the inputs {missing} are missing in {COLUMNS!r}")
    return {name: array(columns[name], one.dtype, name) for name, one in inputs.items()}


def by_column(rows: Any, inputs: Inputs) -> Any:
    """Turns `instances` into one list for each input, or for the only one."""
    if not isinstance(rows, list) or not rows:
        raise Refused("INVALID_ARGUMENT", f"{ROWS!r} must be a list with at least one element")
    named = [isinstance(row, dict) and not is_base64(row) for row in rows]
    if not any(named):
        return rows
    for place, row in enumerate(rows):
        if not named[place] or set(row) != set(inputs):
            raise Refused(
                "INVALID_ARGUMENT",
                f"element {place} of {ROWS!r} must be an object with the keys {sorted(inputs)}",
            )
    return {name: [row[name] for row in rows] for name in inputs}


def array(value: Any, dtype: int, name: str) -> np.ndarray:
    """Turns nested lists into an array; they must be as long as each other."""
    wanted = tf.dtypes.as_dtype(dtype)
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat: list[Any] = []
    flatten(value, shape, flat, name)
    found = np.empty(len(flat), wanted.as_numpy_dtype)
    found[:] = [scalar(one, wanted, name) for one in flat]
    return found.reshape(shape)


def flatten(value: Any, shape: list[int], flat: list[Any], name: str) -> None:
    """Collects the values of nested lists of one shape."""
    if isinstance(value, list) != bool(shape) or (shape and len(value) != shape[0]):
        raise Refused("INVALID_ARGUMENT", f"{name!r} has lists of different lengths or depths")
    if not shape:
        flat.append(value)
        return
    for one in value:
        flatten(one, shape[1:], flat, name)


def scalar(value: Any, dtype: tf.DType, name: str) -> Any:
    """Checks the type of one value; nothing is converted but whole numbers to floats."""
    if dtype == tf.string and is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise Refused("INVALID_ARGUMENT", f"{name!r}: {error}") from error
    if dtype == tf.string and isinstance(value, str):
        return value.encode("utf-8")
    if dtype == tf.bool and isinstance(value, bool):
        return value
    number = isinstance(value, int) and not isinstance(value, bool)
    if dtype.is_floating and (number or isinstance(value, float)):
        return value
    if dtype.is_integer and number and dtype.min <= value <= dtype.max:
        return value
    raise Refused("INVALID_ARGUMENT", f"{name!r} must hold {dtype.name}, got {value!r}")


def is_base64(value: Any) -> bool:
    """Tells whether a value is bytes in base64."""
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def render(outputs: Mapping[str, np.ndarray], *, rows: bool) -> str:
    """Writes an answer: `predictions`, one a row, or `outputs`; one output has no name.

    Args:
        outputs: Arrays by output.
        rows: Whether the request was of `instances`.

    Returns:
        JSON, if all numbers are finite.

    Raises:
        Refused: If rows are wanted and the outputs do not have as many as each other.

    Example:

    >>> print(render({"score": np.array([[0.1, 3]], "float32")}, rows=False))
    {"outputs": [[0.1, 3.0]]}
    """
    if not rows:
        return (
            f'{{"outputs": {together({name: text(name, one) for name, one in outputs.items()})}}}'
        )
    if len({one.shape[0] if one.ndim else None for one in outputs.values()} - {None}) != 1:
        raise Refused("INVALID_ARGUMENT", "the outputs do not have the same number of rows")
    count = len(next(iter(outputs.values())))
    written = [
        together({name: text(name, one[row]) for name, one in outputs.items()})
        for row in range(count)
    ]
    return f'{{"predictions": [{", ".join(written)}]}}'


def together(texts: Mapping[str, str]) -> str:
    """Joins the outputs to an object; a single one stands for itself."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "{" + ", ".join(f"{json.dumps(name)}: {one}" for name, one in texts.items()) + "}"


def text(name: str, value: Any) -> str:
    """Writes an array, or one of its elements."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(text(name, one) for one in value) + "]"
    if isinstance(value, bytes) and name.endswith("_bytes"):
        return json.dumps({"b64": base64.b64encode(value).decode()})
    if isinstance(value, bytes):
        return json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False)
    if isinstance(value, np.floating):
        return decimal(value)
    return json.dumps(value.item())


def decimal(value: np.floating) -> str:
    """Writes a float with six digits if they are enough to read it back, else with nine.

    Example:

    >>> decimal(np.float32(0.1)), decimal(np.float32(1 / 3)), decimal(np.float32(2))
    ('0.1', '0.333333343', '2.0')
    """
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    written = f"{value:.6g}"
    if value.dtype.type(written) != value:
        written = f"{value:.9g}"
    return written if "." in written or "e" in written else f"{written}.0"
