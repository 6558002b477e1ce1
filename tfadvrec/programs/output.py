"""The folder a program leaves: every file is whole, and results.json comes last."""

import io
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfadvrec.presets.replacing import check_replaceable
from tfadvrec.programs.distances import rounded
from tfadvrec.programs.listing import Progress

RESULTS, CHECKPOINTS, SAMPLES = "results.json", "checkpoints", "samples.npz"
LEFT = frozenset({RESULTS, CHECKPOINTS, SAMPLES, "*.png", "*.csv"})


def open_folder(output: str | os.PathLike) -> Path:
    """Makes the folder ready for a run, without what an earlier run of a program left.

    Raises:
        PresetError: The folder holds other things.
    """
    folder = check_replaceable(output, known=LEFT)
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).unlink(missing_ok=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.csv"), folder / SAMPLES]:
        old.unlink(missing_ok=True)
    for old in (folder / CHECKPOINTS).glob("*.weights.h5"):
        old.unlink()
    return folder


def write(path: Path, content: bytes) -> None:
    """Writes a file so that it is whole or not there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Writes arrays as NumPy's compressed archive."""
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    write(path, held.getvalue())


def save_json(path: Path, record: dict[str, Any]) -> None:
    """Writes a record as JSON; a NaN is an error."""
    write(path, json.dumps(record, indent=1, allow_nan=False).encode() + b"\n")


def finish(
    folder: Path, record: dict[str, Any], *, began: float, figure: bytes, **arrays: np.ndarray
) -> dict[str, Any]:
    """Writes a program's figure, its samples and, last, its record, which is given back.

    Args:
        folder: The program's folder.
        record: What `results.json` will hold, besides the seconds and the files.
        began: When the program began, by `time.perf_counter`.
        figure: PNG bytes.
        **arrays: The samples.
    """
    if arrays:
        write_arrays(folder / SAMPLES, **arrays)
    write(folder / f"{record['program']}.png", figure)
    return seal(folder, rounded({**record, "seconds": time.perf_counter() - began}))


def seal(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Writes `results.json`, which says that the run is complete, and gives the record back."""
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    record = {**record, "files": sorted(names)}
    save_json(folder / RESULTS, record)
    return record


class Checkpoints(keras.callbacks.Callback):
    """Keeps the weights of a game, both optimizers included, every few epochs and at the end.

    Args:
        folder: The program's folder.
        every: Epochs between checkpoints.
        epochs: How many epochs the run has.
    """

    def __init__(self, folder: Path, *, every: int, epochs: int) -> None:
        super().__init__()
        self.folder, self.every, self.epochs = folder / CHECKPOINTS, every, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        if done % self.every and done != self.epochs:
            return
        name = f"epoch-{done:04d}"
        temporary = self.folder / f".{name}.tmp.weights.h5"
        try:
            self.model.save_weights(temporary)
            os.replace(temporary, self.folder / f"{name}.weights.h5")
        finally:
            temporary.unlink(missing_ok=True)


class Telling(keras.callbacks.Callback):
    """Tells after each epoch how far a fit is.

    Args:
        progress: Called with the text, epochs done and epochs in all, or None.
        text: What is being done.
        epochs: Epochs in all.
    """

    def __init__(self, progress: Progress | None, text: str, epochs: int) -> None:
        super().__init__()
        self.progress, self.text, self.epochs = progress, text, epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tell(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell(epoch + 1)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(self.text, done, self.epochs)
