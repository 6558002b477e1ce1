import functools
import http.server
import os
import threading
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.structured import movielens as structured

from tfadvrec.data import DataError, Interactions, fetching, movielens, sources
from tfadvrec.data.tfds_child import fetch, tables_of


@pytest.fixture
def builder(tmp_path, write, ml_100k_files, monkeypatch):
    """The real MovieLens builder, prepared from made-up local files instead of a download."""
    folder = write(tmp_path / "ml-100k", ml_100k_files)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    class Movielens(structured.Movielens, skip_registration=True):
        pkg_dir_path = os.path.dirname(structured.__file__)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(str(folder))}

    made = Movielens(config="100k-ratings", data_dir=tmp_path / "tfds")
    made.download_and_prepare()
    return made


OPTIONS = {
    "user": "user_id",
    "item": "movie_id",
    "rating": "user_rating",
    "time": "timestamp",
    "user_features": {"age": "raw_user_age", "work": "user_occupation_label"},
    "item_features": {"title": "movie_title", "genre": "movie_genres"},
}


def assert_right(log):
    order = np.argsort(log.time, kind="stable")
    assert log.user_ids.tolist() == [1, 2]
    assert log.item_ids[log.item[order]].tolist()[0] == 2
    assert sorted(log.rating.tolist()) == [1.0, 3.0, 4.0, 5.0]
    assert log.user_features["age"].tolist() == [24.0, 53.0]
    assert log.user_features["work"].tolist() == ["technician/engineer", "other/not specified"]
    assert log.item_features["title"].tolist()[0] == "Toy Story (1995)"
    assert log.item_features["genre"].tolist()[0] == ("Animation", "Children", "Comedy")


def test_a_builder_a_prepared_folder_and_a_name(builder, tmp_path):
    assert_right(Interactions.from_tfds(builder, **OPTIONS))
    prepared = tfds.builder_from_directory(str(builder.data_path))
    assert_right(Interactions.from_tfds(prepared, **OPTIONS))
    named = Interactions.from_tfds(
        "movielens/100k-ratings", data_dir=str(tmp_path / "tfds"), **OPTIONS
    )
    assert_right(named)
    assert named.origin == "TensorFlow Datasets: movielens/100k-ratings, split train"


def test_the_builders_tables_give_the_same_log_as_the_files(builder, tmp_path):
    log = sources.assemble(tables_of(builder), "100k", "TFDS")
    assert log.fingerprint() == movielens("100k", tmp_path / "ml-100k").fingerprint()


def test_the_child_process_hands_over_a_prepared_set(builder, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    tables = fetching.through_tfds("100k", fetching.time.monotonic() + 5)
    log = sources.assemble(tables, "100k", "TFDS")
    assert log.fingerprint() == movielens("100k", tmp_path / "ml-100k").fingerprint()


@pytest.fixture
def published(tmp_path, ml_100k_files, monkeypatch):
    """A server on this machine that has a zip of the set; its address and what is asked of it."""
    folder = tmp_path / "server"
    folder.mkdir()
    with zipfile.ZipFile(folder / "ml-100k.zip", "w") as archive:
        for name, text in ml_100k_files.items():
            archive.writestr(f"ml-100k/{name}", text.encode("latin-1"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ml-100k.zip", folder / "ml-100k.zip"
        server.shutdown()


class Unprepared:
    """What the child asks of a builder whose set is not prepared yet."""

    name = "movielens"

    def __init__(self, root, url, archive):
        self.data_dir_root = epath.Path(root)
        self.data_path = self.data_dir_root / "movielens"
        self.builder_config = structured.MovieLensConfig(
            name="100k-ratings", format_version="100k", table_option="ratings", download_url=url
        )
        self.url_infos = {url: checksums.compute_url_info(archive)}


def test_a_download_is_checked_and_read_as_published(published, tmp_path, write, ml_100k_files):
    url, archive = published
    tables = fetch(Unprepared(tmp_path / "tfds", url, archive), "100k")
    log = sources.assemble(tables, "100k", "TFDS")
    expected = movielens("100k", write(tmp_path / "files", ml_100k_files))
    assert log.fingerprint() == expected.fingerprint()


def test_a_download_with_another_checksum_is_refused(published, tmp_path):
    url, archive = published
    builder = Unprepared(tmp_path / "tfds", url, archive)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(tfds.download.download_manager.NonMatchingChecksumError):
        fetch(builder, "100k")


def test_any_tf_data_of_dicts_is_a_log():
    dataset = tf.data.Dataset.from_tensor_slices(
        {"user_id": ["ann", "bob", "ann"], "item_id": [1, 1, 2], "score": [1.0, 2.0, 3.0]}
    )
    log = Interactions.from_tfds(dataset, rating="score", columns=["score"])
    assert log.user_ids.tolist() == ["ann", "bob"]
    assert log.rating.tolist() == [1.0, 2.0, 3.0]
    assert log.columns["score"].tolist() == [1.0, 2.0, 3.0]


def test_columns_that_a_dataset_lacks_are_named():
    dataset = tf.data.Dataset.from_tensor_slices({"user_id": [1], "item": [2]})
    with pytest.raises(DataError, match=r"no column 'item_id'\. Its columns are 'user_id', 'item'"):
        Interactions.from_tfds(dataset)
    with pytest.raises(DataError, match="dataset of dicts"):
        Interactions.from_tfds(tf.data.Dataset.range(3))


def test_an_empty_dataset_is_no_log():
    dataset = tf.data.Dataset.from_tensor_slices({"user_id": [1], "item_id": [2]}).take(0)
    with pytest.raises(DataError, match="no interactions"):
        Interactions.from_tfds(dataset)
