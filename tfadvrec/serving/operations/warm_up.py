"""Warm-up records: the requests that a model server answers to itself before it takes others."""

import importlib.util
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfadvrec.serving.ladder.tensors import encoded, raw_strings
from tfadvrec.serving.operations.example_requests import whole_calls
from tfadvrec.serving.optional_package import optional_package

FILE = Path("assets.extra", "tf_serving_warmup_requests")
PROTOS = "tensorflow_serving.apis.prediction_log_pb2"
MAX_RECORDS = 1000  # a server refuses to load a version with more
Tensor = dict[str, Any]


def missing() -> str | None:
    """Says why warm-up records cannot be written or read here; None where they can."""
    try:
        found = importlib.util.find_spec(PROTOS)
    except ModuleNotFoundError:
        found = None
    if found:
        return None
    return (
        "tensorflow-serving-api is not installed, so there are no warm-up records and a server's "
        "first requests are slow; install tfadvrec[serving]"
    )


def write(folder: Path, model_name: str, contract: dict[str, Any]) -> int:
    """Writes one record for each signature and batch size, from the contract's probe.

    A record gives every input, since a server fills in defaults for single rows only, and the same
    number of rows to each: the probe's, repeated or cut.

    Args:
        folder: The version folder.
        model_name: Name of the model in the server.
        contract: With `signatures`, `probe` and `options`, whose `batch_sizes` are the rows.

    Returns:
        The number of records.

    Raises:
        ImportError: If tensorflow-serving-api is not installed.
        ValueError: If there would be more records than a server takes, or the probe does not give
            every input of a signature.
    """
    logs = optional_package(PROTOS, "Writing warm-up requests")
    calls = whole_calls(contract)
    sizes = contract["options"]["batch_sizes"]
    planned = [(call, rows) for call in calls.values() for rows in sizes]
    check_count(len(planned))
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for call, rows in planned:
            log = logs.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = call["signature"]
            for key, one in call["inputs"].items():
                request.inputs[key].CopyFrom(to_proto(with_rows(one, rows)))
            writer.write(log.SerializeToString(deterministic=True))
    return len(planned)


def read(folder: Path, contract: dict[str, Any]) -> list[dict[str, Any]]:
    """Reads the records back and checks that a server could load the version with them.

    One bad record makes a server refuse the whole version.

    Args:
        folder: The version folder.
        contract: With `signatures` and `options`.

    Returns:
        One call `{"signature", "inputs"}` a record; its strings are in base64 (see `tensors.py`).

    Raises:
        ImportError: If tensorflow-serving-api is not installed.
        ValueError: If the file is missing or corrupt, or a record is not what the contract offers;
            the message names the record.
    """
    logs = optional_package(PROTOS, "Reading warm-up requests")
    calls: list[dict[str, Any]] = []
    for number, raw in enumerate(records(folder / FILE), 1):
        check_count(number)
        try:
            calls.append(to_call(logs.PredictionLog.FromString(raw), contract))
        except DecodeError as error:
            raise ValueError(
                f"Warm-up record {number} is no PredictionLog: {error}. Export again."
            ) from error
        except ValueError as error:
            raise ValueError(f"Warm-up record {number}: {error}") from error
    expected = contract.get("warmup", {}).get("records", len(calls) or "one or more")
    if len(calls) != expected:
        raise ValueError(
            f"{folder / FILE} must hold {expected} warm-up records, it ends after {len(calls)}."
        )
    return calls


def check_count(count: int) -> None:
    """Refuses more records than a server reads."""
    if count > MAX_RECORDS:
        raise ValueError(
            f"Warm-up record {count}: a server refuses more than {MAX_RECORDS} records. Take fewer "
            "signatures or batch_sizes."
        )


def records(path: Path) -> Iterator[bytes]:
    """Reads the raw records, with the checksum of each."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist: the version has no warm-up records.")
    number = 0
    try:
        for raw in tf.data.TFRecordDataset(str(path)):
            yield raw.numpy()
            number += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise ValueError(
            f"Warm-up record {number + 1} of {path} is corrupt: {error.message} Export again."
        ) from error


def to_call(log: Any, contract: dict[str, Any]) -> dict[str, Any]:
    """Turns one record into a call, checked against the contract."""
    if log.WhichOneof("log_type") != "predict_log":
        raise ValueError(f"it must be a predict_log, it is {log.WhichOneof('log_type')}.")
    request = log.predict_log.request
    name = request.model_spec.signature_name
    if name not in contract["signatures"]:
        raise ValueError(
            f"the signature must be one of {list(contract['signatures'])}, it is {name!r}."
        )
    expected = contract["signatures"][name]["inputs"]
    if set(request.inputs) != set(expected):
        raise ValueError(
            f"{name} must be given every input, {sorted(expected)}, and no other; it has "
            f"{sorted(request.inputs)}."
        )
    inputs = {
        key: checked(request.inputs[key], one, name=f"{name}: {key}")
        for key, one in expected.items()
    }
    rows = {one["shape"][0] for one in inputs.values()}
    largest = max(contract["options"]["batch_sizes"])
    if len(rows) != 1 or not 1 <= max(rows) <= largest:
        raise ValueError(
            f"{name} must have the same number of rows in every input, from 1 to the largest of "
            f"batch_sizes, {largest}; it has {sorted(rows)}."
        )
    return {"signature": name, "inputs": inputs}


def checked(proto: Any, expected: dict[str, Any], *, name: str) -> Tensor:
    """Turns a tensor's proto into `{"dtype", "shape", "values"}` if it is what is expected."""
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype).name
    except TypeError:
        dtype = f"dtype number {proto.dtype}"
    shape = [size.size for size in proto.tensor_shape.dim]
    wanted = expected["shape"]
    fits = len(shape) == len(wanted) and all(
        one in (-1, size) for one, size in zip(wanted, shape, strict=True)
    )
    if dtype != expected["dtype"] or not fits:
        raise ValueError(
            f"{name} must be {expected['dtype']} {wanted} (-1 is open), it is {dtype} {shape}."
        )
    try:
        values = tf.make_ndarray(proto).ravel().tolist()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} does not hold the values of its shape {shape}: {error}") from None
    if dtype == "string":
        return encoded(values) | {"shape": shape}
    return {"dtype": dtype, "shape": shape, "values": values}


def with_rows(tensor: Tensor, rows: int) -> Tensor:
    """Repeats or cuts a tensor to a number of rows.

    Example:

    >>> with_rows({"dtype": "int64", "shape": [2, 1], "values": [5, 6]}, 3)
    {'dtype': 'int64', 'shape': [3, 1], 'values': [5, 6, 5]}
    """
    width = prod(tensor["shape"][1:])
    values = tensor["values"]
    given = tensor["shape"][0]
    chosen = [one for row in range(rows) for one in values[row % given * width :][:width]]
    return {**tensor, "shape": [rows, *tensor["shape"][1:]], "values": chosen}


def to_proto(tensor: Tensor) -> Any:
    """Makes a `TensorProto` of `{"dtype", "shape", "values"}`."""
    text = tensor["dtype"] == "string"
    values = raw_strings(tensor) if text else tensor["values"]
    array = np.array(values, object if text else tensor["dtype"]).reshape(tensor["shape"])
    return tf.make_tensor_proto(array, dtype=tensor["dtype"], shape=tensor["shape"])
