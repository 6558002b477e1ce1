"""Which peers there are: what they need, and which script runs them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """Another system: its environment's requirements, and the script that runs it there.

    Args:
        name: What the tables call it.
        script: File beside this one.
        environment: Folder of its virtual environment; systems may share one.
        requirements: Files that are installed one after the other.
        python: The Python that it needs, `"3.11"`.
        pip: Extra arguments of the last installation.
        variables: Environment variables that it runs with.
    """

    name: str
    script: str
    environment: str
    requirements: tuple[str, ...]
    python: str = "3.11"
    pip: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def interpreter(self, folder: str | os.PathLike) -> Path:
        """Its Python under the folder of environments."""
        return Path(folder).absolute() / self.environment / "bin" / "python"


QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
LEGACY = {"TF_USE_LEGACY_KERAS": "1", **QUIET}
PEERS = {
    peer.name: peer
    for peer in (
        Peer("implicit", "implicit_worker.py", "implicit", ("implicit",)),
        Peer("cornac", "cornac_worker.py", "cornac", ("cornac",)),
        Peer(
            "lightfm",
            "lightfm_worker.py",
            "lightfm",
            ("lightfm-build", "lightfm"),
            python="3.10",
            pip=("--no-build-isolation",),
        ),
        Peer("recbole", "recbole_worker.py", "recbole", ("recbole-torch", "recbole")),
        Peer("keras", "keras_worker.py", "tensorflow", ("tensorflow",), variables=QUIET),
        Peer("keras-rs", "keras_rs_worker.py", "tensorflow", ("tensorflow",), variables=QUIET),
        Peer("tfrs", "tfrs_worker.py", "tensorflow", ("tensorflow",), variables=LEGACY),
        Peer("apr-authors", "apr_worker.py", "apr", ("apr",), python="3.7", variables=QUIET),
    )
}
