"""Asks a model server by REST, with the standard library alone."""

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from tfadvrec.serving.client.serving_error import ServingError

CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
DTYPES = {
    "DT_FLOAT": "float32",
    "DT_INT32": "int32",
    "DT_STRING": "string",
    "DT_INT64": "int64",
    "DT_BOOL": "bool",
}
Tensors = dict[str, dict[str, Any]]


class RestClient:
    """Speaks `/v1/models/...`, one connection a request.

    Args:
        target: `host:port`, or a URL, whose path stands before `/v1`.
        model: Name of the model.
        timeout: Seconds to wait for the connection and for each part of the answer.

    Raises:
        ValueError: If the target is neither.
    """

    protocol = "rest"

    def __init__(self, target: str, model: str, *, timeout: float) -> None:
        self.target, self.model, self.timeout = target, model, timeout
        url = urlsplit(target if "://" in target else f"http://{target}")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(
                "Client(protocol='rest') expects a target such as 'host:8501' or "
                f"'https://host/path', got {target!r}."
            )
        self.connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        self.place = url.netloc.rpartition("@")[2]
        self.path = f"{url.path.rstrip('/')}/v1/models/{quote(model, safe='')}"

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def ask(self, method: str, path: str, body: Any, signature: str | None) -> Any:
        """Sends one request and reads the JSON that comes back."""
        code, said = "UNAVAILABLE", ""
        try:
            connection = self.connect(self.place, timeout=self.timeout)
            try:
                raw = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8")
                connection.request(method, path, raw, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            finally:
                connection.close()
            if answer.status == 200:
                return json.loads(text)
            code, said = CODES.get(answer.status, "UNKNOWN"), message(text)
        except TimeoutError:
            code = "DEADLINE_EXCEEDED"
        except (OSError, HTTPException, ValueError) as error:
            said = str(error) or type(error).__name__
        raise ServingError(
            code,
            said,
            target=self.target,
            model=self.model,
            signature=signature,
            protocol=self.protocol,
            timeout=self.timeout,
        )

    def predict(self, signature: str, inputs: Tensors, outputs: Tensors) -> Tensors:
        """Asks one signature.

        Args:
            signature: Its name.
            inputs: Tensors `{"dtype", "shape", "values"}` with flat values.
            outputs: The outputs by the metadata, which know the dtypes.

        Returns:
            Tensors in the same form.

        Raises:
            ServingError: If there is no answer.
        """
        columns = {name: nested(one["values"], one["shape"]) for name, one in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        found = self.ask("POST", f"{self.path}:predict", body, signature)["outputs"]
        if len(outputs) == 1:  # a single output comes without its name
            found = dict.fromkeys(outputs, found)
        return {name: flat(found[name], one) for name, one in outputs.items()}

    def metadata(self) -> dict[str, Any]:
        """Asks for the version and the signatures."""
        answer = self.ask("GET", f"{self.path}/metadata", None, None)
        found = answer["metadata"]["signature_def"]["signature_def"]
        return {
            "version": int(answer["model_spec"]["version"]),
            "signatures": {
                name: {"inputs": described(one["inputs"]), "outputs": described(one["outputs"])}
                for name, one in found.items()
            },
        }


def message(text: bytes) -> str:
    """Finds what an error's body says."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.decode("utf-8", "replace")[:300]


def described(tensors: dict[str, Any]) -> Tensors:
    """Describes the inputs or outputs of a signature; numbers come as text."""
    return {
        name: {
            "dtype": DTYPES.get(one["dtype"], one["dtype"]),
            "shape": [int(dim["size"]) for dim in one["tensor_shape"].get("dim", ())],
        }
        for name, one in tensors.items()
    }


def nested(values: list[Any], shape: list[int]) -> Any:
    """Turns flat values into nested lists.

    Example:

    >>> nested([1, 2, 3, 4], [2, 2])
    [[1, 2], [3, 4]]
    """
    if not shape:
        return values[0]
    if len(shape) == 1:
        return list(values)
    step = len(values) // shape[0] if shape[0] else 0
    return [nested(values[row * step :][:step], shape[1:]) for row in range(shape[0])]


def flat(value: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Turns nested lists into a tensor."""
    shape, values = [], [value]
    for _ in spec["shape"]:
        shape.append(len(values[0]) if values else 0)
        values = [one for each in values for one in each]
    return {"dtype": spec["dtype"], "shape": shape, "values": values}
