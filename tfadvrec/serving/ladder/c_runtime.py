"""Answers calls by the TensorFlow C API, without Python's TensorFlow (see `child.py`).

The libraries are those of the installed TensorFlow, loaded by path through `ctypes`: what runs is
the C++ runtime and its kernels, as in a model server.
"""

import base64
import ctypes as c
import json
from math import prod

DTYPES = {"float32": 1, "int32": 3, "string": 7, "int64": 9, "bool": 10}
NAMES = {number: name for name, number in DTYPES.items()}
CTYPES = {"float32": c.c_float, "int32": c.c_int32, "int64": c.c_int64, "bool": c.c_bool}
STRING_BYTES = 24  # sizeof(TF_TString)
RETURN_POINTERS = """
    TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel
    TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer TF_Message
"""


class Port(c.Structure):
    """`TF_Output`: one output of an operation."""

    _fields_ = (("operation", c.c_void_p), ("index", c.c_int))


def prepare(paths):
    """Does nothing: the C runtime needs no Python packages."""


def answer(task):
    """Loads the servable into a session and runs every call.

    Args:
        task: `folder`, `libraries` (paths in the order to load them), `calls` as in
            `python_runtime`, and `tensors`: signature -> `{"inputs": {name: tensor name},
            "outputs": ...}`.

    Returns:
        For each call the outputs in the same form as the inputs.
    """
    runtime = Runtime(task["libraries"], task["folder"])
    return [
        runtime.run(call["inputs"], task["tensors"][call["signature"]]) for call in task["calls"]
    ]


class Runtime:
    """A session over one saved model."""

    def __init__(self, libraries, folder):
        for path in libraries:
            self.tf = c.CDLL(path, mode=c.RTLD_GLOBAL)
        for name in RETURN_POINTERS.split():
            getattr(self.tf, name).restype = c.c_void_p  # the default int cuts pointers
        self.tf.TF_StringGetSize.restype = c.c_size_t
        self.tf.TF_Dim.restype = c.c_int64
        self.status = c.c_void_p(self.tf.TF_NewStatus())
        self.graph = c.c_void_p(self.tf.TF_NewGraph())
        options = c.c_void_p(self.tf.TF_NewSessionOptions())
        self.session = c.c_void_p(
            self.tf.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), (c.c_char_p * 1)(b"serve"), 1,
                self.graph, None, self.status,
            )
        )  # fmt: skip
        self.check("load")

    def run(self, inputs, tensors):
        """Runs one call."""
        fed = [self.port(tensors["inputs"][name]) for name in inputs]
        values = [self.tensor(one) for one in inputs.values()]
        fetched = [self.port(name) for name in tensors["outputs"].values()]
        results = (c.c_void_p * len(fetched))()
        self.tf.TF_SessionRun(
            self.session, None,
            (Port * len(fed))(*fed), (c.c_void_p * len(fed))(*values), len(fed),
            (Port * len(fetched))(*fetched), results, len(fetched),
            None, 0, None, self.status,
        )  # fmt: skip
        self.check(f"run {json.dumps(tensors['outputs'])}")
        read = {
            name: self.read(c.c_void_p(one))
            for name, one in zip(tensors["outputs"], results, strict=True)
        }
        for one in (*values, *results):
            self.tf.TF_DeleteTensor(c.c_void_p(one))
        return read

    def port(self, name):
        """Finds the output that a tensor name such as `"call:2"` means."""
        operation, _, index = name.rpartition(":")
        found = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        if not found:
            raise LookupError(f"the graph has no operation {operation}")
        return Port(found, int(index))

    def tensor(self, one):
        """Makes a `TF_Tensor` of an input."""
        shape, values, dtype = one["shape"], one["values"], one["dtype"]
        size = STRING_BYTES if dtype == "string" else c.sizeof(CTYPES[dtype])
        made = self.tf.TF_AllocateTensor(
            DTYPES[dtype], (c.c_int64 * len(shape))(*shape), len(shape),
            c.c_size_t(len(values) * size),
        )  # fmt: skip
        data = self.tf.TF_TensorData(c.c_void_p(made))
        if dtype != "string":
            c.memmove(data, (CTYPES[dtype] * len(values))(*values), len(values) * size)
            return made
        for place, text in enumerate(values):
            raw = base64.b64decode(text) if "encoding" in one else text.encode("utf-8")
            slot = c.c_void_p(data + place * STRING_BYTES)
            self.tf.TF_StringInit(slot)
            self.tf.TF_StringCopy(slot, raw, c.c_size_t(len(raw)))
        return made

    def read(self, tensor):
        """Turns a `TF_Tensor` into what JSON takes."""
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        dtype, count = NAMES[self.tf.TF_TensorType(tensor)], prod(shape)
        data = self.tf.TF_TensorData(tensor)
        if dtype == "string":
            values = [self.text(data + place * STRING_BYTES) for place in range(count)]
        else:
            values = list((CTYPES[dtype] * count).from_address(data)) if count else []
        return {"dtype": dtype, "shape": shape, "values": values}

    def text(self, address):
        """Reads the `TF_TString` at an address."""
        slot = c.c_void_p(address)
        size = self.tf.TF_StringGetSize(slot)
        return c.string_at(self.tf.TF_StringGetDataPointer(slot), size).decode() if size else ""

    def check(self, doing):
        """Raises what the status says."""
        if self.tf.TF_GetCode(self.status):
            message = c.string_at(self.tf.TF_Message(self.status)).decode("utf-8", "replace")
            raise RuntimeError(f"{doing}: {message}")
