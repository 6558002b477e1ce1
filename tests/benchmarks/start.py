"""Part `start`: seconds until the package is there, in fresh processes."""

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from tests.benchmarks.context import Context

HEAVY = ("tensorflow", "keras", "keras_rs", "pandas", "sklearn", "matplotlib", "scipy", "pyarrow")
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import numpy": ("-c", "import numpy"),
    "import tfadvrec": ("-c", "import tfadvrec"),
    "tfadvrec --help": ("-m", "tfadvrec", "--help"),
    "import tensorflow": ("-c", "import tensorflow"),
    "tfadvrec.MatrixFactorization": ("-c", "import tfadvrec; tfadvrec.MatrixFactorization"),
}
LOADED = "import sys, {module}; print(*sorted(set({heavy!r}) & set(sys.modules)))"


def run(context: Context) -> dict[str, Any]:
    """Times every command in turn, round after round, after one that is not counted."""
    rounds = 2 if context.quick else max(context.rounds, 7)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            record = _timed(arguments)
            if turn:
                taken[name].append(record)
    rows = [
        {
            "command": name,
            "seconds": round(statistics.median(one["seconds"] for one in records), 3),
            "fastest": round(min(one["seconds"] for one in records), 3),
            "slowest": round(max(one["seconds"] for one in records), 3),
            "cpu_seconds": round(statistics.median(one["cpu"] for one in records), 3),
            "heavy_modules_loaded": _heavy(name),
        }
        for name, records in taken.items()
    ]
    return {
        "rows": rows,
        "note": f"Fresh processes, files in the system's cache; median of {rounds} after one that "
        "is not counted.",
    }


def _timed(arguments: tuple[str, ...]) -> dict[str, float]:
    """Runs one process: wall and CPU seconds."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    seconds, after = time.perf_counter() - started, os.times()
    used = after.children_user + after.children_system
    return {"seconds": seconds, "cpu": used - before.children_user - before.children_system}


def _heavy(name: str) -> str | None:
    """Which heavy modules are loaded after an import of ours."""
    module = {"import tfadvrec": "tfadvrec", "tfadvrec --help": "tfadvrec.cli.app"}.get(name)
    if module is None:
        return None
    code = LOADED.format(module=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() or "none"
