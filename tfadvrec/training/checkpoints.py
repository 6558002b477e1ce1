"""Epochs kept on disk, of a training that many workers do together."""

import json
import os
import pathlib
import tempfile
from typing import Any

import keras

STATE = "state.json"
KEPT = 2


class Checkpoints:
    """Weights, optimizers and random states after each epoch; the last two are kept.

    Every worker writes, for some variables are read by all of them together; what the others write
    is thrown away. A file is whole before it has its name, and `state.json` names it after that.

    Args:
        folder: Where they are kept.
        writes: Whether this worker's are.
    """

    def __init__(self, folder: Any, *, writes: bool) -> None:
        self.folder, self.writes = pathlib.Path(folder), writes

    def write(self, model: keras.Model, epochs: int) -> None:
        """Keeps a model as it is after some epochs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{epochs:05d}.weights.h5"
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".writing-") as aside:
            file = pathlib.Path(aside, name)
            # what wraps a model saves the model inside alone; here all of it is wanted
            keras.Model.save_weights(model, file)
            if not self.writes:
                return
            os.replace(file, self.folder / name)
            state = pathlib.Path(aside, STATE)
            state.write_text(json.dumps({"epochs": epochs, "weights": name}), encoding="utf-8")
            os.replace(state, self.folder / STATE)
        for old in sorted(self.folder.glob("epoch-*.weights.h5"))[:-KEPT]:
            old.unlink()

    def restore(self, model: keras.Model) -> int:
        """Gives a built model what was kept last, and says after how many epochs that was.

        Raises:
            ValueError: The folder is not one of this model's.
        """
        state = self.folder / STATE
        if not state.exists():
            return 0
        found = json.loads(state.read_text(encoding="utf-8"))
        try:
            keras.Model.load_weights(model, self.folder / found["weights"])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.folder} does not hold epochs of this model: {error}. Give another folder, "
                "or remove it to begin anew."
            ) from error
        return int(found["epochs"])
