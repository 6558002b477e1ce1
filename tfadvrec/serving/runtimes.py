"""Runs a servable's calls in processes that have neither Keras nor this package."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

SECONDS = 600
TAIL = 600
LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
FLAGS = {"python_runtime": ("-I",), "c_runtime": ("-I", "-S")}


def no_c_runtime() -> str | None:
    """Says why the C runtime cannot be used here; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"the C runtime check knows Linux only, this is {sys.platform}"
    missing = [path for path in libraries() if not Path(path).exists()]
    return f"the installed TensorFlow has no {missing}" if missing else None


def libraries() -> list[str]:
    """Lists TensorFlow's shared libraries in the order in which they must be loaded."""
    folder = Path(tf.__file__).parent
    return [str(folder / name) for name in LIBRARIES]


class IsolatedRun:
    """One process that answers calls by one runtime; it starts at once and is awaited later.

    Args:
        runtime: `"python_runtime"` or `"c_runtime"`.
        folder: The version folder.
        calls: What to ask.
        tensors: signature -> side -> name -> tensor name in the graph.
    """

    def __init__(
        self,
        runtime: str,
        folder: Path,
        *,
        calls: list[dict[str, Any]],
        tensors: dict[str, Any],
    ) -> None:
        self.room = tempfile.TemporaryDirectory(prefix="tfadvrec-verify-")
        room = Path(self.room.name)
        self.answer_path, self.log_path = room / "answer.json", room / "log"
        asked = [{"signature": one["signature"], "inputs": one["inputs"]} for one in calls]
        job = {
            "folder": str(folder.resolve()),
            "calls": asked,
            "tensors": tensors,
            "libraries": libraries(),
            "sys_path": [path for path in sys.path if path],
        }
        (room / "job.json").write_text(json.dumps(job), "utf-8")
        entry = Path(__file__).with_name("child.py")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, *FLAGS[runtime], str(entry), runtime),
                    *(str(room / "job.json"), str(self.answer_path)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=room,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            )

    def outcome(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Waits for the answers.

        Returns:
            The outputs of each call, empty where the process failed, and one sentence a problem.
        """
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return [], [f"no answer within {SECONDS} s."]
        if self.process.returncode:
            said = self.log_path.read_text("utf-8", "replace").strip()[-TAIL:]
            return [], [f"the process ended with {self.process.returncode}: {said}"]
        answer = json.loads(self.answer_path.read_text("utf-8"))
        present = [*answer["loaded"], *answer["importable"]]
        problems = (
            [f"it could import {sorted(set(present))}, so it proves nothing."] if present else []
        )
        return answer["outputs"], problems

    def close(self) -> None:
        """Ends the process if it still runs and removes its files."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.room.cleanup()
