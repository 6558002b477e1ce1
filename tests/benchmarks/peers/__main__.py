"""Makes the peers' environments: `python -m tests.benchmarks.peers FOLDER [--only implicit]`."""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.peers.catalogue import HERE, PEERS, Peer

LIMIT = 3600  # seconds that one installation may take
DONE = "installed.txt"


def main(arguments: list[str] | None = None) -> int:
    """Installs what is asked for; tells what could not be."""
    options = _parser().parse_args(arguments)
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    failed = {}
    for name in options.only or PEERS:
        started = time.perf_counter()
        problem = install(PEERS[name], folder, pythons=_pythons(options))
        if problem:
            failed[name] = problem
        print(f"{name}: {problem or f'ready ({time.perf_counter() - started:.0f} s)'}", flush=True)
    return 1 if failed and len(failed) == len(options.only or PEERS) else 0


def install(peer: Peer, folder: Path, *, pythons: dict[str, str]) -> str | None:
    """Makes a peer's environment; None, or why there is none."""
    python = pythons.get(peer.python) or _find(peer.python)
    if python is None:
        return f"needs Python {peer.python}, which is not on PATH: --python-{peer.python} PATH"
    room = folder / peer.environment
    wanted = "".join(_file(name).read_text(encoding="utf-8") for name in peer.requirements)
    if (room / DONE).exists() and (room / DONE).read_text(encoding="utf-8") == wanted:
        return None
    steps = [[python, "-m", "venv", "--clear", str(room)]]
    for name in peer.requirements:
        extra = peer.pip if name == peer.requirements[-1] else ()
        pip = [str(peer.interpreter(folder)), "-m", "pip", "install", "-q"]
        steps.append([*pip, *extra, "-r", str(_file(name))])
    for step in steps:
        problem = _run(step, folder / f"{peer.environment}.log")
        if problem:
            return problem
    (room / DONE).write_text(wanted, encoding="utf-8")
    return None


def _run(step: list[str], log: Path) -> str | None:
    """Runs a command into a log; None, or the last line that says why it failed."""
    with open(log, "a", encoding="utf-8") as told:
        told.write(f"$ {' '.join(step)}\n")
        told.flush()
        try:
            done = subprocess.run(step, stdout=told, stderr=told, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"installing took more than {LIMIT} s"
        except OSError as error:
            return f"{step[0]} does not start: {error}"
    if done.returncode == 0:
        return None
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return f"cannot be installed, see {log.name}: {(errors or lines)[-1].strip()[:200]}"


def _file(name: str) -> Path:
    """A requirements file."""
    return HERE / "requirements" / f"{name}.txt"


def _find(version: str) -> str | None:
    """A Python of that version that really starts; a version manager's shim may not."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    python = shutil.which(f"python{version}")
    if python is None:
        return None
    tried = subprocess.run([python, "-V"], capture_output=True, check=False)
    return python if tried.returncode == 0 else None


def _pythons(options: argparse.Namespace) -> dict[str, str]:
    """Version -> path, as given."""
    given = {"3.7": options.python_37, "3.10": options.python_310, "3.11": options.python_311}
    return {version: path for version, path in given.items() if path}


def _parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description=__doc__)
    parser.add_argument("folder", help="where the environments go, one folder each")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), help="these peers only")
    parser.add_argument("--python-3.7", dest="python_37", help="path of a Python 3.7")
    parser.add_argument("--python-3.10", dest="python_310", help="path of a Python 3.10")
    parser.add_argument("--python-3.11", dest="python_311", help="path of a Python 3.11")
    return parser


if __name__ == "__main__":
    sys.exit(main())
