"""Starts a real `tensorflow_model_server` and speaks with it: gRPC by its protos, REST by hand."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress

import numpy as np

from tfadvrec.serving.graph.signatures import MASKED_SCORE
from tfadvrec.serving.ladder.python_runtime import plain
from tfadvrec.serving.ladder.verification import with_defaults

SECONDS = 60
SIX_DIGITS = -3.4028e38  # REST prints six digits, so the masked score comes back rounded


class ModelServer:
    """One running server; leaving the `with` block ends it.

    Args:
        binary: Path of `tensorflow_model_server`.
        base: The base path of the versions.
        room: A folder for the log.
        *flags: More flags of the server.
    """

    def __init__(self, binary, base, room, *flags):
        self.name, self.log = "rec", room / "model_server.log"
        self.port, self.rest_port = free_port(), free_port()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    binary,
                    f"--port={self.port}",
                    f"--rest_api_port={self.rest_port}",
                    f"--model_name={self.name}",
                    f"--model_base_path={base.resolve()}",
                    "--file_system_poll_wait_seconds=1",
                    *flags,
                ],
                stdout=log,
                stderr=log,
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "0"},
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self):
        """What the server has logged."""
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, version, state="AVAILABLE"):
        """Waits until a version has a state; fails with the log where it does not come."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the server has ended: {self.said()[-3000:]}"
            with suppress(OSError):
                status = self.rest(f"/v1/models/{self.name}")["model_version_status"]
                if (str(version), state) in [(one["version"], one["state"]) for one in status]:
                    return
            time.sleep(0.1)
        raise AssertionError(f"version {version} is not {state}: {self.said()[-3000:]}")

    def rest(self, path, body=None):
        """Asks by REST; the answer must be JSON in the strict sense."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read(), parse_constant=refuse)

    def predict_by_rest(self, call, contract):
        """Answers a call by columns; inputs that are left out get the contract's defaults."""
        sides = contract["signatures"][call["signature"]]
        whole = with_defaults(call, contract["signatures"])["inputs"]
        inputs = {name: nested(one) for name, one in whole.items()}
        body = {"signature_name": call["signature"], "inputs": inputs}
        outputs = self.rest(f"/v1/models/{self.name}:predict", body)["outputs"]
        if len(sides["outputs"]) == 1:
            outputs = dict.fromkeys(sides["outputs"], outputs)
        return {name: read(outputs[name], one["dtype"]) for name, one in sides["outputs"].items()}

    def stub(self):
        """The stub of the PredictionService."""
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        return prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def request(self, call, model=None):
        """A call as a `PredictRequest`."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = model or self.name
        request.model_spec.signature_name = call["signature"]
        for name, one in call["inputs"].items():
            tensor = tf.make_tensor_proto(one["values"], one["dtype"], one["shape"])
            request.inputs[name].CopyFrom(tensor)
        return request

    def predict(self, call):
        """Answers a call by gRPC."""
        import tensorflow as tf

        answer = self.stub().Predict(self.request(call), timeout=SECONDS)
        return {name: plain(tf.make_ndarray(one)) for name, one in answer.outputs.items()}


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def refuse(constant):
    """Refuses NaN and infinities, which are no JSON."""
    raise ValueError(f"{constant} is not JSON")


def nested(tensor):
    """A tensor's values as nested lists."""
    return np.array(tensor["values"], object).reshape(tensor["shape"]).tolist()


def read(values, dtype):
    """Nested lists as a tensor; a masked score that was rounded is the masked score again."""
    array = np.array(values, object if dtype == "string" else dtype)
    if dtype == "float32":
        array = np.where(array <= SIX_DIGITS, np.float32(MASKED_SCORE), array)
    if dtype == "string":
        return {"dtype": dtype, "shape": list(array.shape), "values": array.ravel().tolist()}
    return plain(array)
