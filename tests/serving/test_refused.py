"""What must never be published: each export is refused, and nothing is left of it."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving import ExportError, export, releasing, verify
from tfadvrec.serving.contract import FILE, checksums, read_contract
from tfadvrec.serving.graph.facade import Facade
from tfadvrec.serving.graph.factors import Factors
from tfadvrec.serving.ladder import verification
from tfadvrec.serving.ladder.runtimes import no_c_runtime

GOOD = [f"id {row}" for row in range(7)]
BAD = {
    "carriage return": ([*GOOD[:-1], "x\r"], "must not hold line breaks"),
    "line feed": ([*GOOD[:-1], "x\ny"], "must not hold line breaks"),
    "duplicate": ([*GOOD[:-1], "id 0"], "must differ from each other"),
    "duplicate in another type": (np.array([*GOOD[:-2], 1, "1"], object), "must differ"),
    "empty": ([*GOOD[:-1], ""], "must not be empty"),
}


@pytest.fixture
def refused(vectors, tmp_path):
    """Exports a small model: `refused(message, error)` holds it to fail and to leave nothing."""

    def export_it(message, error=ExportError, **options):
        (tmp_path / "rec" / "1").mkdir(parents=True)
        with pytest.raises(error, match=message) as caught:
            export(vectors.random(), tmp_path / "rec", signatures=["score"], **options)
        assert sorted(one.name for one in (tmp_path / "rec").rglob("*")) == ["1"]
        return caught.value

    return export_it


@pytest.fixture
def tamper(monkeypatch):
    """Replaces a method: `tamper(owner, name, change)` gives `change` the original's answer."""

    def replace(owner, name, change):
        original = getattr(owner, name)

        def changed(self, *args, **options):
            return change(original(self, *args, **options))

        monkeypatch.setattr(owner, name, changed)

    return replace


@pytest.mark.parametrize("side", ["user_ids", "item_ids"])
@pytest.mark.parametrize("kind", BAD)
def test_unfit_ids(vectors, tmp_path, side, kind):
    ids, message = BAD[kind]
    with pytest.raises(ValueError, match=f"{side} {message}"):
        export(vectors.random(n_items=7), tmp_path / "rec", **{side: ids})
    assert not (tmp_path / "rec").exists()


def test_version_that_exists(refused):
    refused("a published version is never changed", FileExistsError, version=1)


def test_failing_disk(refused, monkeypatch):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(releasing, "write_contract", fail)
    refused("No space left", OSError)


def test_output_that_rest_would_encode(refused, tamper):
    def rename(outputs):
        return {("score_bytes" if name == "score" else name): one for name, one in outputs.items()}

    tamper(Facade, "score", rename)
    refused("signature score must be .*score_bytes")


def test_scalar_input(refused, tamper):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="user_id"),
            tf.TensorSpec([], tf.int32, name="k"),
        ]
    )
    def recommend(user_id, k):
        scores = tf.zeros([tf.size(user_id), k])
        return {"item_id": tf.strings.as_string(scores), "score": scores}

    tamper(Facade, "functions", lambda made: made | {"recommend": recommend})
    refused(r"signature recommend must be .* it is .*'k': {'dtype': 'int32', 'shape': \[\]}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda top: (top[0] + tf.random.uniform([]), top[1]), "RandomUniform, stateful random"),
        (tf.function(lambda top: top, jit_compile=True), "demands XLA"),
        (lambda top: (by_numpy(top[0]), top[1]), "PyFunc"),
    ],
    ids=["stateful randomness", "forced XLA", "Python function"],
)
def test_graph_that_a_server_cannot_run(refused, tamper, change, message):
    tamper(Factors, "top", change)
    error = refused(message)
    assert error.report.checks == ()
    assert not error.report.verified


def test_python_function_that_the_audit_lets_pass(refused, tamper, monkeypatch):
    monkeypatch.setattr(verification, "audit_graph", lambda graph: [])
    tamper(Factors, "top", lambda top: (by_numpy(top[0]), top[1]))
    failures = refused("PyFunc").report.failures
    assert any(one.startswith("L2") for one in failures)
    if not no_c_runtime():
        assert any(one.startswith("L3") and "PyFunc" in one for one in failures)


def test_answers_that_differ_from_the_model(refused, tamper):
    def swap_the_last_two(top):
        scores, rows = top
        return scores, tf.concat([rows[:, :-2], rows[:, -1:], rows[:, -2:-1]], axis=1)

    tamper(Factors, "top", swap_the_last_two)
    failures = refused("recommend: item_id has other items").report.failures
    assert {one[:2] for one in failures} >= {"L2"}
    assert not any("L1" in one for one in failures)


def test_artefact_of_keras(published, tmp_path, capsys):
    """`model.export` of a model with text inputs writes float32 inputs and names like args_0."""

    class Looked(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, user_id):
            return self.dense(tf.ones([tf.shape(user_id)[0], 2]))

    model = Looked()
    model(tf.constant(["100"]))
    folder = tmp_path / "1"
    model.export(folder)
    report = verify(folder, runtime="python")
    assert "has no assets.extra" in report.failures[0]
    forge_contract(folder, read_contract(Path(published[1].path)))
    report = verify(folder, runtime="python")
    assert not report.verified
    said = "\n".join(report.failures)
    assert "signature recommend is missing" in said
    assert "float32" in said


def test_artefact_with_other_signatures_than_the_contract(published, tmp_path):
    folder = Path(shutil.copytree(published[1].path, tmp_path / "1"))
    contract = read_contract(folder)
    contract["signatures"]["recommend"]["outputs"]["item_id"]["shape"] = [-1, 11]
    del contract["signatures"]["score"]
    forge_contract(folder, contract)
    failures = "\n".join(verify(folder, runtime="python").failures)
    assert "signature score is not in the contract" in failures
    assert "signature recommend must be" in failures


def forge_contract(folder, contract):
    """Puts a contract beside a saved model whose checksums it states."""
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps(contract | {"files": checksums(folder)}), "utf-8")


def by_numpy(scores):
    return tf.ensure_shape(tf.numpy_function(np.positive, [scores], tf.float32), scores.shape)
