"""The text formats of a model server's configuration files, parsed as the server does."""

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

PACKAGE = "tensorflow.serving"
TYPES = {
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
# The fields that are written here and their types; `*` means repeated. The server has more, but no
# package publishes the first two messages, and the third only tensorflow-serving-api.
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": "google.protobuf.Int64Value",
        "batch_timeout_micros": "google.protobuf.Int64Value",
        "max_enqueued_batches": "google.protobuf.Int64Value",
        "num_batch_threads": "google.protobuf.Int64Value",
        "thread_pool_name": "google.protobuf.StringValue",
        "allowed_batch_sizes": "*int64",
        "pad_variable_length_inputs": "bool",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": f"{PACKAGE}.PrometheusConfig"},
    "Latest": {"num_versions": "uint32"},
    "VersionPolicy": {"latest": f"{PACKAGE}.Latest"},
    "ModelConfig": {
        "name": "string",
        "base_path": "string",
        "model_platform": "string",
        "model_version_policy": f"{PACKAGE}.VersionPolicy",
    },
    "ModelConfigList": {"config": f"*{PACKAGE}.ModelConfig"},
    "ModelServerConfig": {"model_config_list": f"{PACKAGE}.ModelConfigList"},
}


def parse(name: str, text: str) -> Any:
    """Parses a message in text format.

    Args:
        name: `"BatchingParameters"`, `"MonitoringConfig"`, `"ModelServerConfig"` (the server's own
            message where tensorflow-serving-api is installed) or `"ConfigProto"`.
        text: The file's text.

    Returns:
        The message.

    Raises:
        ValueError: If the text is not such a message; the error has line and column.

    Example:

    >>> parse("BatchingParameters", "max_batch_size { value: 8 }").max_batch_size.value
    8
    """
    try:
        return text_format.Parse(text, message_class(name)())
    except text_format.ParseError as error:
        raise ValueError(f"it is no {name} in text format: {error}") from error


def message_class(name: str) -> type:
    """Finds or makes the class of a message."""
    if name == "ConfigProto":
        from tensorflow.core.protobuf.config_pb2 import ConfigProto

        return ConfigProto
    if name == "ModelServerConfig":
        try:
            from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
        except ModuleNotFoundError:
            return own_class(name)
        return ModelServerConfig
    return own_class(name)


def own_class(name: str) -> type:
    """Makes the class of one of `MESSAGES`, apart from every other registered message."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tfadvrec/server.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for message, fields in MESSAGES.items():
        made = file.message_type.add(name=message)
        for number, (field, kind) in enumerate(fields.items(), 1):
            label = "LABEL_REPEATED" if kind.startswith("*") else "LABEL_OPTIONAL"
            kind = kind.removeprefix("*")
            one = made.field.add(name=field, number=number)
            one.label = descriptor_pb2.FieldDescriptorProto.Label.Value(label)
            one.type = TYPES.get(kind, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE)
            if kind not in TYPES:
                one.type_name = f".{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
