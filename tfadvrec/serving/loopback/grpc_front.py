"""The gRPC face of the loopback server, over the protos of tensorflow-serving-api."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfadvrec.serving.loopback.protos import to_array, to_proto
from tfadvrec.serving.loopback.servable import DEFAULT, LoopbackServable
from tfadvrec.serving.loopback.status import Refused
from tfadvrec.serving.optional_package import optional_package

APIS = "tensorflow_serving.apis"
WORKERS = 40  # more than a batch has requests, since each waits in a thread
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a port that is taken shall be an error
)


class LoopbackGrpc:
    """Serves `PredictionService` and `ModelService` for one servable.

    Args:
        servable: Who answers.
        port: The port on 127.0.0.1; 0 for a free one.

    Raises:
        ImportError: If grpcio or tensorflow-serving-api is not installed.
        OSError: If the port is taken.
    """

    def __init__(self, servable: LoopbackServable, port: int) -> None:
        self.servable = servable
        self.grpc = optional_package("grpc", "The loopback server")
        self.metadata = protos("get_model_metadata_pb2")
        self.predicted = protos("predict_pb2")
        self.states = protos("get_model_status_pb2")
        self.pool = ThreadPoolExecutor(WORKERS)
        self.server = self.grpc.server(self.pool, options=OPTIONS)
        self.add("prediction_service", "PredictionService", "Predict", "GetModelMetadata")
        self.add("model_service", "ModelService", "GetModelStatus")
        try:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError as error:
            self.close()
            raise OSError(f"gRPC port {port} on 127.0.0.1 cannot be had: {error}") from error
        self.server.start()

    def close(self) -> None:
        """Stops serving; requests under way are cut off."""
        self.server.stop(None).wait()
        self.pool.shutdown()

    def add(self, module: str, service: str, *methods: str) -> None:
        """Adds a service, with some of its methods answered; the others are not implemented."""
        stubs = protos(f"{module}_pb2_grpc")
        own = {name: self.handler(getattr(self, name)) for name in methods}
        servicer = type(service, (getattr(stubs, f"{service}Servicer"),), own)()
        getattr(stubs, f"add_{service}Servicer_to_server")(servicer, self.server)

    def handler(self, method: Callable[[Any], Any]) -> Callable[..., Any]:
        """Turns what a method refuses into a gRPC status."""

        def handle(_: Any, request: Any, context: Any) -> Any:
            try:
                return method(request)
            except Refused as error:
                context.abort(getattr(self.grpc.StatusCode, error.code), error.message)

        return handle

    def Predict(self, request: Any) -> Any:
        """Answers a `PredictRequest`."""
        self.find(request)
        name = request.model_spec.signature_name
        outputs = self.servable.predict(
            name,
            {key: to_array(one) for key, one in request.inputs.items()},
            request.output_filter,
        )
        answer = self.predicted.PredictResponse()
        self.stamp(answer)
        answer.model_spec.signature_name = name or DEFAULT
        for key, one in outputs.items():
            answer.outputs[key].CopyFrom(to_proto(one))
        return answer

    def GetModelMetadata(self, request: Any) -> Any:
        """Answers with the signatures, without defaults, which servers hide since 2.20."""
        self.find(request)
        if list(request.metadata_field) != ["signature_def"]:
            raise Refused(
                "INVALID_ARGUMENT",
                f"metadata_field must be 'signature_def', got {list(request.metadata_field)}",
            )
        answer = self.metadata.GetModelMetadataResponse()
        self.stamp(answer)
        answer.metadata["signature_def"].Pack(self.signature_map())
        return answer

    def GetModelStatus(self, request: Any) -> Any:
        """Answers that the version is available."""
        self.find(request)
        answer = self.states.GetModelStatusResponse()
        answer.model_version_status.add(
            version=self.servable.version,
            state=self.states.ModelVersionStatus.AVAILABLE,
            status={},
        )
        return answer

    def signature_map(self) -> Any:
        """The signatures as a server tells them."""
        found = self.metadata.SignatureDefMap()
        for name, one in self.servable.signatures.items():
            found.signature_def[name].CopyFrom(one)
            found.signature_def[name].ClearField("defaults")
        return found

    def find(self, request: Any) -> None:
        """Checks the model and the version of a request."""
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        self.servable.find(spec.name, version)

    def stamp(self, answer: Any) -> None:
        """Says who answered."""
        answer.model_spec.name = self.servable.model
        answer.model_spec.version.value = self.servable.version


def protos(module: str) -> Any:
    """Imports a module of tensorflow-serving-api."""
    return optional_package(f"{APIS}.{module}", "The loopback server")
