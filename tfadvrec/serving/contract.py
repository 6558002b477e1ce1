"""The file that says what a servable offers: `assets.extra/tfadvrec_contract.json`."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from tfadvrec.serving.vocabulary import sha256

FILE = Path("assets.extra", "tfadvrec_contract.json")
FORMAT = "tfadvrec servable 2"
KEYS = (
    *("format", "version", "model", "options", "index", "metrics", "warmup", "signatures"),
    *("files", "probe"),
)
PACKAGES = ("tfadvrec", "tensorflow", "keras", "numpy")


def write_contract(folder: Path, contract: dict[str, Any]) -> None:
    """Writes the contract with the checksums of all other files of the servable.

    Args:
        folder: The version folder, complete but for this file.
        contract: Everything but `format`, `made_with` and `files`.
    """
    whole = {
        "format": FORMAT,
        "made_with": {name: importlib.metadata.version(name) for name in PACKAGES},
        **contract,
        "files": checksums(folder),
    }
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )


def read_contract(folder: Path) -> dict[str, Any]:
    """Reads the contract of a version folder.

    Raises:
        ValueError: If there is none or it cannot be one.
    """
    path = folder / FILE
    try:
        contract = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder} has no {FILE}: it was not exported by tfadvrec, or not completely."
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    missing = [key for key in KEYS if not isinstance(contract, dict) or key not in contract]
    if missing or contract["format"] != FORMAT:
        raise ValueError(
            f"{path} must have the format {FORMAT!r} and the keys {list(KEYS)}; missing: {missing}."
        )
    return contract


def checksums(folder: Path) -> dict[str, str]:
    """Computes the SHA-256 of every file but the contract."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder): path for path in files}
    return {name.as_posix(): sha256(path) for name, path in names.items() if name != FILE}


def changed_files(folder: Path, expected: dict[str, str]) -> list[str]:
    """Compares a folder with the contract's checksums: one sentence a file that differs."""
    found = checksums(folder)
    problems = [f"file {name} is missing." for name in sorted(set(expected) - set(found))]
    problems += [
        f"file {name} is not in the contract." for name in sorted(set(found) - set(expected))
    ]
    problems += [
        f"file {name} has changed since the export (its SHA-256 differs)."
        for name in sorted(set(found) & set(expected))
        if found[name] != expected[name]
    ]
    return problems
