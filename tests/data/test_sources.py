import hashlib
import stat
import sys
import time
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest

from tfadvrec.data import DataError, SourceUnavailable, cache, fetching, movielens, sources

LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.5,100\n2,20,0.5,90\n",
    "movies.csv": "movieId,title,genres\n"
    '10,"City, The (1995)",Children|Comedy\n20,B (1999),(no genres listed)\n',
}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A cache of its own, no TFDS folder, and a network that fails the test when it is used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))

    def refuse(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def no_pip(monkeypatch):
    """A pip that fails at once."""

    def fail(deadline):
        raise fetching.Unreachable("pip download failed: no network in tests")

    monkeypatch.setattr(fetching, "through_wheel", fail)


def test_a_folder_or_zip_of_grouplens(ml_100k_files, write, tmp_path, capsys):
    folder = write(tmp_path / "ml" / "ml-100k", ml_100k_files)
    log = movielens("100k", folder)
    assert log.user_ids.tolist() == [1, 2]
    assert log.item_ids.tolist() == [1, 2, 3]
    assert log.time.tolist() == [10, 20, 20, 30]
    assert log.item_ids[log.item].tolist() == [2, 1, 3, 1]
    assert log.item_features["title"].tolist() == [
        "Toy Story (1995)",
        "unknown",
        "Miserables, Les (1998)",
    ]
    assert log.item_features["genre"].tolist() == [
        ("Animation", "Children", "Comedy"),
        (),
        ("Drama",),
    ]
    assert log.item_features["year"].tolist() == [1995.0, 1996.0, 1998.0]
    assert log.user_features["gender"].tolist() == ["M", "F"]
    assert log.dropped == {"items without year, given the mean year": 1}
    assert log.real
    said = capsys.readouterr().err
    assert f"the files at {folder}" in said
    assert "GroupLens" in said
    archive = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name, text in ml_100k_files.items():
            file.writestr(f"ml-100k/{name}", text)
    assert movielens("100k", archive).fingerprint() == log.fingerprint()
    assert movielens("100k", tmp_path / "ml").fingerprint() == log.fingerprint()
    assert "GroupLens" not in capsys.readouterr().err, "the terms come once"


def test_the_layout_of_the_newer_sets(write, tmp_path):
    log = movielens("latest-small", write(tmp_path / "latest", LATEST))
    assert log.rating.tolist() == [0.5, 4.5]
    assert log.item_features["title"].tolist() == ["City, The (1995)", "B (1999)"]
    assert log.item_features["genre"].tolist() == [("Children", "Comedy"), ()]
    assert log.user_features == {}


def test_files_that_are_not_the_set_are_named(ml_100k_files, write, tmp_path):
    with pytest.raises(DataError, match=r"there is no u\.data in it"):
        movielens("100k", write(tmp_path / "empty", {}))
    with pytest.raises(DataError, match="expected a folder or a zip"):
        movielens("100k", tmp_path / "nowhere")
    with pytest.raises(DataError, match="not the files of MovieLens 100k"):
        movielens("100k", write(tmp_path / "bad", {**ml_100k_files, "u.data": "1,2,3\n"}))
    with pytest.raises(DataError, match="no features for id 9"):
        movielens(
            "100k", write(tmp_path / "bad", {**ml_100k_files, "u.data": "1\t9\t3\t5\n1\t1\t2\t5\n"})
        )
    with pytest.raises(ValueError, match="which: expected one of 100k, latest-small"):
        movielens("10m")


def test_when_nothing_leads_there_every_attempt_is_listed(no_pip):
    started = time.monotonic()
    with pytest.raises(SourceUnavailable) as error:
        movielens()
    assert time.monotonic() - started < 10
    for word in ("the cache", "TensorFlow Datasets", "no network in tests", "recbole", "path="):
        assert word in str(error.value)
    with pytest.raises(SourceUnavailable, match="not tried, because offline=True"):
        movielens(offline=True)


def test_what_was_fetched_is_cached_privately_and_read_again(
    ml_100k_files, write, tmp_path, monkeypatch, capsys
):
    tables = sources.grouplens.read_folder(write(tmp_path / "ml", ml_100k_files), "100k")
    monkeypatch.setattr(fetching, "through_wheel", lambda deadline: tables)
    first = movielens()
    assert "through pip" in first.origin
    stored = tmp_path / "cache" / "tfadvrec" / "movielens-100k.tables"
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    assert [path.name for path in stored.parent.glob(".*")] == []
    second = movielens(offline=True)
    assert second.origin == f"the cache ({stored})"
    assert second.fingerprint() == first.fingerprint()
    assert "the cache" in capsys.readouterr().err


@pytest.mark.parametrize("harm", [b"", b"half", b"0" * 64 + b"\nother"])
def test_a_damaged_cache_is_passed_over_and_mended(
    ml_100k_files, write, tmp_path, monkeypatch, harm
):
    tables = sources.grouplens.read_folder(write(tmp_path / "ml", ml_100k_files), "100k")
    stored = cache.cache_folder() / "movielens-100k.tables"
    cache.write_atomically(stored, harm)
    with pytest.raises(SourceUnavailable, match="the checksum does not fit"):
        movielens(offline=True)
    monkeypatch.setattr(fetching, "through_wheel", lambda deadline: tables)
    movielens()
    assert len(movielens(offline=True)) == 4


def test_a_cache_that_cannot_be_written_stops_nothing(ml_100k_files, write, tmp_path, monkeypatch):
    tables = sources.grouplens.read_folder(write(tmp_path / "ml", ml_100k_files), "100k")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(fetching, "through_wheel", lambda deadline: tables)
    assert "not kept" in movielens().origin


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(cache.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        cache.write_atomically(tmp_path / "x" / "file", b"content")
    assert list((tmp_path / "x").iterdir()) == []


def wheel(files, folder, monkeypatch, **changes):
    texts = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + files["u.data"],
        "item": "h\n1\tToy Story\t1995\tAnimation Children's Comedy\n2\tunkonwn\tunkonwn\tunknown\n"
        "3\tMisérables, Les\t1998\tDrama\n",
        "user": "h\n1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n",
        **changes,
    }
    path = folder / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for kind, text in texts.items():
            file.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{kind}", text)
    sums = {kind: hashlib.sha256(text.encode()).hexdigest() for kind, text in texts.items()}
    monkeypatch.setattr(fetching, "MEMBERS", sums)
    return path


def test_the_wheels_copy_gives_the_same_log_to_the_last_bit(
    ml_100k_files, write, tmp_path, monkeypatch
):
    tables = fetching.read_wheel(wheel(ml_100k_files, tmp_path, monkeypatch))
    expected = movielens("100k", write(tmp_path / "ml", ml_100k_files))
    assert sources.assemble(tables, "100k", "wheel").fingerprint() == expected.fingerprint()


def test_a_wheel_with_another_content_is_refused(ml_100k_files, tmp_path, monkeypatch):
    path = wheel(ml_100k_files, tmp_path, monkeypatch)
    monkeypatch.setitem(fetching.MEMBERS, "item", "0" * 64)
    with pytest.raises(fetching.Unreachable, match=r"the checksum of .*item does not fit"):
        fetching.read_wheel(path)
    monkeypatch.setitem(fetching.MEMBERS, "more", "0" * 64)
    monkeypatch.delitem(fetching.MEMBERS, "item")
    with pytest.raises(fetching.Unreachable, match=r"has no .*ml-100k\.more"):
        fetching.read_wheel(path)


def test_pip_that_hangs_is_ended_in_time(monkeypatch, tmp_path):
    hang = tmp_path / "python"
    hang.write_text("#!/bin/sh\nsleep 60 & sleep 60\n")
    hang.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hang))
    started = time.monotonic()
    with pytest.raises(fetching.Unreachable, match="no end within 1 s"):
        fetching.through_wheel(started + 1.0)
    assert time.monotonic() - started < 5


def test_pip_that_fails_says_why(monkeypatch, tmp_path):
    fail = tmp_path / "python"
    fail.write_text("#!/bin/sh\necho No module named pip\nexit 1\n")
    fail.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fail))
    with pytest.raises(fetching.Unreachable, match="No module named pip"):
        fetching.through_wheel(time.monotonic() + 10)


def test_a_download_that_hangs_is_ended_in_time(monkeypatch, tmp_path):
    hang = tmp_path / "python"
    hang.write_text("#!/bin/sh\necho ready\nsleep 60\n")
    hang.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hang))
    monkeypatch.setattr(fetching, "_prepared", lambda which: True)
    started = time.monotonic()
    with pytest.raises(fetching.Unreachable, match="not downloaded within 1 s"):
        fetching.through_tfds("100k", started + 1.0)
    assert time.monotonic() - started < 5


def test_a_host_that_never_answers_is_given_up(monkeypatch):
    def silent(*_, **__):
        time.sleep(3)
        raise urllib.error.URLError("too late to matter")

    monkeypatch.setattr(urllib.request, "urlopen", silent)
    started = time.monotonic()
    with pytest.raises(fetching.Unreachable, match=r"no answer within 0\.5 s"):
        fetching._probe(0.5)
    assert time.monotonic() - started < 2


def test_tables_survive_the_cache(write, tmp_path):
    tables = sources.grouplens.read_folder(write(tmp_path / "ml", LATEST), "latest-small")
    cache.store(tables, tmp_path / "kept")
    again = cache.load(tmp_path / "kept")
    assert again.users is None
    assert np.array_equal(again.ratings["rating"], tables.ratings["rating"])
    assert again.items["title"].tolist() == tables.items["title"].tolist()
