"""Versions that are carried off: nothing of the place or the process that made them is needed."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving import export, verify

K = 10


class Carried:
    """Two versions of one base, exported by one process and then moved; the sources are gone.

    The second version knows the items of the first in other rows, and more of them.
    """

    def __init__(self, vectors, room):
        one, two = vectors.random(seed=1), vectors.random(n_users=9, n_items=31, seed=2)
        two.item_ids, two.user_ids = two.item_ids[::-1].copy(), np.roll(two.user_ids, 4)
        self.models = {1: one, 2: two}
        sources = room / "sources"
        self.reports = [
            export(model, sources / "rec", k=K, signatures=["score"])
            for model in self.models.values()
        ]
        self.base = room / "carried off" / "ré c%20"
        self.base.parent.mkdir()
        shutil.move(sources / "rec", self.base)
        shutil.rmtree(sources)
        self.set_modes(0o555, 0o444)

    def set_modes(self, folders, files):
        """Sets the permissions of everything."""
        for path in (*self.base.rglob("*"), self.base):
            path.chmod(folders if path.is_dir() else files)

    def load(self, version):
        """The signatures of a version, loaded here."""
        return tf.saved_model.load(str(self.base / str(version))).signatures


@pytest.fixture(scope="module")
def carried(vectors, tmp_path_factory):
    """The two versions; they can be written to again afterwards, so that they can be deleted."""
    made = Carried(vectors, tmp_path_factory.mktemp("relocation"))
    yield made
    made.set_modes(0o755, 0o644)


def check(model, served):
    """Every user's list must be the one that NumPy makes of the model's vectors."""
    answer = served["recommend"](user_id=tf.constant(model.user_ids.astype(str)))
    scores = model.users.numpy() @ model.items.numpy().T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    got = [[one.decode() for one in row] for row in answer["item_id"].numpy()]
    assert got == model.item_ids[order].tolist()
    np.testing.assert_allclose(
        answer["score"], np.take_along_axis(scores, order, axis=1), rtol=1e-5, atol=1e-5
    )
    assert answer["known_user"].numpy().all()


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_both_versions_answer_with_their_own_vocabulary(carried, order):
    served = {version: carried.load(version) for version in order}
    for version in (*order, *order):
        check(carried.models[version], served[version])
    items = {
        version: [one.decode() for one in answer.numpy().ravel()]
        for version, answer in (
            (version, served[version]["recommend"](user_id=tf.constant(["100"]))["item_id"])
            for version in order
        )
    }
    assert items[1] != items[2]


def test_ids_of_the_later_version_are_unknown_to_the_earlier(carried):
    new, old = carried.models[2], carried.load(1)
    late = [one for one in new.item_ids if one not in set(carried.models[1].item_ids)]
    assert len(late) == 8
    users = tf.fill([8], "100")
    for served, known in ((old, False), (carried.load(2), True)):
        answer = served["score"](user_id=users, item_id=tf.constant(late))
        assert set(answer["known_item"].numpy().tolist()) == {known}


def test_moved_versions_are_verified_in_fresh_processes(carried):
    newest = verify(carried.base, model=carried.models[2])
    assert (newest.version, newest.failures) == (2, ())
    assert newest.checks == carried.reports[1].checks
    assert newest.max_difference <= 1e-5


def test_serving_writes_nothing_and_the_files_name_no_place(carried):
    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    files = sorted(path for path in carried.base.rglob("*") if path.is_file())
    before = state()
    check(carried.models[1], carried.load(1))
    assert state() == before
    assert sorted(path for path in carried.base.rglob("*") if path.is_file()) == files
    room = str(carried.base.parent.parent).encode()
    assert [path.name for path in files if room in path.read_bytes()] == []
