"""The REST face of the loopback server."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tfadvrec.serving.loopback import json_text as loopback_json
from tfadvrec.serving.loopback.grpc_front import LoopbackGrpc
from tfadvrec.serving.loopback.servable import LoopbackServable
from tfadvrec.serving.loopback.status import HTTP, Refused
from tfadvrec.serving.optional_package import optional_package

PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)?")
METHODS = {":predict": "POST", "/metadata": "GET", None: "GET"}


class LoopbackRest:
    """Serves `/v1/models/...` for one servable.

    Args:
        servable: Who answers.
        grpc: The gRPC face, which knows the metadata and the status.
        port: The port on 127.0.0.1; 0 for a free one.

    Raises:
        OSError: If the port is taken.
    """

    def __init__(self, servable: LoopbackServable, grpc: LoopbackGrpc, port: int) -> None:
        self.servable, self.grpc = servable, grpc
        self.printed = optional_package("google.protobuf.json_format", "The loopback server")
        try:
            self.server = ThreadingHTTPServer(("127.0.0.1", port), handler(self))
        except OSError as error:
            raise OSError(f"REST port {port} on 127.0.0.1 cannot be had: {error}") from error
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stops serving."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        """Answers one request.

        Args:
            method: `"GET"` or `"POST"`.
            path: The path.
            body: What was sent.

        Returns:
            The HTTP status and the text.
        """
        try:
            found = PATH.fullmatch(path)
            if not found or METHODS[found[3]] != method:
                raise Refused("INVALID_ARGUMENT", f"this server does not know {method} {path}")
            self.servable.find(found[1], int(found[2]) if found[2] else None)
            if found[3] == ":predict":
                return 200, self.predict(body)
            return 200, self.metadata() if found[3] else self.status()
        except Refused as error:
            return HTTP.get(error.code, 500), json.dumps({"error": error.message})

    def predict(self, body: bytes) -> str:
        """Answers `:predict`; here an unknown signature is an invalid argument."""
        request = loopback_json.parse(body)
        name = request.get("signature_name", "")
        try:
            signature = self.servable.signature(name)
        except Refused as error:
            raise Refused("INVALID_ARGUMENT", error.message) from error
        inputs = loopback_json.arrays(request, signature.inputs)
        outputs = self.servable.predict(name, inputs, ())
        return loopback_json.render(outputs, rows=loopback_json.ROWS in request)

    def metadata(self) -> str:
        """Answers `/metadata`."""
        spec = {"name": self.servable.model, "version": str(self.servable.version)}
        spec["signature_name"] = ""
        signatures = self.plain(self.grpc.signature_map())
        return json.dumps({"model_spec": spec, "metadata": {"signature_def": signatures}})

    def status(self) -> str:
        """Answers with the state of the version."""
        state = {
            "version": str(self.servable.version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return json.dumps({"model_version_status": [state]})

    def plain(self, message: Any) -> dict[str, Any]:
        """Turns a message into JSON's types, with the fields that have no value."""
        return self.printed.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )


def handler(rest: LoopbackRest) -> type[BaseHTTPRequestHandler]:
    """Makes the class that the HTTP server wants."""

    class Handler(BaseHTTPRequestHandler):
        """Reads a request and writes what `rest` answers."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply("GET", b"")

        def do_POST(self) -> None:
            self.reply("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def reply(self, method: str, body: bytes) -> None:
            code, text = rest.answer(method, self.path, body)
            raw = text.encode("utf-8")
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    return Handler
