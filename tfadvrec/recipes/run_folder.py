"""A run on disk: recipe, split, model and twin together, so that what comes later cannot leak."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.presets import files
from tfadvrec.presets.files import PresetError
from tfadvrec.presets.replacing import replacing, write_file
from tfadvrec.recipes.provenance import provenance
from tfadvrec.recipes.recipe import Recipe, load_recipe

RUN, RECIPE, PRESET, TWIN = "run.json", "recipe.toml", "preset", "twin"
PARTS = ("train", "validation", "test")
NAMES = frozenset(
    {RUN, RECIPE, PRESET, TWIN, "report", "users.parquet", "items.parquet"}
    | {f"{part}.parquet" for part in PARTS}
)


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What `tfadvrec fit --output RUN` left.

    Attributes:
        path: The folder.
        recipe: The recipe that was run.
        split: The parts, as they were when the model was trained.
        record: The rest: seed, seconds, figures, fingerprint.
    """

    path: Path
    recipe: Recipe
    split: Any
    record: dict[str, Any]

    def model(self) -> Any:
        """The trained model, with the training part as its users' history."""
        return self._loaded(PRESET)

    def twin(self) -> Any | None:
        """The undefended twin, or `None` where none was trained."""
        return self._loaded(TWIN) if (self.path / TWIN).is_dir() else None

    def _loaded(self, name: str) -> Any:
        from tfadvrec import presets

        return presets.load(self.path / name).bind(self.split.train)


def save_run(
    folder: str | os.PathLike,
    run: Any,
    *,
    twin: Any = None,
    figures: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a run as a folder, whole or not at all.

    The folder holds a copy of the log, split, with the caller's ids: keep it as private as the log.

    Args:
        folder: Where to write; an earlier run there is replaced.
        run: A `Run`.
        twin: The `Run` of the undefended twin.
        figures: What was measured, JSON-able.

    Returns:
        The folder.

    Raises:
        PresetError: When the folder holds other things.
    """
    with replacing(folder, known=NAMES) as temporary:
        write_run(temporary, run, twin=twin, figures=figures)
    return Path(folder)


def write_run(
    folder: Path, run: Any, *, twin: Any = None, figures: Mapping[str, Any] | None = None
) -> None:
    """Writes a run's files in a folder that is there; see `save_run`."""
    from tfadvrec import presets

    text, train = run.recipe.to_toml(), run.split.train
    data = provenance(run.recipe, run.split)
    record = {
        "format": 1,
        "name": run.recipe.name,
        "seed": run.seed,
        "seconds": round(run.seconds, 3),
        "chosen": dict(run.chosen),
        "data": {"name": train.name, "origin": train.origin, "real": train.real},
        "fingerprints": {
            name: None if part is None else part.fingerprint()
            for name, part in zip(PARTS, run.split, strict=True)
        },
        "figures": dict(figures or {}),
    }
    write_file(folder / RECIPE, text.encode("utf-8"))
    write_file(folder / RUN, files.json_bytes(record))
    _write_split(folder, run.split)
    presets.save(run.model, folder / PRESET, recipe=text, data=data)
    if twin is not None:
        presets.save(twin.model, folder / TWIN, recipe=twin.recipe.to_toml(), data=data)


def load_run(folder: str | os.PathLike) -> RunFolder:
    """Reads a run.

    Args:
        folder: What `save_run` wrote.

    Raises:
        PresetError: When it is no run, or its split is not the one it was trained on.
    """
    folder = Path(folder)
    if not (folder / RUN).is_file():
        raise PresetError(
            f"{folder} is no run: it has no {RUN}. A run is what `tfadvrec fit --output RUN` or "
            "`tfadvrec quickstart` leaves."
        )
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise PresetError(f"{folder / RUN} is damaged: {error}.") from error
    split = _read_split(folder, record.get("data", {}))
    for name, part in zip(PARTS, split, strict=True):
        if part is not None and part.fingerprint() != record["fingerprints"][name]:
            raise PresetError(
                f"{folder / name}.parquet is not the part that the model was trained with: its "
                "fingerprint differs. Figures on it would mean nothing; run `tfadvrec fit` again."
            )
    return RunFolder(path=folder, recipe=load_recipe(folder / RECIPE), split=split, record=record)


def _write_split(folder: Path, split: Any) -> None:
    """Rows a part, ids and features once."""
    import pyarrow as pa
    from pyarrow import parquet

    for name, part in zip(PARTS, split, strict=True):
        if part is None:
            continue
        columns = {"user": part.user, "item": part.item, "rating": part.rating, "time": part.time}
        columns |= {f"column.{key}": values for key, values in part.columns.items()}
        table = pa.table({k: pa.array(v) for k, v in columns.items() if v is not None})
        parquet.write_table(table, folder / f"{name}.parquet", compression="zstd")
    for side in ("user", "item"):
        columns = {"id": pa.array(getattr(split.train, f"{side}_ids"))}
        for key, values in getattr(split.train, f"{side}_features").items():
            listed = [list(v) for v in values] if values.dtype.kind == "O" else values
            columns[f"feature.{key}"] = pa.array(listed)
        parquet.write_table(pa.table(columns), folder / f"{side}s.parquet", compression="zstd")


def _read_split(folder: Path, data: Mapping[str, Any]) -> Any:
    """The parts, with shared ids and features."""
    from pyarrow import ArrowInvalid, parquet

    from tfadvrec.data import Interactions, Split

    shared: dict[str, Any] = {
        "name": data.get("name", "log"),
        "origin": data.get("origin", f"the run {folder}"),
        "real": data.get("real", True),
    }
    try:
        for side in ("user", "item"):
            columns = _columns(parquet.read_table(folder / f"{side}s.parquet"))
            shared[f"{side}_ids"] = columns.pop("id")
            shared[f"{side}_features"] = _named(columns, "feature.")
        parts = []
        for name in PARTS:
            path = folder / f"{name}.parquet"
            if name == "validation" and not path.exists():
                parts.append(None)
                continue
            columns = _columns(parquet.read_table(path))
            others = _named(columns, "column.")
            plain = {k: columns.get(k) for k in ("user", "item", "rating", "time")}
            parts.append(Interactions(**plain, columns=others, **shared))
    except (ArrowInvalid, OSError) as error:
        raise PresetError(f"the run {folder} is incomplete or damaged: {error}") from error
    return Split(*parts)


def _named(columns: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The columns whose name starts with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in columns.items() if k.startswith(prefix)}


def _columns(table: Any) -> dict[str, np.ndarray]:
    """A table's columns as arrays of the kinds that `Interactions` holds."""
    import pyarrow as pa

    arrays = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_list(column.type):
            array = np.empty(len(column), object)
            array[:] = [tuple(values) for values in column.to_pylist()]
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            array = np.array(column.to_pylist(), str)
        else:
            array = column.to_numpy()
        arrays[name] = array
    return arrays
