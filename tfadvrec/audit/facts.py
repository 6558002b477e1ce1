"""What the report says about models, logs and software so that it can be checked later."""

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np


def model_facts(model: Any) -> dict[str, Any]:
    """Class, configuration and hashes of a model."""
    weights = getattr(model, "weights", [])
    config = model.get_config() if hasattr(model, "get_config") else {}
    text = json.dumps(config, sort_keys=True, default=str)
    return {
        "name": str(getattr(model, "name", type(model).__name__)),
        "class": type(model).__name__,
        "config": json.loads(text),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "weights_sha256": weights_sha256(model),
        "parameters": int(sum(int(np.prod(weight.shape)) for weight in weights)),
    }


def weights_sha256(model: Any) -> str:
    """Hash of the names, types, shapes and values of a model's weights."""
    digest = hashlib.sha256()
    for weight in sorted(getattr(model, "weights", []), key=lambda weight: weight.path):
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{weight.path} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def data_facts(train: Any, validation: Any, test: Any) -> dict[str, Any]:
    """Names, sizes and fingerprints of the logs."""
    parts = {"train": train, "validation": validation, "test": test}
    return {
        "name": str(train.name),
        "origin": str(train.origin),
        "real": bool(train.real),
        "users": int(train.n_users),
        "items": int(train.n_items),
        "interactions": {name: None if log is None else len(log) for name, log in parts.items()},
        "fingerprints": {
            name: None if log is None else log.fingerprint() for name, log in parts.items()
        },
    }


def split_facts(train: Any, test: Any, stated: str | None) -> dict[str, Any]:
    """How the logs were split, as stated by the caller and as far as the logs show it."""
    held = np.bincount(test.user, minlength=test.n_users)
    facts: dict[str, Any] = {
        "stated": stated,
        "users with held-out items": int((held > 0).sum()),
        "held-out items per such user": float(held[held > 0].mean()) if len(test) else 0.0,
        "leaves one out": bool(len(test)) and int(held.max()) == 1,
        "test is later than train": None,
    }
    if train.time is not None and test.time is not None and len(train) and len(test):
        facts["test is later than train"] = bool(test.time.min() >= train.time.max())
    return facts


def selection_facts(validation: Any, stated: str | None) -> str:
    """What is known about how the model was chosen."""
    if stated:
        return stated
    if validation is None:
        return (
            "No validation part was given. How settings and epochs were chosen is unknown here; if "
            "the test part was used, its numbers are too good."
        )
    return (
        "A validation part was given: settings and epochs are taken to have been chosen on it, and "
        "its items are masked here. The test part was read for this report only."
    )


def versions(names: Sequence[str] = ("tfadvrec", "tensorflow", "keras", "numpy", "scipy")) -> dict:
    """Versions of Python and of the libraries."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found
