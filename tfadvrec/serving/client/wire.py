"""The messages of the serving protocol that a client needs, without TensorFlow.

The published Python protos import TensorFlow, seconds and hundreds of megabytes for a client. The
fields below have the numbers and types of `tensorflow_serving/apis` and `tensorflow/core`, so what
is written is byte for byte the same protocol; fields that are not listed are skipped on reading.
"""

from functools import cache
from typing import Any

from tfadvrec.serving.optional_package import optional_package

# name: number and type; "*" is repeated, "@" a map from strings
FIELDS = {
    "Dim": {"size": (1, "int64"), "name": (2, "string")},
    "Shape": {"dim": (2, "*Dim"), "unknown_rank": (3, "bool")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
    },
    "Version": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Version"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "@Tensor")},
    "PredictResponse": {"outputs": (1, "@Tensor"), "model_spec": (2, "ModelSpec")},
    "MetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "*string")},
    "Packed": {"type_url": (1, "string"), "value": (2, "bytes")},
    "MetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "@Packed")},
    "TensorInfo": {"name": (1, "string"), "dtype": (2, "int32"), "tensor_shape": (3, "Shape")},
    "Signature": {"inputs": (1, "@TensorInfo"), "outputs": (2, "@TensorInfo")},
    "Signatures": {"signature_def": (1, "@Signature")},
}
PACKAGE = "tfadvrec_wire"


@cache
def messages() -> dict[str, Any]:
    """Makes the message classes, by the names in `FIELDS`.

    Raises:
        ImportError: If protobuf is not installed.
    """
    protos = optional_package("google.protobuf.descriptor_pb2", "A gRPC client")
    pools = optional_package("google.protobuf.descriptor_pool", "A gRPC client")
    factory = optional_package("google.protobuf.message_factory", "A gRPC client")
    file = protos.FileDescriptorProto(name="wire.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            add_field(message, field, number, kind)
    pool = pools.DescriptorPool()  # of its own: TensorFlow may be in the common one
    pool.Add(file)
    return {
        name: factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in FIELDS
    }


def add_field(message: Any, name: str, number: int, kind: str) -> None:
    """Adds a field to the description of a message."""
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind[0] in "*@" else field.LABEL_OPTIONAL
    bare = kind.lstrip("*@")
    if kind[0] == "@":  # on the wire a map is a list of pairs
        pair = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        pair.options.map_entry = True
        add_field(pair, "key", 1, "string")
        add_field(pair, "value", 2, bare)
        bare = f"{message.name}.{pair.name}"
    if bare.split(".")[0] in FIELDS:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{bare}"
    else:
        field.type = getattr(field, f"TYPE_{bare.upper()}")
