import json
import re
import runpy
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import tensorflow as tf

from tests.serving.toy_servable import SIGNATURES, contract, publish_toy
from tfadvrec.serving.operations import config_files, server_protos, trial_files
from tfadvrec.serving.operations.config_checks import RULES, check

FILES = [
    "batching_parameters.txt", "client.py", "models.config", "monitoring.config", "requests.http",
    "run_cpu.sh", "run_gpu.sh", "tf_runtime.pbtxt",
]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """A folder of two servables; its name is not easy for a shell."""
    root = tmp_path / "my & models"
    publish_toy(root / "rec", 1, flex=True)
    publish_toy(root / "rec", 2, batch_sizes=(1, 4))
    publish_toy(root / "other", 7, batch_sizes=(2, 16))
    (root / "notes" / "1").mkdir(parents=True)  # no servable of ours
    return root


def program(folder, name):
    """A stand-in for a program, which tells its arguments and the files that they name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        '#!/usr/bin/env bash\nfor one in "$@"; do echo "$one"; done\n'
        'for one in "$@"; do [[ $one == --*_file=* && -f "${one#*=}" ]] && cat "${one#*=}"; done\n'
        "exit 0\n"
    )
    path.chmod(0o755)
    return path


def started(script, *words, path, **settings):
    environment = {"PATH": f"{path}:/usr/bin:/bin", "TMPDIR": str(script.parent), **settings}
    said = subprocess.run(
        [str(script), *words], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_files_are_written_and_right(root):
    folder = config_files.write(root / "rec")
    assert folder == root / "serving"
    assert sorted(one.name for one in folder.iterdir()) == FILES
    assert check(folder) == []
    assert sorted(one.name for one in root.iterdir()) == ["notes", "other", "rec", "serving"]
    modes = {one.name for one in folder.iterdir() if one.stat().st_mode & stat.S_IXUSR}
    assert modes == {"run_cpu.sh", "run_gpu.sh"}


def test_models_config_is_what_the_server_parses(root):
    config = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2",
        reason="NOT TESTED: the server's own proto needs tensorflow-serving-api",
    )
    text = (config_files.write(root / "rec") / "models.config").read_text()
    found = server_protos.parse("ModelServerConfig", text)
    assert isinstance(found, config.ModelServerConfig)
    assert [(one.name, one.base_path) for one in found.model_config_list.config] == [
        ("rec", "/models/rec"),
        ("other", "/models/other"),
    ]
    assert {one.model_platform for one in found.model_config_list.config} == {"tensorflow"}
    ours = server_protos.own_class("ModelServerConfig")()
    server_protos.text_format.Parse(text, ours)
    assert str(ours) == str(found)


def test_batch_sizes_are_those_of_all_models(root):
    text = (config_files.write(root / "rec") / "batching_parameters.txt").read_text()
    found = server_protos.parse("BatchingParameters", text)
    assert list(found.allowed_batch_sizes) == [1, 2, 4, 16]
    assert found.max_batch_size.value == 16
    assert found.pad_variable_length_inputs is False
    with pytest.raises(ValueError, match=r"no BatchingParameters in text format: 1:1 .*max_batch"):
        server_protos.parse("BatchingParameters", "max_batch: 3")


def test_settings_leave_to_the_flags_what_the_server_overwrites(root):
    folder = config_files.write(root / "rec", gpu_memory=0.4)
    found = server_protos.parse("ConfigProto", (folder / "tf_runtime.pbtxt").read_text())
    assert found.gpu_options.allow_growth
    assert found.gpu_options.per_process_gpu_memory_fraction == 0
    assert "--per_process_gpu_memory_fraction=0.4" in (folder / "run_gpu.sh").read_text()
    assert "gpu" not in (folder / "run_cpu.sh").read_text()


def test_script_starts_a_binary_with_the_paths_of_this_machine(root, tmp_path):
    folder = config_files.write(root / "rec", port=7000, rest_port=7001)
    program(tmp_path / "bin", "tensorflow_model_server")
    said = started(folder / "run_cpu.sh", "--one_more=1", path=tmp_path / "bin")
    assert f'base_path: "{root}/rec"' in said
    assert f'base_path: "{root}/other"' in said
    words = said.splitlines()
    assert {"--port=7000", "--rest_api_port=7001", "--one_more=1"} <= set(words)
    assert f"--monitoring_config_file={folder}/monitoring.config" in words
    assert not any("batching" in one or "session" in one for one in words)
    named = program(tmp_path / "elsewhere", "mine")
    said = started(folder / "run_gpu.sh", path=tmp_path / "none", MODEL_SERVER=str(named))
    assert f"--tensorflow_session_config_file={folder}/tf_runtime.pbtxt" in said.splitlines()


def test_script_starts_a_container_that_only_this_machine_reaches(root, tmp_path):
    folder = config_files.write(root / "rec", batching=True, gpu_memory=0.3)
    program(tmp_path / "bin", "docker")
    words = started(folder / "run_gpu.sh", path=tmp_path / "bin").splitlines()
    assert words[:2] == ["run", "--rm"]
    assert words[words.index("--gpus") + 1] == "all"
    passed = [words[place + 1] for place, one in enumerate(words) if one == "--env"]
    assert passed == ["GLIBC_TUNABLES", "NVIDIA_TF32_OVERRIDE"]
    assert "127.0.0.1:8500:8500" in words
    assert f"type=bind,source={root},target=/models,readonly" in words
    assert words[words.index("--entrypoint") + 1 :][:2] == [
        "tensorflow_model_server",
        "tensorflow/serving:latest-gpu",
    ]
    assert "--model_config_file=/models/serving/models.config" in words
    assert "--batching_parameters_file=/models/serving/batching_parameters.txt" in words
    assert "--enable_batching=true" in words
    assert "--per_process_gpu_memory_fraction=0.3" in words
    words = started(
        folder / "run_cpu.sh", path=tmp_path / "bin", TF_SERVING_IMAGE="here/serving:1"
    ).splitlines()
    assert "here/serving:1" in words
    assert "--gpus" not in words


def test_batching_is_refused_where_widths_are_open(root):
    publish_toy(root / "other", 8, flex=True)
    with pytest.raises(ValueError, match=r"other cannot be served with batching: the input exclude "
                       r"of recommend_flex .* Export it with server_batching=True"):  # fmt: skip
        config_files.write(root / "rec", batching=True)
    assert not (root / "serving").exists()
    folder = config_files.write(root / "rec")
    script = folder / "run_cpu.sh"
    script.write_text(script.read_text().replace("--port", "--enable_batching=true --port"))
    found = "\n".join(check(folder))
    assert "run_cpu.sh: --enable_batching cannot be used for other: the input exclude" in found
    assert "--batching_parameters_file must come together" in found


def test_parameters_of_every_model_are_used_only_if_every_model_has_them(root):
    flag = "--enable_per_model_batching_parameters=true"
    text = config_files.batching_parameters([1, 4])
    assert server_protos.parse("BatchingParameters", text).max_batch_size.value == 4
    (root / "rec" / "2" / "batching_params.pbtxt").write_text(text)
    folder = config_files.write(root / "rec", batching=True)
    assert flag not in (folder / "run_cpu.sh").read_text()
    (root / "other" / "7" / "batching_params.pbtxt").write_text(text)
    config_files.write(root / "rec", batching=True)
    assert flag in (folder / "run_cpu.sh").read_text()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("models.config", 'name: "other"', 'name: "rec"', "none twice, it names"),
        ("models.config", "/models/other", "/models/gone", "gone has no versions"),
        ("models.config", "/models/rec", "rec", "base_path of rec must be absolute"),
        ("models.config", '"tensorflow"', '"tf"', "must be 'tensorflow', not 'tf'"),
        ("models.config", "config {", "konfig {", 'no field named "konfig"'),
        ("batching_parameters.txt", "sizes: 16", "sizes: 3", r"must increase .* \[1, 2, 4, 3\]"),
        ("batching_parameters.txt", "value: 16", "value: 32", "16, must equal max_batch_size, 32"),
        ("batching_parameters.txt", "inputs: false", "inputs: true", "must be false"),
        ("batching_parameters.txt", "value: 100", "value: 0", "max_enqueued_batches must be at"),
        ("monitoring.config", '"/mon', '"mon', "must begin with '/'"),
        ("monitoring.config", "enable: true", "enable: 7", "no MonitoringConfig"),
        (
            "tf_runtime.pbtxt",
            "allow_growth: true",
            "per_process_gpu_memory_fraction: 0.5",
            "server overwrites .*per_process_gpu_memory_fraction",
        ),
        ("tf_runtime.pbtxt", "}", "}\nintra_op_parallelism_threads: 2", "overwrites .*intra_op"),
        ("run_gpu.sh", "fi\n", "", "bash refuses it"),
        ("run_gpu.sh", "tf_runtime.pbtxt", "runtime.txt", "runtime.txt, which is not in the fol"),
        ("run_gpu.sh", "fraction=0.5", "fraction=1.5", "above 0 and at most 1, not 1.5"),
        ("run_gpu.sh", "  --port", "  --platform_config_file=x --port", "switches batching off"),
        ("requests.http", '"ümit"', "NaN", "NaN is no JSON"),
        ("requests.http", "/models/rec:", "/models/recs:", "asks for 'recs'"),
        ("client.py", "def main():", "def main(:", "it is not Python"),
    ],
)
def test_broken_rule_is_found(root, name, old, new, message):
    publish_toy(root / "rec", 3, probe=[*one_row_of("ümit")])
    folder = config_files.write(root / "rec", gpu_memory=0.5)
    path = folder / name
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    found = check(folder)
    assert re.search(message, "\n".join(one for one in found if one.startswith(f"{name}: ")))


def one_row_of(user):
    """The toy's probe, asked by one user."""
    for call in contract()["probe"]:
        inputs = {
            name: {**one, "shape": [1, *one["shape"][1:]],
                   "values": one["values"][: len(one["values"]) // 3]}
            for name, one in call["inputs"].items()
        }  # fmt: skip
        if "user_id" in inputs:
            inputs["user_id"]["values"] = [user]
        yield {**call, "inputs": inputs}


def test_missing_files_and_modes_are_found(root):
    folder = config_files.write(root / "rec")
    (folder / "monitoring.config").unlink()
    (folder / "run_cpu.sh").chmod(0o644)
    found = check(folder)
    assert "monitoring.config: it is missing. Write the folder again." in found
    assert "run_cpu.sh: it must be executable." in found
    assert check(root / "nowhere") == [f"{name}: it is missing. Write the folder again." for name in
                                       sorted(FILES, key=list(RULES).index)]  # fmt: skip


def test_other_files_stay_and_ours_are_replaced(root):
    folder = config_files.write(root / "rec", rest_port=7001)
    (folder / "prometheus.yml").write_text("mine")
    assert "localhost:7001" in (folder / "client.py").read_text()
    assert "localhost:7001" in (folder / "requests.http").read_text()
    config_files.write(root / "other")
    assert (folder / "prometheus.yml").read_text() == "mine"
    assert "7001" not in "".join((folder / name).read_text() for name in FILES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpu_memory": 0}, "above 0 and at most 1, or None, got 0"),
        ({"gpu_memory": 1.1}, "got 1.1"),
        ({"port": 8501}, "two numbers from 1 to 65535, got 8501 and 8501"),
        ({"rest_port": 0}, "got 8500 and 0"),
    ],
)
def test_bad_options_are_refused(root, options, message):
    with pytest.raises(ValueError, match=message):
        config_files.write(root / "rec", **options)
    assert not (root / "serving").exists()


def test_what_is_no_servable_is_refused(root):
    with pytest.raises(FileNotFoundError, match="rec/2 has no numbered versions"):
        config_files.write(root / "rec" / "2")
    with pytest.raises(ValueError, match=r"has no assets\.extra"):
        config_files.write(root / "notes")
    publish_toy(root / "serving")
    with pytest.raises(ValueError, match="serving cannot be a servable's base path here"):
        config_files.write(root / "serving")
    (root / "serving").rename(root / "über:all")
    with pytest.raises(ValueError, match=r"names \['über:all'\] .* Rename the folders"):
        config_files.write(root / "rec")


def test_requests_are_one_row_of_the_probe(root):
    text = (config_files.write(root / "rec") / "requests.http").read_text("utf-8")
    blocks = dict(re.findall(r"^### (rec: \w+)\nPOST .*\n.*\n\n(.*)$", text, re.MULTILINE))
    bodies = {name.removeprefix("rec: "): json.loads(body) for name, body in blocks.items()}
    assert {name: body["inputs"] for name, body in bodies.items()} == {
        "recommend": {"user_id": ["bob's"]},
        "recommend_excluding": {
            "user_id": ["bob's"],
            "exclude": [["tea", "mate", "", "", "", ""]],
        },
        "recommend_examples": {"examples": [{"b64": "CgL+"}]},
        "generate": {"user_id": ["bob's"], "seed": [[3, 2**40]]},
        "detect": {"profile": [[0.5, 0, 0]]},
    }
    assert all(body["signature_name"] == name for name, body in bodies.items())


def test_examples_that_are_too_large_are_left_out(root, monkeypatch, capsys):
    monkeypatch.setattr(trial_files, "LARGEST", 70)
    folder = config_files.write(root / "rec")
    assert check(folder) == []
    text = (folder / "requests.http").read_text("utf-8")
    assert "# rec: recommend_excluding is left out: 1" in text
    assert "### rec: recommend\n" in text
    assert run_client(folder, monkeypatch, "rec", "recommend_excluding") is None
    assert "recommend_excluding of rec: too large for an example" in capsys.readouterr().err


class Rest(BaseHTTPRequestHandler):
    """Answers like a server's REST; keeps what it was asked."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked[body["signature_name"]] = self.path, body["inputs"]
        status, answer = 200, {"outputs": {"item_id": [["tea", ""]], "score": [[1.5, -3e38]]}}
        if body["signature_name"] == "detect":  # an only output comes without its name
            answer = {"outputs": [0.25]}
        if body["inputs"].get("user_id") == ["bad"]:
            status, answer = 400, {"error": "no such thing"}
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *words):
        pass


@pytest.fixture
def rest():
    """A server of REST's form on loopback."""
    with HTTPServer(("127.0.0.1", 0), Rest) as server:
        server.asked = {}
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run_client(folder, monkeypatch, *words):
    """Runs `client.py` as a program; gives what it exits with."""
    monkeypatch.setattr(sys, "argv", ["client.py", *words])
    try:
        runpy.run_path(str(folder / "client.py"), run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return None


def test_client_asks_every_example_over_rest(root, rest, monkeypatch, capsys):
    folder = config_files.write(root / "rec")
    where = f"http://127.0.0.1:{rest.server_port}"
    assert run_client(folder, monkeypatch, "rec", "--rest-server", where) is None
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["signature"] for one in said] == list(SIGNATURES)
    assert said[0]["outputs"] == {"item_id": [["tea", ""]], "score": [[1.5, -3e38]]}
    assert said[-1] == {"model": "rec", "signature": "detect", "outputs": {"p_fake": [0.25]}}
    assert rest.asked["recommend_examples"] == (
        "/v1/models/rec:predict",
        {"examples": [{"b64": "CgL+"}]},
    )


def test_client_says_what_is_wrong(root, rest, monkeypatch):
    folder = config_files.write(root / "rec")
    where = ["--rest-server", f"http://127.0.0.1:{rest.server_port}"]
    bad = run_client(folder, monkeypatch, "rec", "recommend", '{"user_id": ["bad"]}', *where)
    assert bad.startswith("error: http://127.0.0.1")
    assert 'answers 400: {"error": "no such thing"}' in bad
    said = run_client(folder, monkeypatch, "rec", "recommend", '{"user": ["x"]}', *where)
    assert said == "error: recommend has no inputs ['user'], it has ['user_id']"
    said = run_client(folder, monkeypatch, "wreck", *where)
    assert said == "error: there is no model 'wreck', there are ['rec', 'other']"
    assert "rec has no 'all', it has" in run_client(folder, monkeypatch, "rec", "all", *where)
    said = run_client(folder, monkeypatch, "rec", "--rest-server", "http://127.0.0.1:1")
    assert "cannot be reached" in said


def test_client_asks_over_grpc(root, monkeypatch, capsys):
    grpc = pytest.importorskip("grpc", reason="NOT TESTED: the client's gRPC needs grpcio")
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    asked = {}

    class Service(apis.PredictionServiceServicer):
        def Predict(self, request, context):
            name = request.model_spec.signature_name
            asked[name] = {key: tf.make_ndarray(one) for key, one in request.inputs.items()}
            if name == "detect":
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no profile")
            answer = predict_pb2.PredictResponse()
            answer.outputs["item_id"].CopyFrom(tf.make_tensor_proto([["tè", ""]]))
            return answer

    from tensorflow_serving.apis import predict_pb2

    folder = config_files.write(root / "rec")
    server = grpc.server(ThreadPoolExecutor(1))
    apis.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    words = ["rec", "--grpc", "--grpc-target", f"127.0.0.1:{port}"]
    try:
        ended = run_client(folder, monkeypatch, *words)
    finally:
        server.stop(None).wait()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0]["outputs"] == {"item_id": [["tè", ""]]}
    assert len(said) == len(SIGNATURES) - 1
    assert ended == f"error: 127.0.0.1:{port} answers INVALID_ARGUMENT: no profile"
    assert asked["recommend_examples"]["examples"].tolist() == [b"\n\x02\xfe"]
    assert asked["generate"]["seed"].tolist() == [[3, 2**40]]
    assert asked["generate"]["seed"].dtype == "int64"
    assert asked["recommend_excluding"]["exclude"].tolist() == [[b"tea", b"mate", *[b""] * 4]]
