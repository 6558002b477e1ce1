"""L7, opt-in: an unmodified server. TFADVREC_MODEL_SERVER=<tensorflow_model_server> runs it."""

import json
import os
import re
import shutil
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.serving.model_server import ModelServer
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.comparison import compare

BINARY = os.environ.get("TFADVREC_MODEL_SERVER")
pytestmark = pytest.mark.skipif(
    not BINARY,
    reason="NOT TESTED on a real tensorflow_model_server: TFADVREC_MODEL_SERVER names no binary",
)
BATCHING = """
max_batch_size { value: 8 }
batch_timeout_micros { value: 20000 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 100 }
allowed_batch_sizes: 1
allowed_batch_sizes: 4
allowed_batch_sizes: 8
pad_variable_length_inputs: false
"""
STATUS = {
    "signature": "FAILED_PRECONDITION",
    "input": "INVALID_ARGUMENT",
    "model": "NOT_FOUND",
    "version": "NOT_FOUND",
}


@pytest.fixture(scope="module")
def base(published, tmp_path_factory):
    """A base path with the published version."""
    folder = tmp_path_factory.mktemp("real") / "rec"
    shutil.copytree(published[1].path, folder / "1")
    return folder


@pytest.fixture(scope="module")
def contract(base):
    return read_contract(base / "1")


@pytest.fixture(scope="module")
def server(base, tmp_path_factory):
    """The real server on the published version."""
    pytest.importorskip("grpc", reason="NOT TESTED: grpc is not installed (tfadvrec[serving])")
    if not Path(BINARY).is_file():
        pytest.fail(f"TFADVREC_MODEL_SERVER={BINARY} is not a file")
    with ModelServer(BINARY, base, tmp_path_factory.mktemp("log")) as one:
        one.wait_for(1)
        yield one


def test_every_signature_answers_by_grpc(server, contract):
    for call in contract["probe"]:
        assert compare(call, server.predict(call))[1] == []


def test_every_signature_answers_by_rest(server, contract):
    for call in contract["probe"]:
        assert compare(call, server.predict_by_rest(call, contract))[1] == []


def test_warm_up_was_replayed(server, contract):
    records = warm_up_records(contract)
    if not records:
        pytest.skip("the servable has no warm-up records")
    read = re.findall(r"Number of warmup records read: (\d+)", server.said())
    assert read == [str(records)]


def warm_up_records(contract):
    return contract["warmup"]["records"] if isinstance(contract["warmup"], dict) else 0


def test_metadata_names_the_signatures_of_the_contract(server, contract):
    found = server.rest(f"/v1/models/{server.name}/metadata")["metadata"]["signature_def"]
    found = found["signature_def"]
    assert set(contract["signatures"]) <= set(found)
    for name, sides in contract["signatures"].items():
        for side in ("inputs", "outputs"):
            assert set(found[name][side]) == set(sides[side])


def test_only_the_outputs_that_are_asked_for_come_back(server, contract):
    call = next(one for one in contract["probe"] if one["signature"] == "recommend")
    request = server.request(call)
    request.output_filter.append("item_id")
    assert list(server.stub().Predict(request, timeout=60).outputs) == ["item_id"]


@pytest.mark.parametrize("wrong", STATUS)
def test_wrong_requests_have_the_status_that_clients_rely_on(server, contract, wrong):
    import grpc

    call = next(one for one in contract["probe"] if one["signature"] == "score")
    request = server.request(call, model="nobody" if wrong == "model" else None)
    if wrong == "signature":
        request.model_spec.signature_name = "no_such_signature"
    if wrong == "input":
        del request.inputs["item_id"]
    if wrong == "version":
        request.model_spec.version.value = 99
    with pytest.raises(grpc.RpcError) as caught:
        server.stub().Predict(request, timeout=60)
    assert caught.value.code().name == STATUS[wrong]


def test_rest_says_what_is_wrong(server):
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.rest(f"/v1/models/{server.name}:predict", {"inputs": {"nobody": ["1"]}})
    assert caught.value.code == 400
    assert "error" in json.loads(caught.value.read())


def test_batched_strangers_get_their_own_answers(base, contract, server, tmp_path):
    parameters = tmp_path / "batching_parameters.txt"
    parameters.write_text(BATCHING)
    calls = [
        row_of(call, row)
        for call in contract["probe"]
        if call["signature"] in ("recommend", "recommend_excluding", "score")
        for row in range(4)
    ]
    alone = [server.predict(call) for call in calls]
    flags = ("--enable_batching=true", f"--batching_parameters_file={parameters}")
    with ModelServer(BINARY, batched(base, tmp_path), tmp_path, *flags) as one:
        one.wait_for(1)
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(one.predict, calls * 5))
    for call, want, got in zip(calls * 5, alone * 5, together, strict=True):
        assert compare({**call, "outputs": want}, got)[1] == []


def batched(base, room):
    """The version without warm-up: records of more rows than the batcher takes stop the load."""
    copy = shutil.copytree(base / "1", room / "rec" / "1")
    (copy / "assets.extra" / "tf_serving_warmup_requests").unlink(missing_ok=True)
    return copy.parent


def row_of(call, row):
    """One row of a call's inputs."""
    inputs = {}
    for name, one in call["inputs"].items():
        values = np.array(one["values"], object).reshape(one["shape"])[row : row + 1]
        inputs[name] = {**one, "shape": list(values.shape), "values": values.ravel().tolist()}
    return {"signature": call["signature"], "inputs": inputs}


def test_new_version_is_found_and_withdrawn_again(base, contract, tmp_path):
    own = tmp_path / "rec"
    shutil.copytree(base / "1", own / "1")
    with ModelServer(BINARY, own, tmp_path) as one:
        one.wait_for(1)
        shutil.copytree(base / "1", own / ".tmp-2-abcd")
        (own / ".tmp-2-abcd").rename(own / "2")
        one.wait_for(2)
        one.wait_for(1, "END")
        (own / "2").rename(own / ".withdrawn-2")
        one.wait_for(1)
        one.wait_for(2, "END")
        call = contract["probe"][0]
        assert compare(call, one.predict(call))[1] == []
