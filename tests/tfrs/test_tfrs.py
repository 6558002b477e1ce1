"""The bridge to TensorFlow Recommenders, which is Keras 2: its tests run in a process of their own.

`inner/` holds them, with the docstring examples of `tfadvrec/tfrs`; that process is started once,
with `TF_USE_LEGACY_KERAS=1`. Another one asks whether the rest works with the variable set.
"""

import importlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import tfadvrec as tar

ROOT = pathlib.Path(__file__).resolve().parents[2]
INNER = pathlib.Path(__file__).with_name("inner")
ABSENT = [
    name
    for name in ("tensorflow_recommenders", "tf_keras")
    if importlib.util.find_spec(name) is None
]
TESTS, EXAMPLES = 51, 3
BROKEN = 'import tensorflow as tf\nraise tf.errors.NotFoundError(None, None, "undefined symbol")\n'
# what a user does first, without the bridge
TRAIN = """
import tfadvrec as tar

log = tar.data.synthetic(n_users=30, n_items=40, n_interactions=400, seed=0)
train, validation, test = tar.data.leave_last_out(log)
model = tar.MatrixFactorization(n_users=30, n_items=40, dimension=8, seed=0).bind(train)
robust = tar.AdversarialTraining(model, tar.FastGradient(0.3), weight=1.0)
robust.compile("adagrad", loss=tar.losses.BayesianPersonalizedRanking())
history = robust.fit(tar.data.pairs(train, batch_size=64, seed=0, block=4), epochs=2, verbose=0)
found = tar.evaluate(model, train, test, seen=(validation,), k=(10,), metrics=["ndcg"])
numbers = [history.history["adversarial_loss"][-1], found.means["ndcg@10"]]
"""
SHARE = """
import sys

model.save_to_preset("preset")
again = tar.Recommender.from_preset("preset")
assert (again.recommend(log.user_ids, 5)[0] == model.recommend(log.user_ids, 5)[0]).all()
assert tar.serving.export(model, "servable", k=5).verified
print("TFRS is loaded:", "tensorflow_recommenders" in sys.modules)
print(*numbers)
"""

needs_tfrs = pytest.mark.skipif(
    bool(ABSENT), reason=f"NOT TESTED with TensorFlow Recommenders: {ABSENT} not installed"
)


def environment(*folders):
    """That of a process of its own with the variable set."""
    dropped = ("KERAS_BACKEND", "PYTEST_ADDOPTS")  # options of the pytest outside
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    path = os.pathsep.join(str(folder) for folder in (ROOT, *folders))
    return {**kept, **quiet, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": path}


@needs_tfrs
def test_the_bridge_in_a_process_of_its_own(tmp_path):
    """Every test of `inner/`, beside a scann that cannot be loaded where there is no other."""
    given = environment(tmp_path)
    if importlib.util.find_spec("scann") is None:
        (tmp_path / "scann").mkdir()
        (tmp_path / "scann/__init__.py").write_text(BROKEN, encoding="utf-8")
        given["TFADVREC_BROKEN_SCANN"] = "1"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "norecursedirs=.*"]
    options += [f"--junitxml={tmp_path / 'inner.xml'}", f"--basetemp={tmp_path / 'room'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(INNER), str(ROOT / "tfadvrec/tfrs")],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = ElementTree.parse(tmp_path / "inner.xml").getroot().findall(".//testcase")
    examples = [case for case in cases if case.get("classname", "").startswith("tfadvrec.tfrs")]
    assert (len(cases) - len(examples), len(examples)) == (TESTS, EXAMPLES)
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    print("NOT TESTED in the process of TensorFlow Recommenders:", skipped)
    assert set(skipped) <= {
        "test_scann_finds_what_brute_force_finds",
        "test_it_loads_beside_a_scann_that_cannot",
    }


def test_the_package_works_the_same_with_the_variable_set(tmp_path):
    here = {}
    exec(TRAIN, here)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN + SHARE],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    loaded, numbers = done.stdout.splitlines()[-2:]
    assert loaded == "TFRS is loaded: False"
    assert [float(number) for number in numbers.split()] == pytest.approx(here["numbers"], rel=1e-5)


def test_without_the_variable_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    monkeypatch.delitem(sys.modules, "tfadvrec.tfrs.loading", raising=False)
    assert "AdversarialTraining" in dir(tar.tfrs)  # the face itself is there
    with pytest.raises(ImportError, match=r"TF_USE_LEGACY_KERAS=1, set before TensorFlow") as said:
        tar.tfrs.index  # noqa: B018
    assert len(re.findall(r"\.(?:\s|$)", str(said.value))) == 1


@needs_tfrs
@pytest.mark.skipif(
    os.environ.get("TF_USE_LEGACY_KERAS") is not None, reason="NOT TESTED: the variable is set here"
)
def test_a_variable_that_is_set_too_late_is_told_so(monkeypatch):
    import tensorflow

    assert getattr(tensorflow, "keras").version().startswith("3.")  # noqa: B009
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(ImportError, match="Here it was set after that"):
        importlib.import_module("tfadvrec.tfrs.loading")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = r'tensorflow_recommenders and tf_keras: pip install "tfadvrec\[tfrs\]"'
    with pytest.raises(ImportError, match=wanted):
        importlib.import_module("tfadvrec.tfrs.loading")
