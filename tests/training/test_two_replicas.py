"""Two replicas against one device, in a process of its own: devices are made before all else."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def test_two_replicas_agree_with_one_device():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-o", "addopts=--import-mode=importlib", str(HERE / "two_replicas.py")],
        env={**os.environ, "PYTEST_ADDOPTS": ""},  # options of the pytest outside
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parent.parent,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout, done.stdout[-2000:]
    assert "skipped" not in done.stdout, done.stdout[-2000:]
