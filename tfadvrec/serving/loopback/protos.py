"""Tensors between their protobuf form and NumPy; text is bytes in arrays of objects."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tfadvrec.serving.loopback.status import Refused

FIELDS = {
    "float32": "float_val",
    "int32": "int_val",
    "string": "string_val",
    "int64": "int64_val",
    "bool": "bool_val",
}


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Reads a `TensorProto`.

    Raises:
        Refused: If it does not hold a tensor.
    """
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError) as error:
        raise Refused("INVALID_ARGUMENT", f"a tensor cannot be read: {error}") from error


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """Makes a `TensorProto` with one value for each element, as a server does.

    Example:

    >>> to_proto(np.array([[1, 2]], "int64")).int64_val
    [1, 2]
    """
    dtype = "string" if array.dtype == object else array.dtype.name
    values: Any = array.ravel().tolist()
    proto = tensor_pb2.TensorProto(dtype=tf.dtypes.as_dtype(dtype).as_datatype_enum)
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, FIELDS[dtype]).extend(values)
    return proto
