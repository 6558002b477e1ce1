import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.toy_servable import publish_toy
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.tensors import unpacked
from tfadvrec.serving.operations.describing import describe
from tfadvrec.serving.operations.example_requests import (
    GRPC,
    LONGEST,
    example_calls,
    grpc_line,
    python_list,
    whole_calls,
)
from tfadvrec.serving.publishing import rollback


def answered(loaded, signature, inputs):
    """Runs a signature on nested lists; gives arrays."""
    return {name: one.numpy() for name, one in loaded.signatures[signature](**inputs).items()}


def same_as_probe(offered, signature, found):
    """Whether the answer is the probe's second row, which the examples ask for."""
    want = whole_calls(offered)[signature]["outputs"]
    assert set(found) == set(want)
    for name, one in want.items():
        expected = unpacked(one)[1:2]
        if expected.ndim == 2:  # recommend_flex is as wide as the longest list of the request
            expected = expected[:, : found[name].shape[1]]
        if one["dtype"] == "float32":
            np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5)
        elif one["dtype"] == "string":
            texts = [text.decode("utf-8") for text in np.ravel(found[name])]
            assert texts == expected.ravel().tolist()
        else:
            assert found[name].tolist() == expected.tolist()


def test_description_says_what_the_contract_says(published):
    _, report = published
    said, offered = describe(report.path), read_contract(Path(report.path))
    assert said == describe(Path(report.path).parent)
    plain = said.to_dict()
    for name in ("signatures", "options", "index", "vocabularies", "warmup", "made_with"):
        assert plain[name] == offered[name]
    assert (plain["name"], plain["version"], plain["versions"]) == ("rec", 1, [1])
    assert set(plain["examples"]) == set(offered["signatures"])
    assert json.loads(json.dumps(plain)) == plain
    files = [one for one in Path(report.path).rglob("*") if one.is_file()]
    assert plain["bytes"] == sum(one.stat().st_size for one in files)


def test_description_for_people(tmp_path):
    for number in (1, 2, 3):
        publish_toy(tmp_path / "rec", number, flex=True)
    rollback(tmp_path / "rec")
    text = str(describe(tmp_path / "rec"))
    lines = text.splitlines()
    assert lines[0] == "rec 2: class Toy, kind factors, dimension 4"
    for line in (
        "  versions    [1, 2]; withdrawn: [3]",
        "  items       3 ids, assets/items.txt, SHA-256 ab12",
        "  options     k 2, max_exclude 6, batch_sizes [1, 4]",
        "  warm-up     no records: a toy has none",
        "  metrics     ndcg@10 0.25",
        "    in  exclude      string   [B, 6]",
        '    in  exclude      string   [B, any] (gRPC: [""] by default)',
        "    in  k            int32    [B] (gRPC: [2] by default)",
        "    out score        float32  [B, 2]",
    ):
        assert line in lines
    assert "exclude=([['tea', 'mate'] + [''] * 4], 'string')))" in text
    assert "examples=([b'\\n\\x02\\xfe'], 'string')))" in text
    warm = str(describe(publish_toy(tmp_path / "warm", warmup={"records": 12})))
    assert "  warm-up     12 records\n" in warm


def test_long_examples_are_shortened_for_people_only(tmp_path):
    row = {"dtype": "float32", "shape": [1, 999], "values": [i / 7 for i in range(999)]}
    one = {"inputs": {"profile": {"dtype": "float32", "shape": [-1, 999]}}, "outputs": {}}
    probe = [{"signature": "detect", "inputs": {"profile": row}}]
    folder = publish_toy(tmp_path / "rec", signatures={"detect": one}, probe=probe)
    said = describe(folder)
    assert "characters: --json has them all" in str(said)
    assert len(str(said)) < 3000
    body = json.loads(shlex.split(said.examples["detect"]["rest"])[-1])
    assert body["inputs"]["profile"] == [row["values"]]
    (call,) = example_calls(read_contract(folder))
    assert len(python_list(row["values"], [1, 999])) > LONGEST
    assert "profile=(tf.zeros([1, 999], 'float32').numpy(), 'float32')" in grpc_line(call, "rec")


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (["a"] * 9, [9]),
        (["a", "a", "b", *["c"] * 7, "d"], [11]),
        ([], [0]),
        ([1, 2, 3, 3, 3, 3, 3, 3], [2, 4]),
        ([0.5] * 8, [2, 2, 2]),
    ],
)
def test_python_lists_are_the_values(values, shape):
    assert eval(python_list(values, shape)) == np.reshape(values, shape).tolist()


def test_rest_examples_are_answered_as_the_probe(published):
    _, report = published
    offered = read_contract(Path(report.path))
    loaded = tf.saved_model.load(report.path)
    for name, one in describe(report.path).examples.items():
        curl, flag, url, data, body = shlex.split(one["rest"])
        assert (curl, flag, data) == ("curl", "-s", "-d")
        assert url == "http://localhost:8501/v1/models/rec:predict"
        request = json.loads(body)
        assert request["signature_name"] == name
        dtypes = {key: it["dtype"] for key, it in offered["signatures"][name]["inputs"].items()}
        inputs = {key: tf.constant(it, dtypes[key]) for key, it in request["inputs"].items()}
        same_as_probe(offered, name, answered(loaded, name, inputs))


def test_grpc_examples_run_and_are_answered_as_the_probe(published):
    grpc = pytest.importorskip("grpc", reason="NOT TESTED: examples over gRPC need grpcio")
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    from tensorflow_serving.apis import predict_pb2

    _, report = published
    offered = read_contract(Path(report.path))
    loaded = tf.saved_model.load(report.path)

    class Service(apis.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name == "rec"
            inputs = {key: tf.constant(tf.make_ndarray(one)) for key, one in request.inputs.items()}
            answer = predict_pb2.PredictResponse()
            outputs = answered(loaded, request.model_spec.signature_name, inputs)
            for name, one in outputs.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(one))
            return answer

    server = grpc.server(ThreadPoolExecutor(1))
    apis.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    asked = []
    try:
        for name, one in describe(report.path).examples.items():
            names = {}
            names["print"] = lambda found, name=name: same_as_probe(offered, name, found)
            exec(one["grpc"].replace(GRPC, f"127.0.0.1:{port}"), names)
            names["channel"].close()
            asked.append(name)
    finally:
        server.stop(None).wait()
    assert asked == list(offered["signatures"])


def test_what_is_no_servable_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a version folder"):
        describe(tmp_path)
    (tmp_path / "1").mkdir()
    with pytest.raises(ValueError, match="was not exported by tfadvrec"):
        describe(tmp_path)


def test_describing_loads_no_tensorflow(tmp_path):
    publish_toy(tmp_path / "rec")
    code = (
        "import sys\nfrom tfadvrec.serving.operations.describing import describe\n"
        "str(describe(sys.argv[1])); print('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "rec")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
