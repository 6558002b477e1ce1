import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfadvrec.serving import verify
from tfadvrec.serving.contract import FILE, read_contract
from tfadvrec.serving.ladder import runtimes
from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.runtimes import IsolatedRun
from tfadvrec.serving.ladder.verification import L2, L3, live_calls
from tfadvrec.serving.vocabulary import sha256


@pytest.fixture
def moved(published, tmp_path):
    """A copy of the published version in another place."""
    _, report = published
    return Path(shutil.copytree(report.path, tmp_path / "elsewhere" / "7"))


def test_base_path_means_its_newest_version(published, tmp_path):
    model, report = published
    base = tmp_path / "rec"
    for number in ("2", "10", "notes", ".tmp-11-abcd"):
        shutil.copytree(report.path, base / number)
    found = verify(base, model=model, runtime="python")
    assert (found.version, found.path, found.verified) == (10, str(base / "10"), True)
    assert found.skipped == {L3: "runtime='python' was asked for"}
    assert found.max_difference <= 1e-5


def test_moved_and_read_only_copy_is_verified_by_its_own_probe(moved):
    for path in (*moved.rglob("*"), moved):
        path.chmod(0o555 if path.is_dir() else 0o444)
    report = verify(moved.parent)
    for path in (moved, *moved.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert report.verified
    assert report.version == 7
    assert L2 in report.checks


def test_changed_file_is_found(moved):
    data = next(moved.glob("variables/variables.data*"))
    raw = bytearray(data.read_bytes())
    raw[5] ^= 1
    data.write_bytes(raw)
    (moved / "assets" / "extra.txt").write_text("x")
    report = verify(moved)
    assert not report.verified
    assert "variables.data-00000-of-00001 has changed since the export" in "\n".join(
        report.failures
    )
    assert "file assets/extra.txt is not in the contract." in "\n".join(report.failures)
    assert report.max_difference is None
    assert "NOT VERIFIED" in str(report)


def test_changed_answers_are_found_even_with_matching_checksums(moved):
    items = moved / "assets" / "items.txt"
    lines = items.read_text("utf-8").splitlines()
    items.write_text("\n".join(reversed(lines)) + "\n", "utf-8")
    contract = json.loads((moved / FILE).read_text("utf-8"))
    contract["files"]["assets/items.txt"] = sha256(items)
    (moved / FILE).write_text(json.dumps(contract), "utf-8")
    report = verify(moved)
    assert not report.verified
    assert any("item_id has other items than expected" in one for one in report.failures)


def test_another_model_has_other_answers(published, vectors):
    model, report = published
    folder = Path(report.path)
    contract = read_contract(folder)
    same = live_calls(folder, contract, model)[: len(contract["probe"])]
    other = live_calls(folder, contract, vectors.random(seed=5))
    for one, ours, theirs in zip(contract["probe"], same, other, strict=False):
        assert compare(ours, one["outputs"])[1] == []
        assert compare(theirs, one["outputs"])[1]
    larger = vectors.random(seed=5)
    larger.n_users = 8
    with pytest.raises(ValueError, match="made of another model"):
        live_calls(folder, contract, larger)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "has no assets.extra"), ("{", "not valid JSON"), ("{}", "must have the format")],
)
def test_servable_without_a_contract_is_not_verified(moved, text, message):
    (moved / FILE).unlink()
    if text is not None:
        (moved / FILE).write_text(text)
    report = verify(moved)
    assert not report.verified
    assert message in report.failures[0]


def test_missing_servable_and_unknown_runtime_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a version folder"):
        verify(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="'c' or 'python', got 'gpu'"):
        verify(tmp_path, runtime="gpu")


def test_processes_cannot_import_what_a_server_lacks(published):
    _, report = published
    with IsolatedRun("c_runtime") as process:
        process.ask(Path(report.path), [], {})
        outputs, problems = process.outcome()
        answer = json.loads(process.answer.read_text())
    assert (outputs, problems) == ([], [])
    assert answer == {"outputs": [], "importable": [], "loaded": []}


def test_c_runtime_is_for_linux(monkeypatch):
    monkeypatch.setattr(runtimes.sys, "platform", "darwin")
    assert runtimes.no_c_runtime() == "the C runtime check knows Linux only, this is darwin"


def test_process_that_dies_says_why(tmp_path):
    with IsolatedRun("c_runtime") as process:
        process.ask(tmp_path, [], {})
        outputs, problems = process.outcome()
    assert outputs == []
    assert "Could not find SavedModel" in problems[0]


def test_report_of_numbers_is_plain(published):
    _, report = published
    assert isinstance(report.max_difference, float)
    assert np.isfinite(report.max_difference)
