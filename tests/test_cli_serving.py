"""`tfadvrec serving`: clean JSON, one message for every error, exit status 0, 1 or 2."""

import json

import numpy as np
import pytest

from tests.serving.toy_servable import publish_toy
from tfadvrec.cli.app import main
from tfadvrec.serving import BruteForce, Report, reindexing


def run(capsys, *words):
    """Runs the command line; gives its exit status, standard output and standard error."""
    status = 0
    try:
        main(["serving", *(str(word) for word in words)])
    except SystemExit as stop:
        status = stop.code or 0
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def base(tmp_path):
    """The base path of a servable with versions 1 to 3."""
    for number in (1, 2, 3):
        publish_toy(tmp_path / "models" / "rec", number)
    return tmp_path / "models" / "rec"


@pytest.mark.parametrize("command", ["describe", "rollback", "restore", "config", "reindex"])
def test_every_command_has_help_with_an_example(capsys, command):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert f"tfadvrec serving {command} " in out
    assert "Example" in out
    assert "--json" in out


def test_describe(capsys, base):
    status, out, err = run(capsys, "describe", base, "--json")
    said = json.loads(out)
    assert (status, err) == (0, "")
    assert (said["name"], said["version"], said["versions"]) == ("rec", 3, [1, 2, 3])
    assert "curl" in said["examples"]["recommend"]["rest"]
    status, out, _ = run(capsys, "describe", base / "2")
    assert status == 0
    assert out.startswith("rec 2: class Toy")


def test_rollback_and_restore(capsys, base):
    status, out, _ = run(capsys, "rollback", base, "--json")
    assert status == 0
    assert json.loads(out) == {"path": str(base / "2"), "versions": [1, 2], "withdrawn": [3]}
    status, out, _ = run(capsys, "rollback", base, "--to", 1)
    assert (status, out) == (0, f"{base}: newest 1; versions [1]; withdrawn [2, 3]\n")
    status, out, err = run(capsys, "rollback", base)
    assert (status, out) == (1, "")
    assert "no version to go back to" in err
    status, out, _ = run(capsys, "restore", base, 3, "--json")
    assert status == 0
    assert json.loads(out)["versions"] == [1, 3]


def test_config(capsys, base):
    status, out, _ = run(capsys, "config", base, "--batching", "--gpu-memory", 0.5, "--json")
    said = json.loads(out)
    assert status == 0
    assert said["folder"] == str(base.parent / "serving")
    assert {"models.config", "run_gpu.sh", "client.py"} <= set(said["files"])
    script = (base.parent / "serving" / "run_gpu.sh").read_text()
    assert "--enable_batching=true" in script
    assert "--per_process_gpu_memory_fraction=0.5" in script
    status, out, err = run(capsys, "config", base, "--port", 7000)
    assert status == 0
    assert "models.config" in out
    assert "next: " in err
    assert "--enable_batching" not in (base.parent / "serving" / "run_gpu.sh").read_text()


@pytest.fixture
def asked(monkeypatch):
    """Takes the place of `reindex`, and keeps what it was asked."""
    calls = []

    def take(path, **options):
        calls.append((path, options))
        return Report(path=str(path), version=4, verified=True)

    monkeypatch.setattr(reindexing, "reindex", take)
    return calls


def test_reindex_with_another_index(capsys, base, asked):
    words = ["--index", "int8", "--rescore", 80, "--recall-floor", 0.9, "--version", 9, "--json"]
    status, out, _ = run(capsys, "reindex", base, *words)
    assert status == 0
    assert json.loads(out)["version"] == 4
    index = BruteForce(dtype="int8", rescore=80, recall_floor=0.9)
    assert asked == [(base, {"version": 9, "index": index})]


def test_reindex_with_other_items(capsys, base, asked, tmp_path):
    vectors = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "items.npy", vectors)
    (tmp_path / "items.txt").write_bytes("\ufefftea\r\nmaté\r\nx".encode())
    files = ["--ids", tmp_path / "items.txt", "--vectors", tmp_path / "items.npy"]
    status, out, _ = run(capsys, "reindex", base, *files)
    ((path, options),) = asked
    assert status == 0
    assert out.startswith("verified: ")
    assert path == base
    assert options["item_ids"] == ["tea", "maté", "x"]
    np.testing.assert_array_equal(options["item_vectors"], vectors)
    np.save(tmp_path / "items.npy", vectors[0])
    status, _, err = run(capsys, "reindex", base, *files)
    assert status == 1
    assert "one array (n_items, dimension)" in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["describe", "nowhere"], "nowhere: no such servable."),
        (["rollback", "nowhere"], "nowhere: no such servable."),
        (["restore", "nowhere", "1"], "nowhere: no such servable."),
        (["config", "nowhere"], "nowhere: no such servable."),
        (["reindex", "nowhere", "--index", "int8"], "nowhere: no such servable."),
        (["rollback", ".", "--to", "2"], "no numbered versions"),
        (["reindex", "models/rec", "--ids", "nowhere.txt"], "nowhere.txt"),
        (["reindex", "models/rec", "--index", "int9"], "'int9'"),
    ],
)
def test_an_error_is_one_message_that_names_the_culprit(
    capsys, base, monkeypatch, tmp_path, words, named
):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (1, "")
    assert named in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["config", "models/rec", "--gpu-memory", "2"],
        ["config", "models/rec", "--port", "8501"],
        ["rollback", "models/rec", "--to", "0"],
        ["restore", "models/rec"],
        ["reindex", "models/rec"],
        ["reindex", "models/rec", "--chunk", "128"],
        ["reindex", "models/rec", "--vectors", "items.npy"],
        ["undo"],
    ],
)
def test_wrong_usage_exits_with_2(capsys, base, monkeypatch, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *words)[0] == 2
    assert sorted(one.name for one in (tmp_path / "models").iterdir()) == ["rec"]
