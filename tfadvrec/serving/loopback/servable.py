"""A version folder as a model server holds it: loaded, warmed up, and answering `Predict`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2

from tfadvrec.serving.ladder.graph_audit import read_meta_graph
from tfadvrec.serving.loopback.batching import Batching
from tfadvrec.serving.loopback.merging import BatchQueue
from tfadvrec.serving.loopback.protos import to_array
from tfadvrec.serving.loopback.session import LoopbackSession
from tfadvrec.serving.loopback.status import Refused
from tfadvrec.serving.operations import warm_up
from tfadvrec.serving.optional_package import optional_package

DEFAULT = "serving_default"
Arrays = dict[str, np.ndarray]


class LoopbackServable:
    """Loads one version and answers requests to it.

    Args:
        folder: The version folder.
        model: The name under which it is served.
        version: Its number.
        batching: How requests are merged; None for each on its own.

    Raises:
        RuntimeError: If it cannot be loaded, or a warm-up record fails.
    """

    def __init__(
        self, folder: Path, *, model: str, version: int, batching: Batching | None = None
    ) -> None:
        self.folder, self.model, self.version = folder, model, version
        self.signatures = dict(read_meta_graph(folder).signature_def)
        self.session = LoopbackSession(folder)
        self._run: Any = self.session.call
        if batching:
            self._run = BatchQueue(batching, self.session.call).run
        try:
            self.warm_up_records = self.replay()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unloads it."""
        self.session.close()

    def replay(self) -> int:
        """Answers the warm-up records, as a server does before a version becomes available.

        Returns:
            How many there are.

        Raises:
            RuntimeError: If the file is corrupt, has too many records, or one cannot be answered.
        """
        path = self.folder / warm_up.FILE
        if not path.exists():
            return 0
        logs, number = optional_package(warm_up.PROTOS, "The loopback server"), 0
        try:
            for number, raw in enumerate(warm_up.records(path), 1):
                if number > warm_up.MAX_RECORDS:
                    raise ValueError(f"there are more than {warm_up.MAX_RECORDS} records")
                request = predict_request(logs, raw)
                inputs = {name: to_array(one) for name, one in request.inputs.items()}
                self.predict(request.model_spec.signature_name, inputs, request.output_filter)
        except (ValueError, Refused) as error:
            raise RuntimeError(
                f"{path}: the version is not loaded, because its warm-up failed at record "
                f"{number}: {error}. Export it again."
            ) from error
        return number

    def find(self, model: str, version: int | None = None) -> None:
        """Checks that a request means this version.

        Raises:
            Refused: If it does not.
        """
        if not model:
            raise Refused("INVALID_ARGUMENT", "the request names no model")
        if model != self.model or version not in (None, self.version):
            named = model if version is None else f"{model}, version {version}"
            raise Refused("NOT_FOUND", f"no servable is loaded for the request: {named}")

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """Finds a signature; the empty name is the default one.

        Raises:
            Refused: If there is none.
        """
        found = self.signatures.get(name or DEFAULT)
        if found is None:
            raise Refused("FAILED_PRECONDITION", f"there is no signature {name or DEFAULT!r}")
        return found

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str]
    ) -> Arrays:
        """Answers one request.

        Args:
            signature_name: The signature; empty for the default one.
            inputs: Arrays by input.
            output_filter: The outputs that are wanted; all where empty.

        Returns:
            Arrays by output.

        Raises:
            Refused: With the status that a server would give.
        """
        signature = self.signature(signature_name)
        fed = fill(signature, inputs)
        outputs = chosen(signature, output_filter)
        found = self._run(fed, tuple(outputs.values()))
        return {name: found[tensor] for name, tensor in outputs.items()}


def fill(signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Gives every input of a signature its array, by tensor name: the request's or the default."""
    extra = sorted(set(inputs) - set(signature.inputs))
    missing = sorted(set(signature.inputs) - set(inputs) - set(signature.defaults))
    if extra or missing:
        raise Refused(
            "INVALID_ARGUMENT",
            f"the inputs must be {sorted(signature.inputs)}; missing: {missing}, unknown: {extra}",
        )
    return {
        one.name: inputs[name] if name in inputs else to_array(signature.defaults[name])
        for name, one in signature.inputs.items()
    }


def chosen(signature: meta_graph_pb2.SignatureDef, wanted: Sequence[str]) -> dict[str, str]:
    """Lists the outputs that are wanted, with their tensor names."""
    unknown = [name for name in wanted if name not in signature.outputs]
    if unknown or len(set(wanted)) < len(wanted):
        raise Refused(
            "INVALID_ARGUMENT",
            f"output_filter must name different outputs out of {sorted(signature.outputs)}, got "
            f"{list(wanted)}",
        )
    return {name: signature.outputs[name].name for name in wanted or sorted(signature.outputs)}


def predict_request(logs: Any, raw: bytes) -> Any:
    """Parses a warm-up record."""
    try:
        log = logs.PredictionLog.FromString(raw)
    except DecodeError as error:
        raise ValueError(f"it is no PredictionLog ({error})") from error
    if log.WhichOneof("log_type") != "predict_log":
        raise ValueError(f"it must be a predict_log, it is {log.WhichOneof('log_type')}")
    return log.predict_log.request
