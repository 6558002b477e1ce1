"""Asks a model server by gRPC, without TensorFlow."""

import struct
from collections.abc import Callable
from math import prod
from typing import Any

from tfadvrec.serving.client.serving_error import ServingError
from tfadvrec.serving.client.wire import messages
from tfadvrec.serving.ladder.c_runtime import DTYPES, NAMES
from tfadvrec.serving.optional_package import optional_package

FIELDS = {
    "float32": ("float_val", "f", 0.0),
    "int32": ("int_val", "i", 0),
    "string": ("string_val", None, b""),
    "int64": ("int64_val", "q", 0),
    "bool": ("bool_val", "?", False),
}
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a model server is a neighbour
)
Tensors = dict[str, dict[str, Any]]


class GrpcClient:
    """Speaks `PredictionService`.

    Args:
        target: `host:port`.
        model: Name of the model.
        timeout: Seconds to wait for an answer.

    Raises:
        ImportError: If grpcio is not installed.
    """

    protocol = "grpc"

    def __init__(self, target: str, model: str, *, timeout: float) -> None:
        self.target, self.model, self.timeout = target, model, timeout
        self.grpc = optional_package("grpc", "Client(protocol='grpc')")
        self.messages = messages()
        self.channel = self.grpc.insecure_channel(target, options=OPTIONS)
        self._predict = self.method("Predict", "PredictResponse")
        self._metadata = self.method("GetModelMetadata", "MetadataResponse")

    def close(self) -> None:
        """Closes the connection."""
        self.channel.close()

    def method(self, name: str, answer: str) -> Callable[..., Any]:
        """Makes the function that asks one method."""
        return self.channel.unary_unary(
            f"/tensorflow.serving.PredictionService/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self.messages[answer].FromString,
        )

    def ask(self, method: Callable[..., Any], request: Any, signature: str | None) -> Any:
        """Asks, and turns a failure into a `ServingError`."""
        try:
            return method(request, timeout=self.timeout)
        except self.grpc.RpcError as error:
            raise ServingError(
                error.code().name,
                error.details() or "",
                target=self.target,
                model=self.model,
                signature=signature,
                protocol=self.protocol,
                timeout=self.timeout,
            ) from error

    def predict(self, signature: str, inputs: Tensors, outputs: Tensors) -> Tensors:
        """Asks one signature.

        Args:
            signature: Its name.
            inputs: Tensors `{"dtype", "shape", "values"}` with flat values.
            outputs: The outputs by the metadata; the answer says it all itself.

        Returns:
            Tensors in the same form.

        Raises:
            ServingError: If there is no answer.
        """
        request = self.messages["PredictRequest"]()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        for name, one in inputs.items():
            self.write(one, request.inputs[name])
        answer = self.ask(self._predict, request, signature)
        return {name: read(one) for name, one in answer.outputs.items()}

    def metadata(self) -> dict[str, Any]:
        """Asks for the version and the signatures."""
        request = self.messages["MetadataRequest"](metadata_field=["signature_def"])
        request.model_spec.name = self.model
        answer = self.ask(self._metadata, request, None)
        packed = answer.metadata["signature_def"].value
        found = self.messages["Signatures"].FromString(packed).signature_def
        return {
            "version": answer.model_spec.version.value,
            "signatures": {
                name: {"inputs": described(one.inputs), "outputs": described(one.outputs)}
                for name, one in found.items()
            },
        }

    def write(self, tensor: dict[str, Any], message: Any) -> None:
        """Writes a tensor into a message."""
        values = tensor["values"]
        message.dtype = DTYPES[tensor["dtype"]]
        message.tensor_shape.SetInParent()
        for size in tensor["shape"]:
            message.tensor_shape.dim.add(size=size)
        if tensor["dtype"] == "string":
            values = [one.encode("utf-8") for one in values]
        getattr(message, FIELDS[tensor["dtype"]][0]).extend(values)


def described(tensors: Any) -> Tensors:
    """Describes the inputs or outputs of a signature; dtypes that are not known keep a number."""
    return {
        name: {
            "dtype": NAMES.get(one.dtype, str(one.dtype)),
            "shape": [dim.size for dim in one.tensor_shape.dim],
        }
        for name, one in tensors.items()
    }


def read(message: Any) -> dict[str, Any]:
    """Reads a tensor: packed bytes, or a list whose last value stands for all that follow it."""
    if message.dtype not in NAMES:
        raise ValueError(
            f"A tensor of the answer has the dtype number {message.dtype}; a client reads only "
            f"{list(DTYPES)}. This model was not exported by tfadvrec."
        )
    dtype, shape = NAMES[message.dtype], [dim.size for dim in message.tensor_shape.dim]
    field, code, zero = FIELDS[dtype]
    count = prod(shape)
    if message.tensor_content and code:
        values = list(struct.unpack(f"<{count}{code}", message.tensor_content))
    else:
        values = list(getattr(message, field))
        values += [values[-1] if values else zero] * (count - len(values))
    if dtype == "string":
        values = [one.decode("utf-8") for one in values]
    return {"dtype": dtype, "shape": shape, "values": values}
