"""The probe: a few inputs and the scores that a loaded model must give."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfadvrec.presets.files import PresetError

SCORES = "scores"
_MOST_MEMBERS = 16
_LARGEST_MEMBER = 8 * 1024 * 1024
# How far a score may be off, relative to the largest score of the probe
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}


def make_probe(model: Any, inputs: Mapping[str, Any] | None = None) -> bytes | None:
    """Asks a model for a few scores and writes questions and answers down.

    Args:
        model: A model that is called with a dictionary of inputs.
        inputs: The inputs; when `None`, the model's own `probe_inputs()` if it has that method, or
            some rows of a model with `n_users` and `n_items`.

    Returns:
        The bytes of an npz file, or `None` when nothing is known to ask.

    Raises:
        PresetError: When the model answers with NaN or infinity.
    """
    if inputs is None:
        inputs = _default_inputs(model)
    if inputs is None:
        return None
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    scores = _answer(model, arrays)
    file = io.BytesIO()
    np.savez(file, **{f"input.{name}": array for name, array in arrays.items()}, **{SCORES: scores})
    return file.getvalue()


def check_probe(model: Any, data: bytes, stored: str) -> float:
    """Asks a loaded model the questions of a probe.

    Args:
        model: The model.
        data: The bytes of `probe.npz`.
        stored: The float type that the weights were stored in, which sets the tolerance.

    Returns:
        The largest difference, relative to the largest score.

    Raises:
        PresetError: When the file is unsafe or damaged, or an answer is off.
    """
    arrays = read_arrays(data)
    if SCORES not in arrays or not all(n.startswith("input.") for n in set(arrays) - {SCORES}):
        raise PresetError(f"probe.npz must hold input.* and {SCORES}; it holds {sorted(arrays)}.")
    expected = arrays.pop(SCORES)
    scores = _answer(model, {name.removeprefix("input."): a for name, a in arrays.items()})
    if expected.dtype != np.float32 or scores.shape != expected.shape:
        raise PresetError(
            f"the probe promises {expected.dtype} scores of shape {expected.shape}; the model "
            f"gives {scores.shape}."
        )
    if not np.isfinite(expected).all():
        raise PresetError("the probe's scores are not finite.")
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-6)
    difference = float(np.abs(scores - expected).max(initial=0.0)) / scale
    if difference > TOLERANCE[stored]:
        raise PresetError(
            f"the loaded model does not give the scores that the preset promises: they differ by "
            f"{difference:.2%} of the largest score, {TOLERANCE[stored]:.2%} is allowed. The code "
            "of "
            "its class has changed since, or weights and probe belong to different models."
        )
    return difference


def read_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Reads a small npz file without pickle and without trusting the sizes it claims.

    Raises:
        PresetError: When it is no npz file, has too many or too large members, or holds objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(members) > _MOST_MEMBERS or len(set(names)) != len(names):
                raise PresetError(f"probe.npz has {len(members)} members or repeats one.")
            for member in members:
                if member.file_size > _LARGEST_MEMBER:
                    raise PresetError(
                        f"probe.npz unpacks {member.filename[:80]!r} to {member.file_size:,} "
                        "bytes; "
                        f"at most {_LARGEST_MEMBER:,} are read."
                    )
            return {m.filename.removesuffix(".npy"): _array(archive.read(m)) for m in members}
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError) as error:
        raise PresetError(f"probe.npz is damaged: {error}.") from error


def _array(data: bytes) -> np.ndarray:
    """Reads one npy member whose claimed shape fits its bytes."""
    file = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise PresetError("probe.npz holds an array of an unknown format version.")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        count = int(np.prod(shape, dtype=object))
        if dtype.hasobject or count * dtype.itemsize != len(data) - file.tell():
            raise PresetError("probe.npz holds objects, or an array that is not all there.")
        file.seek(0)
        return np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OverflowError) as error:
        raise PresetError(f"probe.npz is damaged: {error}.") from error


def _answer(model: Any, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The model's scores, float32, finite."""
    scores = np.asarray(model(dict(inputs)), np.float32)
    if not np.isfinite(scores).all():
        raise PresetError("the model answers its probe with NaN or infinity.")
    return scores


def _default_inputs(model: Any) -> dict[str, np.ndarray] | None:
    """Rows spread over both tables, first and last included."""
    if hasattr(model, "probe_inputs"):
        return model.probe_inputs()
    if hasattr(model, "row_weights") and not model.row_weights():
        return None  # its users are histories, which no preset holds
    if not (hasattr(model, "n_users") and hasattr(model, "n_items")):
        return None
    users = np.linspace(0, model.n_users - 1, min(8, model.n_users)).astype(np.int32)
    items = np.linspace(0, model.n_items - 1, min(16, model.n_items)).astype(np.int32)
    return {"user_id": users, "item_id": np.tile(items, (len(users), 1))}
