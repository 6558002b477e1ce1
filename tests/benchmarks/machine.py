"""What a figure was measured on: hardware and versions, no names of hosts or folders."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("tfadvrec", "tensorflow", "keras", "keras-rs", "numpy", "scipy")


def facts(command: str) -> dict[str, Any]:
    """Processor, memory, system, versions, date and the command, JSON-able."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": _memory(),
        "load_before": [round(one, 2) for one in os.getloadavg()],
        "gpu": "none used; nothing here is measured on one",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _memory() -> float | None:
    total = _field("/proc/meminfo", "MemTotal")
    return round(int(total.split()[0]) / 2**20, 1) if total else None


def _field(path: str, name: str) -> str | None:
    """The value of the first line `name: value` of a file, where there is one."""
    if not Path(path).exists():
        return None
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
