"""The stand-in for a model server: real protos, loader and session; what it refuses, and how."""

import json
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.plain_servable import save_plain
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.tensors import raw_strings
from tfadvrec.serving.loopback.batching import Batching
from tfadvrec.serving.loopback.json_text import decimal
from tfadvrec.serving.loopback.server import LoopbackServer
from tfadvrec.serving.loopback.session import LoopbackSession
from tfadvrec.serving.operations import warm_up

grpc = pytest.importorskip("grpc", reason="NOT TESTED: grpcio is not installed")
apis = pytest.importorskip(
    "tensorflow_serving.apis", reason="NOT TESTED: tensorflow-serving-api is not installed"
)
from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)


@pytest.fixture(scope="module")
def toy_base(tmp_path_factory):
    base = tmp_path_factory.mktemp("served") / "toy"
    save_plain(base / "3")
    return base


@pytest.fixture(scope="module")
def toy(toy_base):
    with LoopbackServer(toy_base) as server:
        yield server


@pytest.fixture(scope="module")
def rec(published):
    with LoopbackServer(Path(published[1].path).parent) as server:
        yield server


def stub(server, kind=prediction_service_pb2_grpc.PredictionServiceStub):
    options = [("grpc.enable_http_proxy", 0)]
    return kind(grpc.insecure_channel(server.target, options=options))


def request(model, signature="", *, version=None, outputs=(), **inputs):
    made = predict_pb2.PredictRequest(output_filter=outputs)
    made.model_spec.name, made.model_spec.signature_name = model, signature
    if version is not None:
        made.model_spec.version.value = version
    for name, one in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(one))
    return made


def predicted(server, *words, **inputs):
    answer = stub(server).Predict(request(server.model, *words, **inputs), timeout=30)
    return {name: tf.make_ndarray(one) for name, one in answer.outputs.items()}


def refusal(call, *words):
    with pytest.raises(grpc.RpcError) as failed:
        call(*words, timeout=30)
    return failed.value.code().name


def rest(server, path, body=None):
    url = f"http://{server.rest_target}/v1/models/{path}"
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data), timeout=30) as answer:
            return answer.status, strict(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, strict(error.read())


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def plain(array):
    values = array.ravel().tolist()
    if array.dtype == object:
        return {
            "dtype": "string",
            "shape": list(array.shape),
            "values": [one.decode() for one in values],
        }
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": values}


def proto(tensor):
    values = raw_strings(tensor) if tensor["dtype"] == "string" else tensor["values"]
    return tf.make_tensor_proto(values, tensor["dtype"], tensor["shape"])


def test_every_probe_call_is_answered_over_grpc_as_the_model_answers(published, rec):
    contract = read_contract(Path(published[1].path))
    assert {call["signature"] for call in contract["probe"]} == set(contract["signatures"])
    for call in contract["probe"]:
        asked = request("rec", call["signature"])
        for name, one in call["inputs"].items():
            asked.inputs[name].CopyFrom(proto(one))
        answer = stub(rec).Predict(asked, timeout=30)
        assert (answer.model_spec.signature_name, answer.model_spec.version.value) == (
            call["signature"],
            1,
        )
        served = {name: plain(tf.make_ndarray(one)) for name, one in answer.outputs.items()}
        assert compare(call, served)[1] == []


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_every_probe_call_is_answered_over_rest_in_strict_json(published, rec, form):
    contract = read_contract(Path(published[1].path))
    for call in contract["probe"]:
        spec = contract["signatures"][call["signature"]]
        if set(spec["inputs"]) != set(call["inputs"]):
            continue  # REST knows no defaults
        columns = {
            name: np.array(
                [{"b64": one} for one in tensor["values"]]
                if "encoding" in tensor
                else tensor["values"],
                object,
            )
            .reshape(tensor["shape"])
            .tolist()
            for name, tensor in call["inputs"].items()
        }
        given = columns
        if form == "instances":
            given = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
        status, answer = rest(
            rec, "rec:predict", {"signature_name": call["signature"], form: given}
        )
        assert status == 200
        found = answer["outputs"] if form == "inputs" else answer["predictions"]
        if form == "instances":
            found = {name: [row[name] for row in found] for name in spec["outputs"]}
        served = {
            name: plain(
                np.array(found[name], one["dtype"])
                if one["dtype"] != "string"
                else np.char.encode(np.array(found[name])).astype(object)
            )
            for name, one in spec["outputs"].items()
        }
        assert compare(call, served)[1] == []


def test_every_dtype_and_length_of_text_travels_both_ways(toy):
    texts = [["é" * (length // 2) + "x" * (length % 2) for length in row] for row in
             (range(0, 30), range(30, 60))]  # fmt: skip
    small, large = np.array([-1, 2**31 - 1], np.int32), np.array([-(2**62), 3])
    flag = np.array([True, False])
    answer = predicted(toy, "echo", text=texts, small=small, large=large, flag=flag)
    assert [[one.decode() for one in row] for row in answer["text"]] == texts
    for name, one in {"small": small, "large": large, "flag": flag}.items():
        assert answer[name].dtype == one.dtype
        np.testing.assert_array_equal(answer[name], one)
    assert predicted(toy, "join", text=np.empty([1, 0], "S1"))["joined"].tolist() == [b""]
    columns = {"text": texts, "small": [1, 2], "large": [2**53, 4], "flag": [True, False]}
    body = {"signature_name": "echo", "inputs": columns}
    assert rest(toy, "toy:predict", body) == (200, {"outputs": columns})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [10.5, 20.5]),
        ({"factor": [2.0]}, [2.5, 4.5]),
        ({"shift": [1.0]}, [11.0, 21.0]),
        ({"factor": [3.0], "shift": [0.0]}, [3.0, 6.0]),
    ],
)
def test_defaults_fill_what_a_grpc_request_leaves_out(toy, given, expected):
    assert predicted(toy, "affine", x=[1.0, 2.0], **given)["result"].tolist() == expected


def test_rest_and_batches_have_no_use_for_defaults(toy, toy_base):
    body = {"signature_name": "affine", "inputs": {"x": [1.0], "factor": [2.0]}}
    status, answer = rest(toy, "toy:predict", body)
    assert (status, "['shift'] are missing" in answer["error"]) == (400, True)
    row = {"signature_name": "affine", "instances": [{"x": 1.0, "factor": 2.0}]}
    assert rest(toy, "toy:predict", row)[0] == 400
    with LoopbackServer(toy_base, batching=True) as server:
        assert predicted(server, "affine", x=[1.0])["result"].tolist() == [10.5]
        asked = request("toy", "affine", x=[1.0, 2.0])
        assert refusal(stub(server).Predict, asked) == "INVALID_ARGUMENT"


def test_status_codes_are_those_of_a_server(toy):
    ask = stub(toy).Predict
    x = [1.0]
    assert refusal(ask, request("toy", "none", x=x)) == "FAILED_PRECONDITION"
    assert refusal(ask, request("toy")) == "INVALID_ARGUMENT"
    assert refusal(ask, request("toy", x=x, z=x)) == "INVALID_ARGUMENT"
    assert refusal(ask, request("toy", x=["text"])) == "INVALID_ARGUMENT"
    assert refusal(ask, request("other", x=x)) == "NOT_FOUND"
    assert refusal(ask, request("toy", version=4, x=x)) == "NOT_FOUND"
    assert refusal(ask, request("", x=x)) == "INVALID_ARGUMENT"
    asked = classification_pb2.ClassificationRequest()
    assert refusal(stub(toy).Classify, asked) == "UNIMPLEMENTED"
    assert ask(request("toy", version=3, x=x), timeout=30).outputs["y"].float_val == [2.0]


def test_status_codes_of_rest(toy):
    def ask(path, body=None):
        return rest(toy, path, body)[0]

    good = {"inputs": [1.0]}
    assert ask("toy:predict", good) == 200
    assert ask("toy/versions/3:predict", good) == 200
    assert ask("toy/versions/4:predict", good) == 404
    assert ask("other:predict", good) == 404
    assert ask("toy:classify", good) == 400
    assert ask("toy:predict") == 400  # GET
    for bad in (
        {"signature_name": "none", **good},
        {"signature_name": 3, **good},
        {},
        {"inputs": [1.0], "instances": [1.0]},
        {"inputs": {"z": [1.0]}},
        {"inputs": ["text"]},
        {"inputs": [[1.0], [2.0, 3.0]]},
        {"inputs": [1.0, [2.0]]},
        {"inputs": [True]},
        {"instances": []},
        {"instances": [{"z": 1.0}]},
        {"instances": [1.0, {"x": 1.0}]},
    ):
        assert ask("toy:predict", bad) == 400, bad
    scalar = {"signature_name": "total", "instances": [1.0]}
    assert rest(toy, "toy:predict", scalar)[0] == 400
    assert rest(toy, "toy:predict", {**scalar, "instances": None, "inputs": [1.0, 2.0]})[0] == 400
    assert rest(toy, "toy:predict", {"signature_name": "total", "inputs": [1.0, 2.0]}) == (
        200,
        {"outputs": 3.0},
    )
    assert rest(toy, "toy:predict", {"instances": [1, 2.5]}) == (200, {"predictions": [2.0, 3.5]})


def test_output_filter_chooses_and_checks_outputs(toy):
    answer = predicted(toy, "affine", x=[1.0], outputs=["positive"])
    assert {name: one.tolist() for name, one in answer.items()} == {"positive": [True]}
    for bad in (["none"], ["positive", "positive"]):
        asked = request("toy", "affine", x=[1.0], outputs=bad)
        assert refusal(stub(toy).Predict, asked) == "INVALID_ARGUMENT"


def test_metadata_has_the_signatures_and_hides_defaults(toy):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "toy"
    answer = stub(toy).GetModelMetadata(asked, timeout=30)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def["affine"].inputs) == {"x", "factor", "shift"}
    assert not found.signature_def["affine"].defaults
    assert len(toy.servable.signatures["affine"].defaults) == 2
    assert answer.model_spec.version.value == 3
    over_rest = rest(toy, "toy/metadata")[1]
    spec = over_rest["metadata"]["signature_def"]["signature_def"]["generate"]["inputs"]["seed"]
    assert spec["dtype"] == "DT_INT64"
    assert [dim["size"] for dim in spec["tensor_shape"]["dim"]] == ["-1", "2"]
    asked.metadata_field[0] = "else"
    assert refusal(stub(toy).GetModelMetadata, asked) == "INVALID_ARGUMENT"


def test_status_says_that_the_version_is_available(toy):
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "toy"
    service = stub(toy, model_service_pb2_grpc.ModelServiceStub)
    (state,) = service.GetModelStatus(asked, timeout=30).model_version_status
    assert (state.version, state.state) == (3, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    asked.model_spec.version.value = 4
    assert refusal(service.GetModelStatus, asked) == "NOT_FOUND"
    assert rest(toy, "toy")[1]["model_version_status"][0]["state"] == "AVAILABLE"


def test_highest_version_or_the_given_one_is_served_by_the_given_name(toy_base, tmp_path):
    for number in ("9", "10", ".tmp-11-ab"):
        shutil.copytree(toy_base / "3", tmp_path / "base" / number)
    with LoopbackServer(tmp_path / "base", model_name="other") as server:
        assert (server.model, server.version) == ("other", 10)
    older = LoopbackServer(tmp_path / "base" / "9")
    assert (older.model, older.version) == ("base", 9)
    with pytest.raises(FileNotFoundError, match="neither a version folder"):
        LoopbackServer(tmp_path / "none")


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind(toy, toy_base):
    taken = {name: int(one.split(":")[1]) for name, one in
             (("port", toy.target), ("rest_port", toy.rest_target))}  # fmt: skip
    for name, port in taken.items():
        with (
            pytest.raises(OSError, match=f"port {port} on 127.0.0.1 cannot be had"),
            LoopbackServer(toy_base, **{name: port}),
        ):
            pass


def test_loader_refuses_what_is_no_saved_model(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(RuntimeError, match="Could not find SavedModel"):
        LoopbackSession(tmp_path / "1")


def record(signature="affine", **inputs):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request("toy", signature, **inputs))
    return log.SerializeToString()


def with_records(toy_base, base, records):
    folder = shutil.copytree(toy_base / "3", base / "1")
    path = folder / warm_up.FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in records:
            writer.write(one)
    return path


def test_warm_up_records_are_replayed_before_anything_is_served(toy_base, tmp_path):
    x = np.ones(3, np.float32)
    with_records(toy_base, tmp_path, [record(x=x, factor=x, shift=x)] * 4)
    for batching in (False, True):
        with LoopbackServer(tmp_path, batching=batching) as server:
            assert server.servable.warm_up_records == 4


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record("none", x=[1.0])], "record 1: FAILED_PRECONDITION: there is no signature 'none'"),
        ([record(x=[1.0]), record()], "record 2: INVALID_ARGUMENT: the inputs must be"),
        ([b"no proto"], "it is no PredictionLog"),
        ([prediction_log_pb2.PredictionLog().SerializeToString()], "must be a predict_log"),
        ([record(x=[1.0])] * 1001, "more than 1000 records"),
    ],
)
def test_a_bad_warm_up_record_keeps_the_version_from_loading(toy_base, tmp_path, records, message):
    with_records(toy_base, tmp_path, records)
    with pytest.raises(RuntimeError, match=message), LoopbackServer(tmp_path):
        pass


def test_a_corrupt_warm_up_file_keeps_the_version_from_loading(toy_base, tmp_path):
    path = with_records(toy_base, tmp_path, [record(x=[1.0])] * 3)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1
    path.write_bytes(raw)
    with pytest.raises(RuntimeError, match="is corrupt"), LoopbackServer(tmp_path):
        pass


def test_threads_get_their_own_answers_and_errors(toy):
    wrong = []

    def ask(number):
        nonlocal wrong
        for turn in range(25):
            if (number + turn) % 3 == 0:
                code = refusal(stub(toy).Predict, request("toy", x=[str(number)]))
                wrong += [code] if code != "INVALID_ARGUMENT" else []
                continue
            x = np.full(1 + turn, number, np.float32)
            if predicted(toy, x=x)["y"].tolist() != (x + 1).tolist():
                wrong += [(number, turn)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_exports_own_warm_up_records_are_replayed(published, rec):
    written = read_contract(Path(published[1].path))["warmup"]["records"]
    assert rec.servable.warm_up_records == written > 0


def test_requests_of_many_clients_are_merged_and_answered_apart(toy_base):
    rules = Batching((1, 4), timeout=5.0)
    with LoopbackServer(toy_base, batching=rules) as server:
        calls = []
        compute = server.servable.session.call
        queue = server.servable._run.__self__
        queue._run = lambda inputs, outputs: calls.append(inputs) or compute(inputs, outputs)
        answers = {}

        def ask(number):
            answers[number] = predicted(server, x=[float(number)])["y"].tolist()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {number: [number + 1.0] for number in range(8)}
    assert [len(next(iter(one.values()))) for one in calls] == [4, 4]


def test_strangers_of_another_width_fail_with_the_batch(toy_base):
    rules = Batching((4,), timeout=5.0)
    with LoopbackServer(toy_base, batching=rules) as server:
        codes = []

        def ask(text):
            codes.append(refusal(stub(server).Predict, request("toy", "join", text=text)))

        threads = [
            threading.Thread(target=ask, args=(text,))
            for text in ([["a", "b"]] * 2, [["a", "b", "c"]] * 2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == ["FAILED_PRECONDITION"] * 2
        too_many = request("toy", "join", text=[["a"]] * 5)
        assert refusal(stub(server).Predict, too_many) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.333333343"),
        (2, "2.0"),
        (9e6, "9e+06"),
        (-3.4028235e38, "-3.40282347e+38"),
        (np.nan, "NaN"),
        (-np.inf, "-Infinity"),
        (1234567, "1234567.0"),
    ],
)
def test_floats_are_written_with_six_digits_or_as_many_as_it_takes(value, written):
    assert decimal(np.float32(value)) == written
