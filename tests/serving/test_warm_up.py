import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.toy_servable import FLEX, INPUTS, SIGNATURES, contract
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.tensors import raw_strings, unpacked
from tfadvrec.serving.operations import warm_up

logs = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2",
    reason="NOT TESTED: warm-up needs tensorflow-serving-api",
)
SIZES = (1, 4)


@pytest.fixture
def written(tmp_path):
    """A folder with the records of the toy contract, and that contract."""
    offered = contract(flex=True, batch_sizes=SIZES)
    count = warm_up.write(tmp_path, "rec", offered)
    return tmp_path, offered | {"warmup": {"records": count}}


def read_raw(folder):
    dataset = tf.data.TFRecordDataset(str(folder / warm_up.FILE))
    return [logs.PredictionLog.FromString(raw.numpy()) for raw in dataset]


def write_raw(folder, raw):
    with tf.io.TFRecordWriter(str(folder / warm_up.FILE)) as writer:
        for one in raw:
            writer.write(one if isinstance(one, bytes) else one.SerializeToString())


def test_a_record_for_each_signature_and_batch_size(written):
    folder, offered = written
    requests = [log.predict_log.request for log in read_raw(folder)]
    assert folder / warm_up.FILE == folder / "assets.extra" / "tf_serving_warmup_requests"
    assert offered["warmup"]["records"] == len(requests) == len(offered["signatures"]) * len(SIZES)
    assert {one.model_spec.name for one in requests} == {"rec"}
    found = [
        (one.model_spec.signature_name, {len(tf.make_ndarray(x)) for x in one.inputs.values()})
        for one in requests
    ]
    assert found == [(name, {rows}) for name in offered["signatures"] for rows in SIZES]
    flexible = [one for one in requests if one.model_spec.signature_name == "recommend_flex"]
    assert all(set(one.inputs) == {"user_id", "exclude", "k"} for one in flexible)


def test_rows_are_those_of_the_probe_again_and_again(written):
    folder, offered = written
    for call in warm_up.read(folder, offered):
        for name, one in call["inputs"].items():
            given = INPUTS[name]
            rows = np.arange(one["shape"][0]) % given["shape"][0]
            if given["dtype"] == "string":
                want = np.array(raw_strings(given), object).reshape(given["shape"])[rows]
                assert raw_strings(one) == want.ravel().tolist()
            else:
                assert one["dtype"] == given["dtype"]
                np.testing.assert_array_equal(unpacked(one), unpacked(given)[rows])


def test_a_real_servable_answers_every_record(published, tmp_path):
    _, report = published
    offered = read_contract(Path(report.path))
    warm_up.write(tmp_path, "rec", offered)
    calls = warm_up.read(tmp_path, {**offered, "warmup": {}})
    served = tf.saved_model.load(report.path).signatures
    for call in calls:
        tensors = {
            name: tf.reshape(
                tf.constant(raw_strings(one) if one["dtype"] == "string" else one["values"]),
                one["shape"],
            )
            for name, one in call["inputs"].items()
        }
        answer = served[call["signature"]](**tensors)
        rows = call["inputs"][next(iter(call["inputs"]))]["shape"][0]
        assert {len(one) for one in answer.values()} == {rows}
    sizes = offered["options"]["batch_sizes"]
    assert len(calls) == len(offered["signatures"]) * len(sizes)


def other_signature(request):
    request.model_spec.signature_name = "recommend_all"


def no_users(request):
    del request.inputs["user_id"]


def one_more(request):
    request.inputs["k"].CopyFrom(tf.make_tensor_proto([1], "int32"))


def numbers(request):
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto([1.0]))


def no_dtype(request):
    request.inputs["user_id"].dtype = 0


def narrow(request):
    request.inputs["exclude"].CopyFrom(tf.make_tensor_proto([["a", "b"]]))


def flat(request):
    request.inputs["exclude"].CopyFrom(tf.make_tensor_proto([""] * 6))


def more_users(request):
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto(["a", "b"]))


def too_many(request):
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto(["a"] * 5))
    request.inputs["exclude"].CopyFrom(tf.make_tensor_proto([[""] * 6] * 5))


def too_many_values(request):
    request.inputs["exclude"].string_val.append(b"one more than six")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_signature, r"signature must be one of \['recommend', .*it is 'recommend_all'"),
        (no_users, r"every input, \['exclude', 'user_id'\], and no other; it has \['exclude'\]"),
        (one_more, r"it has \['exclude', 'k', 'user_id'\]"),
        (numbers, r"user_id must be string \[-1\] .* it is float32 \[1\]"),
        (no_dtype, r"user_id must be string \[-1\] .* it is dtype number 0 \[1\]"),
        (narrow, r"exclude must be string \[-1, 6\] .* it is string \[1, 2\]"),
        (flat, r"exclude must be string \[-1, 6\] .* it is string \[6\]"),
        (more_users, r"same number of rows in every input, .*it has \[1, 2\]"),
        (too_many, r"to the largest of batch_sizes, 4; it has \[5\]"),
        (too_many_values, r"exclude does not hold the values of its shape \[1, 6\]"),
    ],
)
def test_a_record_that_a_server_would_refuse_is_named(written, spoil, message):
    folder, offered = written
    good = read_raw(folder)
    bad = next(i for i, log in enumerate(good) if "exclude" in log.predict_log.request.inputs)
    spoil(good[bad].predict_log.request)
    write_raw(folder, good)
    with pytest.raises(ValueError, match=rf"(?s)Warm-up record {bad + 1}: .*{message}"):
        warm_up.read(folder, offered)


def test_records_of_another_kind_are_refused(written):
    folder, offered = written
    log = logs.PredictionLog()
    log.classify_log.request.model_spec.name = "rec"
    write_raw(folder, [read_raw(folder)[0], log])
    with pytest.raises(ValueError, match="record 2: it must be a predict_log, it is classify_log"):
        warm_up.read(folder, offered)
    write_raw(folder, [b"\xff\xff no message"])
    with pytest.raises(ValueError, match="record 1 is no PredictionLog"):
        warm_up.read(folder, offered)


def test_a_damaged_file_is_refused(written):
    folder, offered = written
    path = folder / warm_up.FILE
    whole = path.read_bytes()
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 1
    path.write_bytes(spoiled)
    with pytest.raises(ValueError, match=r"Warm-up record \d+ of .* is corrupt"):
        warm_up.read(folder, offered)
    path.write_bytes(whole[:-7])
    last = offered["warmup"]["records"]
    with pytest.raises(ValueError, match=rf"Warm-up record {last} of .* is corrupt"):
        warm_up.read(folder, offered)
    write_raw(folder, read_raw_bytes(whole, folder)[:-1])
    with pytest.raises(ValueError, match=rf"hold {last} warm-up records, it ends after {last - 1}"):
        warm_up.read(folder, offered)
    path.unlink()
    with pytest.raises(ValueError, match="the version has no warm-up records"):
        warm_up.read(folder, offered)


def read_raw_bytes(whole, folder):
    (folder / warm_up.FILE).write_bytes(whole)
    return read_raw(folder)


def test_no_more_records_than_a_server_reads(written, monkeypatch, tmp_path):
    folder, offered = written
    assert warm_up.MAX_RECORDS == 1000
    with pytest.raises(ValueError, match="record 1002: a server refuses more than 1000 records"):
        warm_up.write(tmp_path / "big", "rec", contract(flex=True, batch_sizes=range(1, 168)))
    assert not (tmp_path / "big").exists()
    monkeypatch.setattr(warm_up, "MAX_RECORDS", 3)
    with pytest.raises(ValueError, match="record 4: a server refuses more than 3"):
        warm_up.read(folder, offered)


def test_a_probe_without_every_input_is_refused(tmp_path):
    offered = contract()
    offered["probe"] = [one for one in offered["probe"] if one["signature"] != "detect"]
    offered["signatures"] = SIGNATURES | FLEX
    with pytest.raises(ValueError, match=r"not so of \['detect', 'recommend_flex'\]"):
        warm_up.write(tmp_path, "rec", offered)


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    assert warm_up.missing() is None
    for name in [one for one in sys.modules if one.split(".")[0] == "tensorflow_serving"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    assert "install tfadvrec[serving]" in warm_up.missing()
    with pytest.raises(ImportError, match=r"tfadvrec\[serving\]"):
        warm_up.write(tmp_path, "rec", contract())
    assert list(tmp_path.iterdir()) == []
