"""L7, opt-in: a servable answers on a GPU as it does on the CPU. TFADVREC_GPU=1 runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfadvrec.serving import export
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder import python_runtime
from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.verification import with_defaults

WHY = "NOT TESTED on a GPU: TFADVREC_GPU=1 runs it"
pytestmark = pytest.mark.skipif(os.environ.get("TFADVREC_GPU", "0") in ("", "0"), reason=WHY)

# TF32, which is on by default, rounds the factors of a product to ten bits: scores are then off by
# 1e-3, and lists differ. NVIDIA_TF32_OVERRIDE=0 turns it off, here as in a model server.
ENVIRONMENT = {"NVIDIA_TF32_OVERRIDE": "0", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
CHILD = """
import importlib.util, json, sys
import tensorflow as tf
runtime, folder, calls, answer = sys.argv[1:]
spec = importlib.util.spec_from_file_location("python_runtime", runtime)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
found = tf.config.list_physical_devices("GPU")
result = {"devices": len(found)}
if found:
    task = {"folder": folder, "calls": json.load(open(calls))}
    result["outputs"] = module.answer(task)
    result["peak"] = tf.config.experimental.get_memory_info("GPU:0")["peak"]
json.dump(result, open(answer, "w"))
"""


def on_gpu(folder, contract, room):
    """Answers the contract's probe in a process that sees the GPU.

    Returns the problems that a comparison finds, and the most bytes that were held on the card.
    """
    calls = [with_defaults(call, contract["signatures"]) for call in contract["probe"]]
    (room / "calls.json").write_text(json.dumps(calls), "utf-8")
    paths = [python_runtime.__file__, folder, room / "calls.json", room / "answer.json"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((room / "answer.json").read_text("utf-8"))
    assert result["devices"], "TFADVREC_GPU=1, but TensorFlow finds no GPU: " + done.stderr[-3000:]
    answers = zip(contract["probe"], result["outputs"], strict=True)
    problems = [problem for call, served in answers for problem in compare(call, served)[1]]
    return problems, result["peak"]


def test_every_signature_answers_as_on_the_cpu(published, tmp_path):
    folder = Path(published[1].path)
    problems, _ = on_gpu(folder, read_contract(folder), tmp_path)
    assert problems == []


def test_large_table_is_searched_on_the_gpu(vectors, tmp_path):
    rng = np.random.default_rng(0)
    items = rng.normal(size=(50_000, 32)).astype(np.float32)
    model = vectors(
        rng.normal(size=(16, 32)),
        items,
        user_ids=np.arange(16),
        item_ids=np.arange(len(items)),
    )
    report = export(model, tmp_path / "rec", k=50, max_exclude=8, signatures=["score"])
    folder = Path(report.path)
    problems, peak = on_gpu(folder, read_contract(folder), tmp_path)
    assert problems == []
    assert peak >= items.nbytes  # the table was on the card
