"""Example requests from a servable's probe: Python lines for gRPC, JSON for REST."""

import json
import shlex
from itertools import groupby
from math import prod
from typing import Any

from tfadvrec.serving.ladder.tensors import raw_strings

GRPC = "localhost:8500"
REST = "http://localhost:8501"
LONGEST = 2000  # characters of one input in Python lines
RUN = 4  # equal values in a row that are written as a product
HEADER = f"""\
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

channel = grpc.insecure_channel("{GRPC}")
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

def ask(model, signature, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, (values, dtype) in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype))
    answer = stub.Predict(request, timeout=5.0)
    return {{name: tf.make_ndarray(one) for name, one in answer.outputs.items()}}

"""
Call = dict[str, Any]


def whole_calls(contract: dict[str, Any]) -> dict[str, Call]:
    """Finds, for each signature, the probe's first call that gives every input.

    Args:
        contract: With `signatures` and `probe`.

    Raises:
        ValueError: If the probe has none for a signature.
    """
    found: dict[str, Call] = {}
    for call in contract["probe"]:
        name = call["signature"]
        if set(call["inputs"]) == set(contract["signatures"][name]["inputs"]):
            found.setdefault(name, call)
    absent = sorted(set(contract["signatures"]) - set(found))
    if absent:
        raise ValueError(f"The probe must give every input of every signature, not so of {absent}.")
    return {name: found[name] for name in contract["signatures"]}


def example_calls(contract: dict[str, Any]) -> list[Call]:
    """Takes one row of the probe for each signature, every input given: REST knows no defaults.

    Args:
        contract: With `signatures` and `probe`.

    Returns:
        Calls `{"signature", "inputs"}` with one row.
    """
    return [
        {
            "signature": name,
            "inputs": {key: one_row(value) for key, value in call["inputs"].items()},
        }
        for name, call in whole_calls(contract).items()
    ]


def one_row(tensor: dict[str, Any]) -> dict[str, Any]:
    """Cuts a tensor to its second row, or to its only one: the first excludes nothing."""
    width = prod(tensor["shape"][1:])
    row = min(1, tensor["shape"][0] - 1)
    values = tensor["values"][row * width :][:width]
    return {**tensor, "shape": [1, *tensor["shape"][1:]], "values": values}


def rest_body(call: Call) -> dict[str, Any]:
    """Makes the JSON of a REST request in columns.

    Example:

    >>> rest_body({"signature": "recommend", "inputs": {
    ...     "user_id": {"dtype": "string", "shape": [1], "values": ["7"]}}})
    {'signature_name': 'recommend', 'inputs': {'user_id': ['7']}}
    """
    return {
        "signature_name": call["signature"],
        "inputs": {
            name: nested(in_json(one), one["shape"]) for name, one in call["inputs"].items()
        },
    }


def in_json(tensor: dict[str, Any]) -> list[Any]:
    """Writes flat values as REST takes them: bytes that need not be text as `{"b64": ...}`."""
    if tensor.get("encoding") == "base64":
        return [{"b64": one} for one in tensor["values"]]
    return tensor["values"]


def nested(values: list[Any], shape: list[int]) -> list[Any]:
    """Gives flat values their shape, as lists in lists."""
    if len(shape) == 1:
        return values
    width = prod(shape[1:])
    rows = [values[row * width :][:width] for row in range(shape[0])]
    return [nested(row, shape[1:]) for row in rows]


def rest_command(call: Call, model: str) -> str:
    """Writes a REST request as a `curl` command."""
    body = json.dumps(rest_body(call), ensure_ascii=False, allow_nan=False)
    return f"curl -s {shlex.quote(f'{REST}/v1/models/{model}:predict')} -d {shlex.quote(body)}"


def grpc_line(call: Call, model: str) -> str:
    """Writes a gRPC request as a Python line that goes on from `HEADER`."""
    words = [repr(model), repr(call["signature"])]
    for name, one in call["inputs"].items():
        flat = raw_strings(one) if "encoding" in one else one["values"]
        values = python_list(flat, one["shape"])
        if len(values) > LONGEST:  # a long row is left out; zeros of its size are a request too
            values = f"tf.zeros({one['shape']}, {one['dtype']!r}).numpy()"
        words.append(f"{name}=({values}, {one['dtype']!r})")
    return f"print(ask({', '.join(words)}))"


def python_list(values: list[Any], shape: list[int]) -> str:
    """Writes values as a Python expression, runs of equal ones as a product.

    Example:

    >>> python_list(["a", "b", "", "", "", ""], [1, 6])
    "[['a', 'b'] + [''] * 4]"
    """
    if len(shape) > 1:
        width = prod(shape[1:])
        rows = [values[row * width :][:width] for row in range(shape[0])]
        return f"[{', '.join(python_list(row, shape[1:]) for row in rows)}]"
    parts: list[str] = []
    plain: list[Any] = []
    for value, group in groupby(values):
        count = len(list(group))
        if count < RUN:
            plain += [value] * count
            continue
        parts += [repr(plain)] if plain else []
        parts.append(f"[{value!r}] * {count}")
        plain = []
    return " + ".join([*parts, *([repr(plain)] if plain or not parts else [])])
