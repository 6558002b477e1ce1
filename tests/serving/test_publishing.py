import subprocess
import sys

import pytest

from tfadvrec.serving import export
from tfadvrec.serving.publishing import choose_version, publish, staging, versions

KILLED = """
import os, signal, sys
from pathlib import Path
from tfadvrec.serving import publishing
base = Path(sys.argv[1])
with publishing.staging(base, 1) as folder:
    (folder / "saved_model.pb").write_bytes(b"half")
    publishing.flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)
    publishing.publish(folder, base, 1)
"""


def test_versions_are_the_folders_named_by_a_number(tmp_path):
    for name in ("1", "007", "-3", "2x", ".tmp-9-ab"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    assert {number: path.name for number, path in versions(tmp_path).items()} == {1: "1", 7: "007"}
    assert choose_version(tmp_path, None) == 8
    assert choose_version(tmp_path / "new", None) == 1
    assert choose_version(tmp_path, 3) == 3


def test_existing_version_is_an_error(vectors, tmp_path):
    (tmp_path / "007").mkdir()
    with pytest.raises(FileExistsError, match=r"never changed.*next free number, 8"):
        export(vectors.random(), tmp_path, version=7)
    assert [one.name for one in tmp_path.iterdir()] == ["007"]


@pytest.mark.parametrize("version", [0, -1, "2", True, 1.0])
def test_version_must_be_a_number(tmp_path, version):
    with pytest.raises(ValueError, match="version must be an integer >= 1 or None"):
        choose_version(tmp_path, version)


def test_base_path_must_not_be_a_version_or_a_file(tmp_path):
    (tmp_path / "saved_model.pb").write_text("")
    with pytest.raises(ValueError, match="is a version folder"):
        choose_version(tmp_path, None)
    with pytest.raises(ValueError, match="it is a file"):
        choose_version(tmp_path / "saved_model.pb", None)


def test_staged_folder_is_published_whole(tmp_path):
    base = tmp_path / "a" / "b"
    with staging(base, 4) as folder:
        assert folder.name.startswith(".tmp-4-")
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("whole")
        publish(folder, base, 4)
    assert [one.name for one in base.iterdir()] == ["4"]
    assert (base / "4" / "inner" / "file").read_text() == "whole"


def test_race_for_a_number_is_lost_cleanly(tmp_path):
    def lose():
        with staging(tmp_path, 1) as folder:
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "theirs").write_text("x")
            publish(folder, tmp_path, 1)

    with pytest.raises(FileExistsError, match="published by somebody else"):
        lose()
    assert [one.name for one in tmp_path.rglob("*")] == ["1", "theirs"]


def test_failure_leaves_nothing(tmp_path):
    def fail():
        with staging(tmp_path / "rec", 1) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_killed_process_leaves_no_version(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert versions(tmp_path) == {}
    assert [one.name[:7] for one in tmp_path.iterdir()] == [".tmp-1-"]
    assert choose_version(tmp_path, None) == 1
