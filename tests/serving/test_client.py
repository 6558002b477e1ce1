"""The client over both protocols, against the loopback server."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.serving.plain_servable import save_plain
from tfadvrec.serving.client import rest_client
from tfadvrec.serving.client.client import Client
from tfadvrec.serving.client.grpc_client import read
from tfadvrec.serving.client.serving_error import ServingError
from tfadvrec.serving.client.wire import messages
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.loopback.server import LoopbackServer

for needed in ("grpc", "tensorflow_serving.apis"):
    pytest.importorskip(needed, reason=f"NOT TESTED: {needed} is not installed")

USERS = [100, 101, 102, 103, 104, 105, 106]


@pytest.fixture(scope="module")
def servers(published, tmp_path_factory):
    toy = save_plain(tmp_path_factory.mktemp("served") / "toy" / "1").parent
    with (
        LoopbackServer(Path(published[1].path).parent, batching=True) as rec,
        LoopbackServer(toy) as toy,
    ):
        yield {"rec": rec, "toy": toy}


def connected(servers, protocol, name, **options):
    server = servers[name]
    target = server.target if protocol == "grpc" else server.rest_target
    return Client(target, server.model, protocol=protocol, **options)


@pytest.fixture(params=["grpc", "rest"])
def rec(servers, request):
    with connected(servers, request.param, "rec", max_batch=3, timeout=30.0) as client:
        yield client


@pytest.fixture(params=["grpc", "rest"])
def toy(servers, request):
    with connected(servers, request.param, "toy", timeout=30.0) as client:
        yield client


@pytest.fixture(scope="module")
def table(published):
    """What the model itself scores, `(users, items)`, and the items' ids."""
    model, _ = published
    scores = np.asarray(model.score_catalogue(np.arange(len(USERS))))
    return scores, [f"item {row} é" for row in range(scores.shape[1])]


def test_lists_are_the_models_in_requests_of_three_rows(rec, table):
    scores, items = table
    found = rec.recommend(USERS, k=4)
    order = np.argsort(-scores, axis=1)[:, :4]
    assert found.items == [[items[column] for column in row] for row in order]
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, order, 1), rtol=1e-5)
    assert found.known == [True] * len(USERS)
    assert [len(row) for row in rec.recommend(np.array(USERS)).items] == [10] * len(USERS)


def test_exclusions_of_any_length_are_padded(rec, table):
    scores, items = table
    ranked = [[items[column] for column in row] for row in np.argsort(-scores, axis=1)]
    exclude = [ranked[row][: row % 5] for row in range(len(USERS))]
    found = rec.recommend(USERS, k=3, exclude=exclude)
    assert found.items == [ranked[row][row % 5 :][:3] for row in range(len(USERS))]
    assert rec.recommend(["nobody"], exclude=[["no such item"]]).known == [False]


def test_pairs_and_vectors_are_the_models(rec, published, table):
    scores, items = table
    found = rec.score([100, 103, "nobody", 104], [items[2], items[5], items[0], "nothing"])
    assert found.scores[2:] == [None, None]
    np.testing.assert_allclose(found.scores[:2], [scores[0, 2], scores[3, 5]], rtol=1e-5)
    assert found.known_users == [True, True, False, True]
    assert found.known_items == [True, True, True, False]
    users, vectors = rec.embed_users(USERS), rec.embed_items([*items, "nothing"])
    product = np.array(users.vectors) @ np.array(vectors.vectors).T
    np.testing.assert_allclose(product[:, :-1], scores, rtol=1e-4, atol=1e-5)
    assert (users.known, vectors.known[-2:]) == ([True] * len(USERS), [True, False])
    assert set(vectors.vectors[-1]) == {0.0}


def test_masked_slots_are_dropped_and_histories_padded(toy):
    found = toy.recommend([["a", 7], [], ["x", "y", "z"]])
    assert found.items == [["a", "7"], [], ["x", "y", "z"]]
    assert found.scores == [[3.0, 2.0], [], [3.0, 2.0, 1.0]]
    assert found.known == [True, False, True]
    with pytest.raises(ValueError, match="at most 3 ids in this servable, row 1 has 4"):
        toy.recommend([["a"], list("abcd")])


def test_profiles_of_any_shape_are_generated_and_judged(toy):
    found = toy.generate(["u", "nobody"], [(1, 2), np.array([3, 4])])
    assert found.vectors == [[[1, 2]] * 3, [[3, 4]] * 3]
    assert found.known == [True, False]
    assert toy.detect(np.array([[0, 0, 0, 1], [1, 1, 1, 1]])) == [0.25, 1.0]
    with pytest.raises(ValueError, match=r"rows of shape \[2\], got sizes \[3\]"):
        toy.generate(["u"], [(1, 2, 3)])
    with pytest.raises(ValueError, match=r"rows of shape \[4\], got sizes \[1, 4\]"):
        toy.detect([[0.0], [0.0] * 4])


def test_no_rows_ask_for_nothing(rec):
    assert rec.recommend([]) == ([], [], [])
    assert rec.embed_users([]) == ([], [])


def test_description_is_the_contracts_and_is_asked_once(rec, published, monkeypatch):
    told = rec.describe()
    assert (told["model"], told["version"], told["protocol"]) == ("rec", 1, rec.protocol)
    contract = read_contract(Path(published[1].path))["signatures"]
    for name, sides in contract.items():
        for side, tensors in sides.items():
            expected = {
                key: {k: one[k] for k in ("dtype", "shape")} for key, one in tensors.items()
            }
            assert told["signatures"][name][side] == expected
    assert set(told["signatures"]) == set(contract)
    monkeypatch.setattr(rec._wire, "metadata", None)
    assert rec.recommend([100], k=1).known == [True]


def test_what_the_servable_cannot_do_is_said_before_it_is_asked(rec, toy, table):
    _, items = table
    with pytest.raises(ValueError, match=r"k may be at most 10 .* got 11.*export it with a larger"):
        rec.recommend([100], k=11)
    with pytest.raises(
        ValueError, match=r"exclude of one row may have at most 4 ids .* row 1 .* 5"
    ):
        rec.recommend([100, 101], exclude=[[], items[:5]])
    with pytest.raises(ValueError, match=r"does not offer 'score'; it offers \['affine'"):
        toy.score([["a"]], ["b"])
    with pytest.raises(ValueError, match="got 2 users, 1 exclude"):
        rec.recommend([100, 101], exclude=[[]])
    with pytest.raises(ValueError, match="users must be a list of ids, got 'ann'"):
        rec.recommend("ann")
    with pytest.raises(ValueError, match=r"exclude\[0\] must be a list of ids, got 'tea'"):
        rec.recommend([100], exclude=["tea"])
    for bad in (1.5, None, True, b"x"):
        with pytest.raises(ValueError, match="row 1 is"):
            rec.recommend([100, bad])
    for bad in (0, 2.0, True):
        with pytest.raises(ValueError, match="k must be an integer >= 1"):
            rec.recommend([100], k=bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "http"}, "protocol to be 'grpc' or 'rest', got 'http'"),
        ({"timeout": 0}, "seconds > 0, got 0"),
        ({"max_batch": 0}, "max_batch to be an integer >= 1, got 0"),
        ({"protocol": "rest", "target": "ftp://host"}, "got 'ftp://host'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Client(**{"target": "host:1", "model": "rec", **options})


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_server_that_is_not_there(protocol):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        with Client(target, "rec", protocol=protocol) as client, pytest.raises(ServingError) as no:
            client.recommend([1])
    assert no.value.code == "UNAVAILABLE"
    for part in (target, "'rec'", "its metadata", "is the server running", "8500", "8501"):
        assert part in str(no.value)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_server_that_does_not_answer_in_time(protocol):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        client = Client(target, "rec", protocol=protocol, timeout=0.2)
        with contextlib.closing(client), pytest.raises(ServingError) as no:
            client.recommend([1])
    assert no.value.code == "DEADLINE_EXCEEDED"
    assert "no answer within 0.2 s" in str(no.value)


def test_wrong_port_or_model_or_a_batch_that_is_too_large(servers):
    server = servers["rec"]
    crossed = (("grpc", server.rest_target), ("rest", server.target))
    for protocol, target in crossed:
        with Client(target, "rec", protocol=protocol) as client, pytest.raises(ServingError) as no:
            client.describe()
        assert no.value.code == "UNAVAILABLE"
    for protocol in ("grpc", "rest"):
        target = server.target if protocol == "grpc" else server.rest_target
        with Client(target, "none", protocol=protocol) as client, pytest.raises(ServingError) as no:
            client.score([1], [2])
        assert no.value.code == "NOT_FOUND"
        assert "'none'" in str(no.value)
        with (
            connected(servers, protocol, "rec", max_batch=64, timeout=30.0) as client,
            pytest.raises(ServingError, match=r"'recommend': INVALID_ARGUMENT.*largest batch"),
        ):
            client.recommend([100] * 40)


def test_rest_takes_a_url_with_a_path():
    client = rest_client.RestClient("https://host:1/a/b/", "my model", timeout=1.0)
    assert (client.place, client.path) == ("host:1", "/a/b/v1/models/my%20model")
    assert client.connect is rest_client.HTTPSConnection


def test_packed_and_shortened_tensors_are_read():
    packed = messages()["Tensor"](dtype=1, tensor_content=np.array([1.5, 2], "<f4").tobytes())
    packed.tensor_shape.dim.add(size=2)
    assert read(packed) == {"dtype": "float32", "shape": [2], "values": [1.5, 2.0]}
    short = messages()["Tensor"](dtype=9, int64_val=[7, 8])
    short.tensor_shape.dim.add(size=4)
    assert read(short)["values"] == [7, 8, 8, 8]
    with pytest.raises(ValueError, match="dtype number 19"):
        read(messages()["Tensor"](dtype=19))


def test_messages_are_those_of_the_published_protos():
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

    theirs = {
        "Tensor": tensor_pb2.TensorProto,
        "PredictRequest": predict_pb2.PredictRequest,
        "PredictResponse": predict_pb2.PredictResponse,
        "MetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
        "MetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
        "Signatures": get_model_metadata_pb2.SignatureDefMap,
    }
    checked = set()
    for name, message in theirs.items():
        checked |= same_fields(messages()[name].DESCRIPTOR, message.DESCRIPTOR)
    assert {"Dim", "TensorInfo", "ModelSpec", "Packed", "Signature", "Version"} <= checked


def same_fields(ours, theirs):
    """Compares numbers and kinds, and what the fields hold."""
    seen = {ours.name}
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kinds = {field.type, other.type} - {field.TYPE_ENUM, field.TYPE_INT32}  # alike on the wire
        assert field.number == other.number
        assert len(kinds) < 2
        assert field.is_repeated == other.is_repeated
        if field.message_type:
            seen |= same_fields(field.message_type, other.message_type)
    return seen


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_client_loads_neither_tensorflow_nor_numpy(servers, protocol):
    server = servers["rec"]
    target = server.target if protocol == "grpc" else server.rest_target
    code = f"""
import sys
sys.modules["grpc" if {protocol == "rest"} else "no"] = None
from tfadvrec.serving.client.client import Client
print(len(Client({target!r}, "rec", protocol={protocol!r}).recommend([100], k=2).items[0]))
print([name for name in ("tensorflow", "numpy", "keras", "tensorflow_serving")
       if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["2", "[]"]


def test_grpc_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ImportError, match=r'needs grpc: pip install "tfadvrec\[serving\]"'):
        Client("host:1", "rec")
