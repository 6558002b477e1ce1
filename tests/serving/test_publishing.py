import os
import subprocess
import sys
import threading

import pytest

from tfadvrec.serving import export, publishing
from tfadvrec.serving.publishing import (
    choose_version,
    find_version,
    publish,
    restore,
    rollback,
    staging,
    versions,
    withdrawn,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from tfadvrec.serving import publishing
base = Path(sys.argv[1])
with publishing.staging(base, 1) as folder:
    (folder / "saved_model.pb").write_bytes(b"half")
    setattr(*{"flush": (publishing, "flush"), "rename": (os, "rename")}[sys.argv[2]],
            lambda *_: os.kill(os.getpid(), signal.SIGKILL))
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


@pytest.mark.parametrize("point", ["flush", "rename"])
def test_killed_process_leaves_no_version(tmp_path, point):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), point], check=False)
    assert done.returncode == -9
    assert versions(tmp_path) == {}
    assert [one.name[:7] for one in tmp_path.iterdir()] == [".tmp-1-"]
    assert choose_version(tmp_path, None) == 1


# A real export that is killed between the saved model and its contract
KILLED_EXPORT = """
import contextlib, os, signal, sys
import numpy as np, tensorflow as tf
from tfadvrec.serving import contract, export, releasing

class Model:
    users, items = tf.eye(5, 3), tf.eye(8, 3)
    user_ids, item_ids = np.arange(5), np.arange(8)
    embed_users = lambda self, rows: tf.gather(self.users, rows)
    embed_items = lambda self, rows: tf.gather(self.items, rows)

releasing.IsolatedRun = lambda runtime: contextlib.nullcontext()  # it comes after the contract
contract.checksums = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
export(Model(), sys.argv[1], k=3)
"""


def test_killed_export_leaves_no_version(tmp_path):
    command = [sys.executable, "-c", KILLED_EXPORT, str(tmp_path / "rec")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    (left,) = (tmp_path / "rec").iterdir()
    assert left.name.startswith(".tmp-1-")
    assert (left / "saved_model.pb").stat().st_size > 0
    assert versions(tmp_path / "rec") == {}
    assert choose_version(tmp_path / "rec", None) == 1


def test_of_exporters_that_race_for_a_number_one_wins(tmp_path):
    racers, rounds = 4, 10
    barrier, lock = threading.Barrier(racers, timeout=10), threading.Lock()
    won, lost = [], []

    def race(racer):
        for number in range(1, rounds + 1):
            with staging(tmp_path, number) as folder:
                (folder / "whose").write_text(str(racer))
                barrier.wait()
                try:
                    publish(folder, tmp_path, number)
                except FileExistsError as error:
                    with lock:
                        lost.append(str(error))
                else:
                    with lock:
                        won.append((number, str(racer)))
            barrier.wait()

    threads = [threading.Thread(target=race, args=(racer,)) for racer in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [(n, (path / "whose").read_text()) for n, path in sorted(versions(tmp_path).items())]
    assert found == sorted(won)
    assert [number for number, _ in found] == list(range(1, rounds + 1))
    assert len(lost) == rounds * (racers - 1)
    assert all("published by somebody else meanwhile" in one for one in lost)
    assert {one.name for one in tmp_path.iterdir()} == {str(number) for number, _ in found}


def make(base, *names):
    for name in names:
        (base / name).mkdir(parents=True)
        (base / name / "saved_model.pb").write_text(name)


def test_rollback_withdraws_the_newest(tmp_path):
    make(tmp_path, "1", "02", "10")
    assert rollback(tmp_path) == tmp_path / "02"
    assert sorted(versions(tmp_path)) == [1, 2]
    assert withdrawn(tmp_path) == {10: tmp_path / ".withdrawn-10"}
    assert (tmp_path / ".withdrawn-10" / "saved_model.pb").read_text() == "10"
    assert rollback(tmp_path) == tmp_path / "1"
    assert sorted(withdrawn(tmp_path)) == [2, 10]
    with pytest.raises(ValueError, match=r"no version to go back to: it has \[1\]"):
        rollback(tmp_path)
    assert find_version(tmp_path) == tmp_path / "1"


def test_rollback_to_a_version_never_shows_one_between(tmp_path, monkeypatch):
    make(tmp_path, "3", "4", "5", "6")
    seen = []
    rename = os.rename

    def watched(old, new):
        rename(old, new)
        seen.append(max(versions(tmp_path)))

    monkeypatch.setattr(publishing.os, "rename", watched)
    assert rollback(tmp_path, to=3) == tmp_path / "3"
    assert seen == [6, 6, 3]
    assert sorted(withdrawn(tmp_path)) == [4, 5, 6]


def test_rollback_that_was_interrupted_is_finished_by_the_same_call(tmp_path, monkeypatch):
    make(tmp_path, "1", "2", "3")

    def killed(folder, target):
        if folder.name == "3":
            raise KeyboardInterrupt
        return move(folder, target)

    move = publishing.move
    monkeypatch.setattr(publishing, "move", killed)
    with pytest.raises(KeyboardInterrupt):
        rollback(tmp_path, to=1)
    assert sorted(versions(tmp_path)) == [1, 3]
    monkeypatch.undo()
    assert rollback(tmp_path, to=1) == tmp_path / "1"
    assert sorted(withdrawn(tmp_path)) == [2, 3]


def test_restored_version_is_what_it_was(tmp_path):
    make(tmp_path, "1", "002")
    rollback(tmp_path)
    assert restore(tmp_path, 2) == tmp_path / "002"
    assert (tmp_path / "002" / "saved_model.pb").read_text() == "002"
    assert withdrawn(tmp_path) == {}
    with pytest.raises(FileNotFoundError, match=r"no withdrawn version 3; withdrawn are \[\]"):
        restore(tmp_path, 3)
    make(tmp_path, ".withdrawn-1")
    with pytest.raises(FileExistsError, match="move it away"):
        restore(tmp_path, 1)
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "1"


def test_number_of_a_withdrawn_version_is_never_given_again(tmp_path):
    make(tmp_path, "1", "2", "3")
    rollback(tmp_path, to=1)
    assert choose_version(tmp_path, None) == 4
    with pytest.raises(FileExistsError, match=r"\.withdrawn-3 exists, .*next free number, 4"):
        choose_version(tmp_path, 3)
    with (
        staging(tmp_path, 3) as folder,
        pytest.raises(FileExistsError, match="3 was withdrawn meanwhile"),
    ):
        publish(folder, tmp_path, 3)
    assert sorted(versions(tmp_path)) == [1]


def test_rollback_names_what_there_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="no numbered versions"):
        rollback(tmp_path)
    make(tmp_path, "1", "2", ".withdrawn-3")
    with pytest.raises(FileNotFoundError, match=r"no version 3, it has \[1, 2\].*restore it"):
        rollback(tmp_path, to=3)
    with pytest.raises(FileNotFoundError, match=r"no version 9, it has \[1, 2\]\.$"):
        rollback(tmp_path, to=9)
    with pytest.raises(ValueError, match="no version to go back to"):
        rollback(tmp_path, to=2)
