"""The files with which a running model server is tried: requests for an editor, and a client."""

import inspect
import json
import pprint
from typing import Any

from tfadvrec.serving.operations import config_texts as texts
from tfadvrec.serving.operations import standalone_client
from tfadvrec.serving.operations.example_requests import example_calls, rest_body

LARGEST = 1_000_000  # characters of an example; a larger one is left out
UNFILLED = "MODELS: dict = {}\n"


def trial_files(contracts: dict[str, dict[str, Any]], port: int, rest_port: int) -> dict[str, str]:
    """Writes `requests.http` and `client.py`, both with one example a signature.

    Args:
        contracts: Model -> contract of the version that is served.
        port: Port of gRPC.
        rest_port: Port of REST.

    Returns:
        File name -> text.
    """
    server = f"http://localhost:{rest_port}"
    blocks = [f"# Requests to a running server, for an editor's HTTP client. {texts.NOTE}\n"]
    models: dict[str, dict[str, Any]] = {}
    for model, contract in contracts.items():
        models[model] = {}
        blocks.append(f"### {model}: state\nGET {server}/v1/models/{model}\n")
        for call in example_calls(contract):
            name, body = call["signature"], rest_body(call)
            text = json.dumps(body, ensure_ascii=False, allow_nan=False)
            fits = len(text) <= LARGEST
            blocks.append(request(f"{server}/v1/models/{model}:predict", f"{model}: {name}", text))
            sides = contract["signatures"][name]
            models[model][name] = {
                "inputs": {key: one["dtype"] for key, one in sides["inputs"].items()},
                "outputs": list(sides["outputs"]),
                "example": body["inputs"] if fits else None,
            }
    return {
        texts.REQUESTS: "\n".join(blocks),
        texts.CLIENT: client(models, port=port, rest_port=rest_port),
    }


def request(url: str, title: str, body: str) -> str:
    """Writes one request of `requests.http`, or that it is too large."""
    if len(body) > LARGEST:
        return f"# {title} is left out: {len(body):,} characters are too many here\n"
    return f"### {title}\nPOST {url}\nContent-Type: application/json\n\n{body}\n"


def client(models: dict[str, Any], *, port: int, rest_port: int) -> str:
    """Writes `client.py`: the module `standalone_client` with its models filled in."""
    filled = pprint.pformat(models, width=100, compact=True, sort_dicts=False)
    text = inspect.getsource(standalone_client)
    for old, new in (
        (UNFILLED, f"MODELS: dict = {filled}\n"),
        ("localhost:8501", f"localhost:{rest_port}"),
        ("localhost:8500", f"localhost:{port}"),
    ):
        if old not in text:
            raise RuntimeError(f"standalone_client.py must have the line part {old!r} to fill in.")
        text = text.replace(old, new)
    return text
