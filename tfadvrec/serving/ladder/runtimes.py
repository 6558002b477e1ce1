"""Runs a servable's calls in processes that have neither Keras nor this package."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
    """One process that answers calls by one runtime.

    The process starts, and loads its runtime, at once; it is asked later, and awaited later still.
    Leaving the `with` block ends it.

    Args:
        runtime: `"python_runtime"` or `"c_runtime"`.
    """

    def __init__(self, runtime: str) -> None:
        self.room = tempfile.TemporaryDirectory(prefix="tfadvrec-verify-")
        self.job, self.answer, self.log = (
            Path(self.room.name, name) for name in ("job.json", "answer.json", "log")
        )
        entry = Path(__file__).with_name("child.py")
        paths = json.dumps([path for path in sys.path if path])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *FLAGS[runtime], str(entry), runtime, paths],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.room.name,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            )

    def ask(self, folder: Path, calls: list[dict[str, Any]], tensors: dict[str, Any]) -> None:
        """Hands the calls over and returns at once.

        Args:
            folder: The version folder.
            calls: With `signature` and `inputs`.
            tensors: signature -> side -> name -> tensor name in the graph.
        """
        task = {
            "folder": str(folder.resolve()),
            "calls": [{key: one[key] for key in ("signature", "inputs")} for one in calls],
            "tensors": tensors,
            "libraries": libraries(),
            "answer": str(self.answer),
        }
        self.job.write_text(json.dumps(task), "utf-8")
        with suppress(BrokenPipeError):  # it has died; `outcome` says of what
            self.process.stdin.write(f"{self.job}\n".encode())
            self.process.stdin.close()

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
            said = self.log.read_text("utf-8", "replace").strip()[-TAIL:]
            return [], [f"the process ended with {self.process.returncode}: {said}"]
        answer = json.loads(self.answer.read_text("utf-8"))
        present = sorted({*answer["loaded"], *answer["importable"]})
        problems = [f"it could import {present}, so it proves nothing."] if present else []
        return answer["outputs"], problems

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.room.cleanup()
