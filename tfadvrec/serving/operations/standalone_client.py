"""Asks a model server for what the models of this folder offer.

    python client.py                                     every example, over REST
    python client.py --grpc                              every example, over gRPC
    python client.py MODEL SIGNATURE '{"user_id": ["7"]}'  a request of your own

REST needs Python alone; gRPC needs the packages grpcio and tensorflow-serving-api.
Written by `tfadvrec serving config`, which replaces this file.
"""

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request

# model -> signature -> {"inputs": {name: dtype}, "outputs": [name], "example": {name: values}}
MODELS: dict = {}


class Refused(Exception):
    """The server cannot be reached, or does not answer the request."""


def ask_rest(server, model, signature, inputs, timeout):
    """Asks over REST; gives output -> values."""
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode("utf-8")
    url = f"{server}/v1/models/{model}:predict"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            outputs = json.load(answer)["outputs"]
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode("utf-8", "replace")
        raise Refused(f"{url} answers {error.code}: {text}") from None
    except OSError as error:
        raise Refused(f"{url} cannot be reached: {error}. Is the server running?") from None
    names = MODELS[model][signature]["outputs"]
    return {names[0]: outputs} if len(names) == 1 else outputs  # REST leaves an only name out


def ask_grpc(target, model, signature, inputs, timeout):
    """Asks over gRPC; gives output -> values."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, values in inputs.items():
        dtype = MODELS[model][signature]["inputs"][name]
        request.inputs[name].CopyFrom(tf.make_tensor_proto(as_bytes(values), dtype))
    with grpc.insecure_channel(target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            answer = stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(f"{target} answers {error.code().name}: {error.details()}") from None
    return {name: as_text(tf.make_ndarray(one).tolist()) for name, one in answer.outputs.items()}


def as_bytes(values):
    """Turns REST's `{"b64": ...}` into bytes, in lists of any depth."""
    if isinstance(values, list):
        return [as_bytes(one) for one in values]
    return base64.b64decode(values["b64"]) if isinstance(values, dict) else values


def as_text(values):
    """Turns bytes into text, in lists of any depth."""
    if isinstance(values, list):
        return [as_text(one) for one in values]
    return values.decode("utf-8", "replace") if isinstance(values, bytes) else values


def chosen(arguments):
    """Lists model, signature and inputs of what is to be asked."""
    if arguments.model is not None and arguments.model not in MODELS:
        raise Refused(f"there is no model {arguments.model!r}, there are {list(MODELS)}")
    for model, signatures in MODELS.items():
        if arguments.model not in (None, model):
            continue
        if arguments.signature is not None and arguments.signature not in signatures:
            raise Refused(f"{model} has no {arguments.signature!r}, it has {list(signatures)}")
        for signature, one in signatures.items():
            if arguments.signature in (None, signature):
                given = json.loads(arguments.inputs) if arguments.inputs else one["example"]
                unknown = sorted(set(given or {}) - set(one["inputs"]))
                if unknown:
                    expected = list(one["inputs"])
                    raise Refused(f"{signature} has no inputs {unknown}, it has {expected}")
                yield model, signature, given


def main():
    """Asks, and prints one line of JSON an answer; exits with 1 where there is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="one model; all by default")
    parser.add_argument("signature", nargs="?", help="one signature; all by default")
    parser.add_argument("inputs", nargs="?", help="JSON: input -> values; the example by default")
    parser.add_argument("--grpc", action="store_true", help="ask over gRPC, not REST")
    parser.add_argument("--rest-server", default="http://localhost:8501", help="where REST is")
    parser.add_argument("--grpc-target", default="localhost:8500", help="where gRPC is")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for an answer")
    arguments = parser.parse_args()
    ask, where = (
        (ask_grpc, arguments.grpc_target) if arguments.grpc else (ask_rest, arguments.rest_server)
    )
    try:
        for model, signature, inputs in chosen(arguments):
            if inputs is None:
                print(f"{signature} of {model}: too large for an example", file=sys.stderr)
                continue
            outputs = ask(where, model, signature, inputs, arguments.timeout)
            said = {"model": model, "signature": signature, "outputs": outputs}
            print(json.dumps(said, ensure_ascii=False))
    except Refused as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
