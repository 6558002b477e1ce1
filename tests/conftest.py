"""What every test may ask for: a toy log whose right answer is known, and the benchmark data."""

import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

gc.set_threshold(100_000, 50, 100)  # tracing makes millions of objects that live: look less often


@pytest.fixture
def benchmark_data() -> pathlib.Path:
    """The folder of real benchmark sets, or a loud skip."""
    folder = os.environ.get("TFADVREC_BENCHMARK_DATA")
    if not folder:
        pytest.skip("NOT TESTED on real data: TFADVREC_BENCHMARK_DATA names no folder")
    path = pathlib.Path(folder)
    if not path.is_dir():
        pytest.fail(f"TFADVREC_BENCHMARK_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def blocks_log():
    """A checkerboard: 20 users and 20 items; users like items of their own parity.

    Of the ten items of its parity each user has not met one, item `user // 2 * 2 + parity`.
    """
    from tfadvrec.data import Interactions

    user, item = np.nonzero(np.add.outer(np.arange(20), np.arange(20)) % 2 == 0)
    met = item != user
    return Interactions(
        user=user[met].astype(np.int32),
        item=item[met].astype(np.int32),
        time=np.arange(met.sum(), dtype=np.int64),
        user_ids=np.array([f"u{i:02d}" for i in range(20)]),
        item_ids=np.array([f"i{i:02d}" for i in range(20)]),
        name="checkerboard",
        real=False,
    )


OPT_IN = {"test_real_server.py": "real tensorflow_model_server", "test_gpu.py": "GPU"}


def pytest_terminal_summary(terminalreporter) -> None:
    """Says at the very end which of the ladder's opt-in rungs were not climbed."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "nodeid", "").startswith("tests/serving/")
    ]
    climbed = {
        pathlib.PurePath(report.nodeid.split("::")[0]).name
        for report in reports
        if getattr(report, "when", "") == "call" and report.outcome in ("passed", "failed")
    }
    missing = [name for file, name in OPT_IN.items() if file not in climbed]
    if reports and missing:
        terminalreporter.write_line(f"NOT TESTED: {' / '.join(missing)}", yellow=True)
