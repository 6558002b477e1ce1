"""Writing a preset, whole or not at all."""

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.presets import files
from tfadvrec.presets.card import NO_LIMITS, limits_of, write_card
from tfadvrec.presets.configuration import config_record
from tfadvrec.presets.files import PresetError
from tfadvrec.presets.probe import TOLERANCE, check_probe, make_probe
from tfadvrec.presets.replacing import replacing, write_file
from tfadvrec.presets.tensors import flat_names, numbered, write_tensors
from tfadvrec.presets.vocabulary import write_ids


def save(
    model: Any,
    folder: str | os.PathLike,
    *,
    recipe: str | None = None,
    metrics: Mapping[str, Any] | None = None,
    data: Mapping[str, str] | None = None,
    limits: str | None = None,
    probe: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    weights: bool = True,
    optimizer: Any = None,
    health: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes a model as a preset folder, in one step: the folder is complete or not there.

    An earlier preset in the same folder is replaced, and the `Limits` section of its card, which is
    written by hand, is kept.

    Args:
        model: A built model of a class decorated with `register`. Where it has `user_ids` and
            `item_ids`, they become the vocabularies: user ids can be personal data.
        folder: Where to write.
        recipe: The text of the TOML recipe that made the model.
        metrics: What was measured, JSON-able; see `tfadvrec.recipes`.
        data: Where the training data came from: `name`, `licence`, `origin`, `fingerprint`.
        limits: First text of the card's `Limits` section, where the folder has none yet.
        probe: Inputs of the probe; a few rows of the model when `None`.
        dtype: How float weights are stored: `"float32"` or `"float16"`.
        weights: Whether to write the weights, ids and probe at all. Large closed-form models ship
            without and are rebuilt from their recipe.
        optimizer: A Keras optimizer whose accumulators are kept too, to continue the training.
        health: Of a game: the bytes of `health.json` and `health.png`, by name.

    Returns:
        The folder.

    Raises:
        PresetError: When something could not be read back as it is: an unregistered class, a
            configuration that is no plain data, repeated or broken ids, weights that are not
            finite, a probe that float16 cannot answer.
    """
    folder = Path(folder)
    contents = {files.CONFIG: config_record(model)}
    parts: dict[str, bytes] = {}
    if weights:
        parts |= _ids(model, contents[files.CONFIG])
        parts |= _tensors(model, dtype, probe)
    if optimizer is not None:
        accumulators = numbered(optimizer.variables)
        parts[files.OPTIMIZER] = write_tensors({n: v.numpy() for n, v in accumulators.items()})
    parts |= {name: bytes(part) for name, part in (health or {}).items() if name in files.NAMES}
    parts[files.CONFIG] = files.json_bytes(contents[files.CONFIG])
    if recipe is not None:
        parts[files.RECIPE] = recipe.encode("utf-8")
    if metrics is not None:
        parts[files.METRICS] = files.json_bytes(metrics)
    manifest = files.manifest_of(
        parts, data=dict(data or {}), contains_user_rows=files.USER_IDS in parts, **versions()
    )
    parts[files.MANIFEST] = files.json_bytes(manifest)
    kept = limits_of(folder / files.CARD) or limits or NO_LIMITS
    card = write_card(folder.name, contents[files.CONFIG], manifest, recipe, metrics, limits=kept)
    parts[files.CARD] = card.encode("utf-8")
    with replacing(folder, known=files.NAMES) as temporary:
        for name, part in parts.items():
            write_file(temporary / name, part)
    return folder


def rewrite_card(folder: str | os.PathLike) -> Path:
    """Writes a preset's card again from its other files; the `Limits` section stays.

    Args:
        folder: A preset's folder or a zoo preset's name.

    Returns:
        The card.

    Raises:
        PresetError: See `read`.
    """
    from tfadvrec.presets.loading import read

    preset = read(folder)
    place = preset.path / files.CARD
    limits = limits_of(place) or NO_LIMITS
    text = write_card(
        preset.path.resolve().name,
        preset.config,
        preset.manifest,
        preset.recipe,
        preset.metrics,
        limits=limits,
    )
    temporary = place.with_name(f".{files.CARD}.tmp")
    temporary.unlink(missing_ok=True)
    write_file(temporary, text.encode("utf-8"))
    os.replace(temporary, place)
    return place


def versions() -> dict[str, dict[str, str]]:
    """The versions that a manifest records."""
    packages = ("tensorflow", "keras", "numpy", "safetensors")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"versions": {"tfadvrec": _own_version(), "python": platform.python_version(), **found}}


def _own_version() -> str:
    from tfadvrec import __version__

    return __version__


def _ids(model: Any, record: dict[str, Any]) -> dict[str, bytes]:
    """The vocabularies as files; their types and lengths go into the configuration."""
    parts = {}
    for name, file in (("user_ids", files.USER_IDS), ("item_ids", files.ITEM_IDS)):
        ids = getattr(model, name, None)
        if ids is not None:
            parts[file], record[name] = write_ids(ids, name)
    return parts


def _tensors(model: Any, dtype: str, probe: Mapping[str, Any] | None) -> dict[str, bytes]:
    """The weights as a file, and the probe that they answer."""
    if dtype not in TOLERANCE:
        raise PresetError(f"dtype must be 'float32' or 'float16'; got {dtype!r}.")
    if not model.built:
        raise PresetError("the model has no weights yet: call or build it before it is saved.")
    variables = flat_names(model)
    questions = make_probe(model, probe)  # first: a model may bring tables up to date to answer
    arrays = {name: variable.numpy() for name, variable in variables.items()}
    if dtype == "float16":
        arrays = {n: _half(n, a) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    parts = {files.WEIGHTS: write_tensors(arrays)}
    if questions is not None:
        if dtype == "float16":
            _check_half(model, variables, arrays, questions)
        parts[files.PROBE] = questions
    return parts


def _half(name: str, array: np.ndarray) -> np.ndarray:
    """The array as float16, if that holds it."""
    if np.abs(array).max(initial=0.0) > np.finfo(np.float16).max:
        raise PresetError(f"{name} holds values past float16's largest; store it as float32.")
    return array.astype(np.float16)


def _check_half(
    model: Any, variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray], questions: bytes
) -> None:
    """Proves that the probe stays within tolerance on the rounded weights; then puts them back."""
    exact = {name: variable.numpy() for name, variable in variables.items()}
    try:
        for name, variable in variables.items():
            variable.assign(arrays[name].astype(exact[name].dtype))
        check_probe(model, questions, "float16")
    finally:
        for name, variable in variables.items():
            variable.assign(exact[name])
