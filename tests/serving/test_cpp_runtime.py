"""L4: the C++ runtime, as a model server uses it, compiled against the installed TensorFlow."""

import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.live_answers import packed
from tfadvrec.serving.ladder.python_runtime import plain

SOURCE = Path(__file__).with_name("cpp") / "answer.cc"
COMPILER = os.environ.get("CXX", "g++")
MASKED = np.finfo(np.float32).min


def no_cpp():
    """Says why nothing can be compiled here; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"the flags are for Linux, this is {sys.platform}"
    if shutil.which(COMPILER) is None:
        return f"there is no compiler {COMPILER} (CXX names another)"
    header = Path(tf.sysconfig.get_include(), "tensorflow", "cc", "saved_model", "util.h")
    library = Path(tf.sysconfig.get_lib(), "libtensorflow_cc.so.2")
    missing = [path.name for path in (header, library) if not path.exists()]
    return f"the installed TensorFlow has no {missing}" if missing else None


def command(target):
    """The compiler's call; without --no-as-needed the linker drops the kernels."""
    lib = tf.sysconfig.get_lib()
    quick = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []  # seconds less than GNU ld
    return [
        COMPILER, *tf.sysconfig.get_compile_flags(), "-O0", "-w", "-DNDEBUG", str(SOURCE),
        "-o", str(target), *quick, "-Wl,--no-as-needed", f"-Wl,-rpath,{lib}",
        *tf.sysconfig.get_link_flags(), "-l:libtensorflow_cc.so.2",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def program(request, tmp_path_factory):
    """The compiled program; it is compiled anew when it, TensorFlow or the flags have changed."""
    if no_cpp():
        pytest.skip(f"NOT TESTED in the C++ runtime: {no_cpp()}")
    about = (SOURCE.read_text("utf-8"), tf.version.GIT_VERSION, *command("answer"))
    name = "answer-" + hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    cache = getattr(request.config, "cache", None)
    room = cache.mkdir("tfadvrec-cpp") if cache else tmp_path_factory.mktemp("cpp")
    if not (room / name).exists():
        made = tmp_path_factory.mktemp("compiled") / name
        done = subprocess.run(command(made), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        shutil.copy2(made, room / f"{name}.{os.getpid()}")
        os.replace(room / f"{name}.{os.getpid()}", room / name)
    return room / name


@pytest.fixture
def ask(program, tmp_path):
    """Asks in one process: `ask(folder, calls)` gives a status and the outputs for each call."""

    def asked(folder, calls):
        for number, call in enumerate(calls):
            (tmp_path / f"{number}.call").write_bytes(request_of(call).SerializeToString())
        done = subprocess.run(
            [str(program), str(folder), str(tmp_path), str(len(calls))],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers = [tmp_path / f"{number}.answer" for number in range(len(calls))]
        return list(
            zip(done.stdout.splitlines(), [outputs_of(one) for one in answers], strict=True)
        )

    return asked


def request_of(call):
    """A call as the program reads it."""
    request = meta_graph_pb2.SignatureDef(method_name=call["signature"])
    for name, one in call["inputs"].items():
        tensor = tf.make_tensor_proto(one["values"], one["dtype"], one["shape"])
        request.defaults[name].CopyFrom(tensor)
    return request


def outputs_of(path):
    """What the program answered, as `{"dtype", "shape", "values"}`."""
    answer = meta_graph_pb2.SignatureDef.FromString(path.read_bytes())
    return {name: plain(tf.make_ndarray(one)) for name, one in answer.defaults.items()}


def strings(*values):
    return {"dtype": "string", "shape": [len(values)], "values": list(values)}


def test_every_signature_answers_as_the_model(published, ask):
    _, report = published
    calls = read_contract(Path(report.path))["probe"]
    answers = ask(report.path, calls)
    assert {call["signature"] for call in calls} == set(report.signatures)
    for call, (status, served) in zip(calls, answers, strict=True):
        assert status == "OK"
        assert compare(call, served)[1] == []


def test_left_out_inputs_are_the_defaults_of_the_contract(published, ask):
    _, report = published
    contract = read_contract(Path(report.path))
    whole, short = [], []
    for call in contract["probe"]:
        inputs = contract["signatures"][call["signature"]]["inputs"]
        optional = {name: one["default"] for name, one in inputs.items() if "default" in one}
        for count in range(1, len(optional) + 1):
            for names in itertools.combinations(optional, count):
                given = {name: optional[name] for name in names}
                whole.append({**call, "inputs": call["inputs"] | given})
                left = {key: one for key, one in call["inputs"].items() if key not in names}
                short.append({**call, "inputs": left})
    assert {call["signature"] for call in short} == {"recommend_flex"}
    answers = ask(report.path, [*whole, *short])
    assert {status for status, _ in answers} == {"OK"}
    assert answers[: len(whole)] == answers[len(whole) :]


class Flexible(tf.Module):
    """Ranks four items for two users, with optional exclusions and an optional length."""

    def __init__(self):
        super().__init__()
        self.scores = tf.Variable([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
        self.names = tf.constant(["a", "b", "c", "d"])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="row"),
            tf.TensorSpec([None, None], tf.string, name="exclude"),
            tf.TensorSpec([None], tf.int32, name="k"),
        ]
    )
    def recommend(self, row, exclude=tf.constant([[""]]), k=tf.constant([2])):  # noqa: B008
        hit = tf.reduce_any(self.names[None, :, None] == exclude[:, None, :], axis=2)
        scores = tf.where(hit, MASKED, tf.gather(self.scores, row))
        scores, order = tf.math.top_k(scores, tf.reduce_max(k))
        scores = tf.where(tf.range(tf.reduce_max(k))[None] < k[:, None], scores, MASKED)
        return {
            "item_id": tf.where(scores > MASKED, tf.gather(self.names, order), ""),
            "score": scores,
        }


@pytest.fixture(scope="module")
def flexible(tmp_path_factory):
    """A saved model with defaults, and no other signature."""
    folder = tmp_path_factory.mktemp("flexible")
    module = Flexible()
    tf.saved_model.save(module, str(folder), signatures={"recommend_flex": module.recommend})
    return folder


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({}, [["a", "b"], ["d", "c"]]),
        ({"k": [3, 1]}, [["a", "b", "c"], ["d", "", ""]]),
        ({"exclude": [["a", ""], ["d", "c"]]}, [["b", "c"], ["b", "a"]]),
        ({"exclude": [["a"], ["x"]], "k": [4, 4]}, [["b", "c", "d", ""], ["d", "c", "b", "a"]]),
    ],
    ids=["neither", "k", "exclude", "both"],
)
def test_defaults_fill_what_a_request_leaves_out(flexible, ask, given, want):
    dtypes = {"k": np.int32, "exclude": object}
    inputs = {name: packed(np.array(one, dtypes[name])) for name, one in given.items()}
    row = packed(np.array([0, 1]))
    ((status, served),) = ask(
        flexible, [{"signature": "recommend_flex", "inputs": {"row": row, **inputs}}]
    )
    assert status == "OK"
    assert served["item_id"] == packed(np.array(want, object))
    masked = np.array(want) == ""
    assert (np.array(served["score"]["values"]).reshape(masked.shape) == MASKED).tolist() == (
        masked.tolist()
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"signature": "score", "inputs": {"user_id": strings("100")}}, "item_id.*no default"),
        (
            {"signature": "embed_item", "inputs": {"item_id": strings("a"), "item": strings("a")}},
            "invalid name",
        ),
        (
            {"signature": "embed_item", "inputs": {"item_id": packed(np.zeros(1, np.float32))}},
            "float",
        ),
    ],
    ids=["missing", "unknown", "wrong dtype"],
)
def test_wrong_inputs_are_refused_and_the_next_call_is_answered(published, ask, call, message):
    _, report = published
    good = {"signature": "embed_item", "inputs": {"item_id": strings("item 3 é")}}
    (status, served), (after, vector) = ask(report.path, [call, good])
    assert status.startswith("INVALID_ARGUMENT")
    assert re.search(message, status)
    assert served == {}
    assert (after, vector["known_item"]["values"]) == ("OK", [True])


def test_folder_without_a_model_is_an_error(program, tmp_path):
    done = subprocess.run(
        [str(program), str(tmp_path), str(tmp_path), "0"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 1
    assert "Could not find SavedModel" in done.stderr
