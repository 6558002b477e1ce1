"""Ways to MovieLens over the network, each in a process of its own that can be ended in time."""

import contextlib
import hashlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfadvrec.data import cache
from tfadvrec.data.grouplens import Tables, parse_ratings

WHEEL = "recbole==1.2.1"
"""A published wheel that carries a copy of MovieLens-100K."""

MEMBERS = {
    "inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
"""The wheel's three files, and the SHA-256 that each must have."""

HOST = "https://files.grouplens.org/datasets/movielens/"

_PREPARATION = 300.0
_LARGEST_MEMBER = 8 * 2**20


class Unreachable(Exception):
    """A way that did not lead to the set; the message says why."""


def through_tfds(which: str, deadline: float) -> Tables:
    """Lets TensorFlow Datasets download the set, in a child process.

    Args:
        which: `"100k"` or `"latest-small"`.
        deadline: The moment (`time.monotonic`) at which the download must have ended. Importing
            TensorFlow and reading what was downloaded do not count.

    Returns:
        The tables.

    Raises:
        Unreachable: When the host does not answer, or the child fails or takes too long.
    """
    if not _prepared(which):
        _probe(min(2.5, deadline - time.monotonic()))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "tables")
        command = [sys.executable, "-m", "tfadvrec.data.tfds_child", which, str(target)]
        with _child(command, folder) as (process, lines):
            begun = time.monotonic()
            _expect(lines, "ready", 120.0, process)
            deadline += time.monotonic() - begun
            _expect(lines, "downloaded", deadline - time.monotonic(), process)
            _expect(lines, "prepared", _PREPARATION, process)
        return cache.load(target)


def through_wheel(deadline: float) -> Tables:
    """Takes MovieLens-100K out of a published wheel, fetched by the user's own pip.

    Only three text files are read from the wheel; nothing of it is installed or run.

    Args:
        deadline: The moment (`time.monotonic`) at which pip must have ended.

    Returns:
        The tables.

    Raises:
        Unreachable: When pip fails or takes too long, or a checksum does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "0"]
        command += ["--timeout", "4", "--dest", folder, WHEEL]
        with _child(command, folder) as (process, lines):
            said = _wait(lines, deadline - time.monotonic(), process)
        if process.returncode:
            raise Unreachable(f"pip download {WHEEL} failed: {said or 'without a word'}")
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise Unreachable(f"pip download {WHEEL} left {len(wheels)} wheels")
        return read_wheel(wheels[0])


def read_wheel(path: Path) -> Tables:
    """Reads the set's files from the wheel, each against its checksum.

    Raises:
        Unreachable: When a file is missing or differs.
    """
    texts = {}
    with zipfile.ZipFile(path) as wheel:
        for kind, expected in MEMBERS.items():
            name = f"recbole/dataset_example/ml-100k/ml-100k.{kind}"
            try:
                size = wheel.getinfo(name).file_size
            except KeyError:
                raise Unreachable(f"{path.name} has no {name}") from None
            content = wheel.read(name) if size <= _LARGEST_MEMBER else b""
            if hashlib.sha256(content).hexdigest() != expected:
                raise Unreachable(f"{path.name}: the checksum of {name} does not fit")
            texts[kind] = content
    items, users = (
        [line.split("\t") for line in texts[kind].decode("utf-8").splitlines()[1:]]
        for kind in ("item", "user")
    )
    return Tables(
        parse_ratings(texts["inter"].partition(b"\n")[2]),
        {
            "id": np.array([int(row[0]) for row in items], np.int64),
            "title": np.array([_original_title(row[1], row[2]) for row in items]),
            "genre": np.array([row[3].replace(" ", "|") for row in items]),
        },
        {
            "id": np.array([int(row[0]) for row in users], np.int64),
            "age": np.array([float(row[1]) for row in users], np.float32),
            "gender": np.array([row[2] for row in users]),
            "occupation": np.array([row[3] for row in users]),
        },
    )


def _original_title(title: str, year: str) -> str:
    """Undoes what the wheel's copy changed: accents were added, and the unknown film misspelt."""
    if title == "unkonwn":
        return "unknown"
    plain = unicodedata.normalize("NFKD", f"{title} ({year})")
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _prepared(which: str) -> bool:
    """Tells whether TensorFlow Datasets has the set already, so that no network is needed."""
    root = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    return Path(root, "movielens", f"{which}-ratings").is_dir()


def _probe(seconds: float) -> None:
    """Asks the host for a sign of life before TensorFlow is loaded for nothing."""
    answer: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            request = urllib.request.Request(HOST, method="HEAD")
            with urllib.request.urlopen(request, timeout=max(seconds, 0.1)):
                answer.put("")
        except urllib.error.HTTPError:
            answer.put("")
        except (OSError, ValueError) as error:
            answer.put(str(error) or type(error).__name__)

    # a thread, because no timeout covers a name server that does not answer
    threading.Thread(target=ask, daemon=True).start()
    try:
        reason = answer.get(timeout=max(seconds, 0.1))
    except queue.Empty:
        reason = f"no answer within {seconds:.1f} s"
    if reason:
        raise Unreachable(f"its host cannot be reached ({reason})")


@contextlib.contextmanager
def _child(
    command: list[str], folder: str
) -> Iterator[tuple[subprocess.Popen[str], "queue.Queue[str | None]"]]:
    """Runs a command; its lines come in a queue, and it is gone when the block ends."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env=_environment(),
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        for line in process.stdout or ():
            lines.put(line.strip())
        lines.put(None)

    reader = threading.Thread(target=pump, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        _end(process)
        reader.join(timeout=5)
        if process.stdout is not None and not reader.is_alive():
            process.stdout.close()


def _environment() -> dict[str, str]:
    """Returns a child's environment, in which it finds this package wherever it lies."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
    quiet = {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **quiet, "PYTHONPATH": path}


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a child and whatever it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _expect(
    lines: "queue.Queue[str | None]",
    word: str,
    seconds: float,
    process: subprocess.Popen[str],
) -> None:
    """Waits for a line of the child's."""
    last, end = "", time.monotonic() + seconds
    while True:
        try:
            line = lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise Unreachable(f"not {word} within {max(seconds, 0):.0f} s") from None
        if line == word:
            return
        if line is None:
            process.wait(timeout=5)
            raise Unreachable(last or f"ended with status {process.returncode}")
        last = line or last


def _wait(lines: "queue.Queue[str | None]", seconds: float, process: subprocess.Popen[str]) -> str:
    """Waits for the child's end and returns its last line."""
    last, end = "", time.monotonic() + seconds
    while True:
        try:
            line = lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise Unreachable(f"no end within {max(seconds, 0):.0f} s") from None
        if line is None:
            process.wait(timeout=5)
            return last
        last = line or last
