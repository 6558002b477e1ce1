"""A model's variables as named tensors, without code and without surprises."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.presets.files import PresetError, parse_json

_NAMES_OF_TYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
    "bool": "BOOL",
}  # fmt: skip
_LARGEST_HEADER = 16 * 1024 * 1024


def flat_names(model: Any) -> dict[str, Any]:
    """Names a model's weights by their paths, the same in every process.

    The model's own name is left out, and the numbers that Keras counts up per process (`dense_7`)
    are counted again from the model's first weight.

    Args:
        model: A built Keras model.

    Returns:
        Name -> variable.

    Raises:
        PresetError: When two weights have the same path.
    """
    seen: dict[str, dict[str, str]] = {}
    taken: dict[str, set[str]] = {}
    names: dict[str, Any] = {}
    for variable in model.weights:
        parent = ""
        for part in variable.path.removeprefix(f"{model.name}/").split("/"):
            known = seen.setdefault(parent, {})
            if part not in known:
                base = re.sub(r"_\d+$", "", part)
                used = taken.setdefault(parent, set())
                tries = [base, *(f"{base}_{n}" for n in range(1, len(used) + 1))]
                known[part] = next(name for name in tries if name not in used)
                used.add(known[part])
            parent = f"{parent}/{known[part]}".lstrip("/")
        if parent in names:
            raise PresetError(
                f"two weights are called {variable.path!r}; give their layers names of their own."
            )
        names[parent] = variable
    return names


def numbered(variables: Sequence[Any]) -> dict[str, Any]:
    """Names an optimizer's variables by their order, which is all that is stable of them."""
    return {f"{number:05d}": variable for number, variable in enumerate(variables)}


def shapes_of(names: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each named variable."""
    return {
        name: (tuple(int(n) for n in v.shape), np.dtype(v.dtype).name) for name, v in names.items()
    }


def write_tensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as safetensors bytes, equal for equal arrays.

    Raises:
        PresetError: When an array holds NaN or infinity.
    """
    from safetensors.numpy import save

    for name, array in arrays.items():
        _check_finite(name, array)
    return save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)})


def read_tensors(
    data: bytes, expected: Mapping[str, tuple[tuple[int, ...], str]], name: str
) -> dict[str, np.ndarray]:
    """Reads exactly the expected tensors.

    Names, shapes and types are compared with the architecture before any tensor is made.

    Args:
        data: The bytes of a safetensors file.
        expected: Tensor name -> shape and dtype; a float may be stored as float16.
        name: The file's name, for errors.

    Returns:
        Tensor name -> array of the expected dtype.

    Raises:
        PresetError: When the file is damaged, does not fit the architecture, or holds NaN or
            infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header = _header(data, name)
    _check_names(header, expected, name)
    for key, (shape, dtype) in expected.items():
        entry = header[key]
        stored = entry.get("dtype") if isinstance(entry, dict) else None
        allowed = {_NAMES_OF_TYPES.get(dtype)} | ({"F16"} if dtype.startswith("float") else set())
        if (
            not isinstance(entry, dict)
            or entry.get("shape") != list(shape)
            or stored not in allowed
        ):
            got = f"{entry.get('shape')} {stored}" if isinstance(entry, dict) else repr(entry)[:80]
            raise PresetError(
                f"{name}: {key!r} must have shape {list(shape)} and type {dtype}; the file has "
                f"{got}."
            )
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise PresetError(f"{name} is damaged: {error}.") from error
    for key, array in arrays.items():
        _check_finite(f"{name}: {key}", array)
    return {key: arrays[key].astype(dtype, copy=False) for key, (_, dtype) in expected.items()}


def stored_bytes(expected: Mapping[str, tuple[tuple[int, ...], str]]) -> int:
    """The fewest bytes that hold the expected tensors (floats as float16)."""
    return sum(
        int(np.prod(shape, dtype=object))
        * (2 if dtype.startswith("float") else np.dtype(dtype).itemsize)
        for shape, dtype in expected.values()
    )


def _header(data: bytes, name: str) -> dict[str, Any]:
    """The header of a safetensors file, without its free text."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(_LARGEST_HEADER, len(data) - 8):
        raise PresetError(f"{name} is no safetensors file, or is truncated.")
    header = parse_json(data[8 : 8 + length].rstrip(b" "), f"the header of {name}")
    header.pop("__metadata__", None)
    return header


def _check_names(header: Mapping[str, Any], expected: Mapping[str, Any], name: str) -> None:
    """Refuses a file with a tensor too many or too few."""
    missing, strange = sorted(set(expected) - set(header)), sorted(set(header) - set(expected))
    if missing or strange:
        raise PresetError(
            f"{name} does not fit the architecture of config.json."
            + (f" It lacks {json.dumps(missing[:5])}." if missing else "")
            + (f" It has {json.dumps(strange[:5])} too much." if strange else "")
        )


def _check_finite(name: str, array: np.ndarray) -> None:
    """Refuses NaN and infinity, which no format check sees."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise PresetError(f"{name} holds {bad:,} values that are NaN or infinite.")
