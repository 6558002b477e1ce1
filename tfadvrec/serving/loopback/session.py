"""A saved model in a session of TensorFlow's C++ runtime, in this process."""

import ctypes as c
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from tfadvrec.serving.ladder.c_runtime import DTYPES, NAMES, STRING_BYTES, Port, Runtime
from tfadvrec.serving.ladder.runtimes import libraries, no_c_runtime
from tfadvrec.serving.loopback.status import CODES, Refused

INLINE = STRING_BYTES - 2  # the longest text that lies inside its slot, after one byte of size


class LoopbackSession(Runtime):
    """Loads a version folder with the C++ loader and answers calls of many threads.

    It is the loader and the session that a model server links, reached through `ctypes`, so the
    status codes are the runtime's own. Text is bytes in arrays of objects.

    Args:
        folder: The version folder.

    Raises:
        RuntimeError: If the C runtime cannot be used here, or cannot load the folder.
    """

    def __init__(self, folder: Path) -> None:
        why = no_c_runtime()
        if why:
            raise RuntimeError(f"The loopback server needs TensorFlow's C runtime, but {why}.")
        super().__init__(libraries(), str(folder))
        self.tf.TF_TensorByteSize.restype = c.c_size_t
        self._calls, self._open, self._change = 0, True, threading.Condition()

    def close(self) -> None:
        """Waits for the calls under way, and frees the session and the graph."""
        with self._change:
            self._open = False
            self._change.wait_for(lambda: not self._calls)
        self.tf.TF_DeleteSession(self.session, self.status)
        self.tf.TF_DeleteGraph(self.graph)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Keeps the session open during a call."""
        with self._change:
            if not self._open:
                raise Refused("UNAVAILABLE", "the servable is being unloaded")
            self._calls += 1
        try:
            yield
        finally:
            with self._change:
                self._calls -= 1
                self._change.notify_all()

    def call(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Runs the graph once.

        Args:
            inputs: Arrays by tensor name.
            outputs: Tensor names.

        Returns:
            Arrays by tensor name.

        Raises:
            Refused: With the runtime's status.
        """
        with self.counted(), self.held() as held, self.reported() as status:
            fed = [self.port(name) for name in inputs]
            fetched = [self.port(name) for name in outputs]
            held += [self.to_tensor(array) for array in inputs.values()]
            given = (c.c_void_p * len(held))(*held)
            found = (c.c_void_p * len(fetched))()
            self.tf.TF_SessionRun(
                self.session, None,
                (Port * len(fed))(*fed), given, len(fed),
                (Port * len(fetched))(*fetched), found, len(fetched),
                None, 0, None, status,
            )  # fmt: skip
            held += [one for one in found if one]
            self.raise_for(status)
            arrays = [self.to_array(c.c_void_p(one)) for one in found]
        return dict(zip(outputs, arrays, strict=True))

    @contextmanager
    def held(self) -> Iterator[list[int]]:
        """Gives a list of tensors that are deleted at the end."""
        tensors: list[int] = []
        try:
            yield tensors
        finally:
            for one in tensors:
                self.tf.TF_DeleteTensor(c.c_void_p(one))

    @contextmanager
    def reported(self) -> Iterator[c.c_void_p]:
        """Gives a status of its own, since threads must not share one."""
        status = c.c_void_p(self.tf.TF_NewStatus())
        try:
            yield status
        finally:
            self.tf.TF_DeleteStatus(status)

    def raise_for(self, status: c.c_void_p) -> None:
        """Raises what a status says."""
        code = self.tf.TF_GetCode(status)
        if code:
            message = c.string_at(self.tf.TF_Message(status)).decode("utf-8", "replace")
            raise Refused(CODES[code] if code < len(CODES) else "UNKNOWN", message)

    def to_tensor(self, array: np.ndarray) -> int:
        """Makes a `TF_Tensor`."""
        dtype = "string" if array.dtype == object else array.dtype.name
        if dtype not in DTYPES:
            raise Refused(
                "INVALID_ARGUMENT", f"a tensor must be one of {list(DTYPES)} here, got {dtype}"
            )
        raw, long = array.tobytes() if dtype != "string" else b"", []
        if dtype == "string":
            texts = array.ravel().tolist()
            raw = b"".join(slot(text) for text in texts)
            long = [(place, text) for place, text in enumerate(texts) if len(text) > INLINE]
        made = self.tf.TF_AllocateTensor(
            DTYPES[dtype], (c.c_int64 * array.ndim)(*array.shape), array.ndim, c.c_size_t(len(raw))
        )
        data = self.tf.TF_TensorData(c.c_void_p(made))
        c.memmove(data, raw, len(raw))
        for place, text in long:
            address = c.c_void_p(data + place * STRING_BYTES)
            self.tf.TF_StringCopy(address, text, c.c_size_t(len(text)))
        return made

    def to_array(self, tensor: c.c_void_p) -> np.ndarray:
        """Reads a `TF_Tensor`."""
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        dtype = NAMES[self.tf.TF_TensorType(tensor)]
        data = self.tf.TF_TensorData(tensor)
        if dtype != "string":
            raw = c.string_at(data, self.tf.TF_TensorByteSize(tensor))
            return np.frombuffer(raw, dtype).reshape(shape)
        array = np.empty(prod(shape), object)
        array[:] = self.texts(data, prod(shape))
        return array.reshape(shape)

    def texts(self, data: int, count: int) -> list[bytes]:
        """Reads `TF_TString`s: short ones from their slots, long ones where they point."""
        raw = c.string_at(data, count * STRING_BYTES) if count else b""
        found = []
        for place in range(0, count * STRING_BYTES, STRING_BYTES):
            size, kind = divmod(raw[place], 4)
            if kind == 0:
                found.append(raw[place + 1 : place + 1 + size])
                continue
            address = c.c_void_p(data + place)
            size = self.tf.TF_StringGetSize(address)
            found.append(c.string_at(self.tf.TF_StringGetDataPointer(address), size))
        return found


def slot(text: bytes) -> bytes:
    """Makes the slot of a `TF_TString`: a short text inside, else that of an empty one."""
    if len(text) > INLINE:
        return bytes(STRING_BYTES)
    return bytes((len(text) * 4,)) + text.ljust(STRING_BYTES - 1, b"\0")
