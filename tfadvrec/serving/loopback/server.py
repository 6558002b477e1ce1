"""A stand-in for a model server, in this process, for tests and trials."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tfadvrec.serving.contract import FILE, read_contract
from tfadvrec.serving.loopback.batching import Batching
from tfadvrec.serving.loopback.grpc_front import LoopbackGrpc
from tfadvrec.serving.loopback.rest_front import LoopbackRest
from tfadvrec.serving.loopback.servable import LoopbackServable
from tfadvrec.serving.publishing import find_version


class LoopbackServer:
    """Serves a servable on 127.0.0.1, by gRPC and REST, while a `with` block runs.

    It is not `tensorflow_model_server`, and no server to deploy. Real are the C++ loader and
    session, the protos and gRPC; status codes, defaults, `output_filter`, JSON and batching are
    emulated after the server's source. It has one version, looks for no newer ones, and has
    neither encryption nor limits.

    Args:
        base: A base path, which means its newest version, or a version folder.
        model_name: The name to serve it by; the name of the base path by default.
        batching: Whether to merge requests: True with the batch sizes of the contract, or a
            `Batching`.
        port: The port for gRPC; 0 for a free one.
        rest_port: The port for REST; 0 for a free one.

    Raises:
        FileNotFoundError: If there is no version at `base`.
        ImportError: If grpcio or tensorflow-serving-api is not installed.
        OSError: If a port is taken.
        RuntimeError: If the version cannot be loaded, or one of its warm-up records fails.

    Example:

    >>> LoopbackServer("no such folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no such folder is neither a version folder (with a saved_model.pb) nor ...
    """

    def __init__(
        self,
        base: str | Path,
        *,
        model_name: str | None = None,
        batching: bool | Batching = False,
        port: int = 0,
        rest_port: int = 0,
    ) -> None:
        self.folder = find_version(Path(base)).resolve()
        self.version = int(self.folder.name) if self.folder.name.isdecimal() else 1
        named = self.folder.parent if self.folder.name.isdecimal() else self.folder
        self.model = model_name or named.name
        self._ports = port, rest_port
        self.batching = self._rules(batching)

    def _rules(self, batching: bool | Batching) -> Batching | None:
        if isinstance(batching, Batching):
            return batching
        if not batching:
            return None
        if not (self.folder / FILE).exists():
            return Batching()
        return Batching(tuple(read_contract(self.folder)["options"]["batch_sizes"]))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.servable = LoopbackServable(
                self.folder, model=self.model, version=self.version, batching=self.batching
            )
            stack.callback(self.servable.close)
            grpc = LoopbackGrpc(self.servable, self._ports[0])
            stack.callback(grpc.close)
            rest = LoopbackRest(self.servable, grpc, self._ports[1])
            stack.callback(rest.close)
            self.target = f"127.0.0.1:{grpc.port}"
            self.rest_target = f"127.0.0.1:{rest.port}"
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
