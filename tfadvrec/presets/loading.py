"""Reading a preset: verified bytes, checked configuration, tensors only."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.presets import files, zoo
from tfadvrec.presets.configuration import checked_class
from tfadvrec.presets.files import PresetError, parse_json
from tfadvrec.presets.growing import grown
from tfadvrec.presets.probe import check_probe
from tfadvrec.presets.slots import Shapes, fill_slots, row_axes, slot_shapes
from tfadvrec.presets.tensors import flat_names, read_tensors, shapes_of, stored_bytes
from tfadvrec.presets.vocabulary import read_ids


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset's folder, read and verified, before anything is made of it.

    Attributes:
        path: The folder.
        config: The parsed `config.json`.
        manifest: The parsed manifest: files, versions, and the data's name, licence and origin.
        metrics: The parsed `metrics.json`, or `None`.
        recipe: The recipe's text, or `None`.
        files: The verified bytes of every listed file.
    """

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    metrics: dict[str, Any] | None
    recipe: str | None
    files: dict[str, bytes]

    @property
    def has_weights(self) -> bool:
        """Whether the weights are shipped; else `tfadvrec zoo train` makes them."""
        return files.WEIGHTS in self.files

    def ids(self, name: str) -> np.ndarray | None:
        """The caller's ids of the rows (`"user_ids"` or `"item_ids"`), if the preset has them."""
        record, data = self.config.get(name), self.files.get(f"{name}.txt")
        if (record is None) != (data is None):
            raise PresetError(
                f"{self.path}: config.json and {name}.txt must both be there, or none."
            )
        if record is None:
            return None
        if not isinstance(record, dict):
            raise PresetError(f"{self.path}: config.json describes {name} as {record!r:.80}.")
        return read_ids(data, record, name)


def read(name_or_path: str | os.PathLike, *, sha256: str | None = None) -> Preset:
    """Reads and verifies a preset's files.

    Args:
        name_or_path: A zoo preset's name, or a folder.
        sha256: The hash that `manifest.json` must have, where the caller pins one.

    Raises:
        PresetError: When there is no such preset, or a file is missing, altered, too large, not
            plain, or not what its name says.
    """
    folder = zoo.find(name_or_path)
    if not (folder / files.MANIFEST).exists() and (folder / files.RECIPE).exists():
        raise PresetError(
            f"{folder.name} has a recipe but was not trained here. Make it with "
            f"`tfadvrec zoo train {folder.name}`."
        )
    manifest, contents = files.verified_files(folder, sha256=sha256)
    if files.CONFIG not in contents:
        raise PresetError(f"{folder / files.MANIFEST} lists no {files.CONFIG}.")
    config = parse_json(contents[files.CONFIG], str(folder / files.CONFIG))
    metrics = None
    if files.METRICS in contents:
        metrics = parse_json(contents[files.METRICS], str(folder / files.METRICS))
    try:
        recipe = contents[files.RECIPE].decode("utf-8") if files.RECIPE in contents else None
    except UnicodeDecodeError as error:
        raise PresetError(f"{folder / files.RECIPE} is not UTF-8: {error}.") from error
    return Preset(
        path=folder,
        config=config,
        manifest=manifest,
        metrics=metrics,
        recipe=recipe,
        files=contents,
    )


def load(
    name_or_path: str | os.PathLike,
    item_ids: Sequence[Any] | None = None,
    user_ids: Sequence[Any] | None = None,
    id_map: Mapping[Any, Any] | str | None = None,
    *,
    user_id_map: Mapping[Any, Any] | str | None = None,
    optimizer: Any = None,
    sha256: str | None = None,
    expected: type | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> Any:
    """Makes the model of a preset, as it is or grown to other users and items.

    Nothing in the folder is executed: the class comes from our registry by name, its arguments from
    checked JSON, its weights from safetensors whose shapes are compared with the architecture
    before anything is allocated.

    Args:
        name_or_path: A zoo preset's name (`tfadvrec zoo list`), or a folder.
        item_ids: The catalogue to rank, one id a row; the preset's own when `None`.
        user_ids: The users, one id a row; the preset's own when `None`.
        id_map: Which of `item_ids` are which of the preset's: `{new id: preset id}`, or
            `"identity"` when the two catalogues are the same and equal ids mean equal items.
            Without it every item is new: equal numbers of two catalogues prove nothing.
        user_id_map: The same for users.
        optimizer: A fresh optimizer to continue with, of the class and settings of the one that
            was saved. It is built on the model's weights and gets the preset's accumulators, step
            count and learning rate; a new row starts with fresh accumulators.
        sha256: The hash that `manifest.json` must have, where the caller pins one.
        expected: The class, or a base of it, that the caller asks for.
        seed: Seed of the new rows' noise.
        verbose: Whether to say on standard error how many rows matched.

    Returns:
        The model. `model.matched` records how many rows were known where ids were given:
        `{"item": {"rows": ..., "known": ..., "new": ...}, "user": ...}`.

    Raises:
        PresetError: See `read`; also when the configuration, the weights or the probe do not fit.
    """
    preset = read(name_or_path, sha256=sha256)
    cls, arguments = checked_class(preset.config)
    if expected is not None and not issubclass(cls, expected):
        raise PresetError(
            f"{preset.path.name} is a {cls.__name__}, which is no {expected.__name__}. Load it "
            "with "
            f"{cls.__name__}.from_preset({preset.path.name!r}) or Recommender.from_preset."
        )
    if not preset.has_weights:
        raise PresetError(
            f"{preset.path.name} ships without weights. Make them with `tfadvrec zoo train "
            f"{preset.path.name} --output FOLDER` and load that folder."
        )
    ids = {side: preset.ids(f"{side}_ids") for side in ("user", "item")}
    _check_counts(preset, arguments, ids)
    model = _built(preset, cls, arguments)
    if hasattr(model, "set_ids"):
        model.set_ids(ids["user"], ids["item"])
    if files.PROBE in preset.files:
        stored = "float16" if b'"F16"' in _header_bytes(preset) else "float32"
        check_probe(model, preset.files[files.PROBE], stored)
    wanted = {"item": (item_ids, id_map), "user": (user_ids, user_id_map)}
    sources: dict[str, np.ndarray] = {}
    if any(given is not None or how is not None for given, how in wanted.values()):
        model, sources = grown(model, arguments, ids, wanted, seed=seed, verbose=verbose)
    if optimizer is not None:
        _continue(preset, cls, arguments, model, optimizer, sources)
    return model


def _check_counts(preset: Preset, arguments: Mapping[str, Any], ids: Mapping[str, Any]) -> None:
    """Refuses a vocabulary that does not name each row."""
    for side, given in ids.items():
        rows = arguments.get(f"n_{side}s")
        if given is not None and rows is not None and rows != len(given):
            raise PresetError(
                f"{preset.path}: {side}_ids.txt names {len(given):,} rows and config.json has "
                f"n_{side}s = {rows:,}."
            )


def _built(preset: Preset, cls: type, arguments: Mapping[str, Any]) -> Any:
    """The model with the preset's weights."""
    import tensorflow as tf

    data = preset.files[files.WEIGHTS]
    # In a graph that never runs, variables have shapes and take no memory.
    with tf.Graph().as_default():
        expected = shapes_of(flat_names(_constructed(preset, cls, arguments)))
    if stored_bytes(expected) > len(data):
        raise PresetError(
            f"{preset.path}: the architecture of config.json needs at least "
            f"{stored_bytes(expected):,} bytes of weights, and {files.WEIGHTS} has {len(data):,}."
        )
    arrays = read_tensors(data, expected, files.WEIGHTS)
    model = _constructed(preset, cls, arguments)
    for name, variable in flat_names(model).items():
        variable.assign(arrays[name])
    return model


def _constructed(preset: Preset, cls: type, arguments: Mapping[str, Any]) -> Any:
    """The model of checked arguments, with its weights made."""
    try:
        model = cls(**arguments)
    except (TypeError, ValueError) as error:
        raise PresetError(
            f"{preset.path}: {cls.__name__} refuses its configuration: {error}"
        ) from error
    if not model.built:
        model({"user_id": np.zeros(1, np.int32), "item_id": np.zeros((1, 1), np.int32)})
    return model


def _header_bytes(preset: Preset) -> bytes:
    """The header of the weights file, which `read_tensors` has checked."""
    data = preset.files[files.WEIGHTS]
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def _continue(
    preset: Preset,
    cls: type,
    arguments: Mapping[str, Any],
    model: Any,
    optimizer: Any,
    sources: Mapping[str, np.ndarray],
) -> None:
    """Gives an optimizer the accumulators of the preset, of the model's rows."""
    if files.OPTIMIZER not in preset.files:
        raise PresetError(f"{preset.path.name} ships no optimizer state; start a fresh optimizer.")

    def shapes(**longer: int) -> Shapes:
        return slot_shapes(optimizer, lambda: _constructed(preset, cls, {**arguments, **longer}))

    expected = shapes()
    try:
        arrays = read_tensors(preset.files[files.OPTIMIZER], expected, files.OPTIMIZER)
    except PresetError as error:
        raise PresetError(
            f"{preset.path.name}: the saved optimizer is no {type(optimizer).__name__} with these "
            f"settings over these weights. {error}"
        ) from error
    longer = {side: shapes(**{f"n_{side}s": arguments[f"n_{side}s"] + 1}) for side in sources}
    fill_slots(optimizer, model.trainable_variables, arrays, row_axes(expected, longer), sources)
